"""What one execution of a case left behind: what the oracles and the features read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from fuzzer.build import Array, weights_of
from fuzzer.case import Case
from fuzzer.convert.flatbuffer import Flat

if TYPE_CHECKING:
    from fuzzer.oracles.divergence import Divergence


@dataclass
class Failure:
    """An exception of the stack under test: its class name and message, as they came."""

    error: str
    message: str


@dataclass(frozen=True)
class Slot:
    """An input or output of an interpreter: name, declared shape and dtype, and quantisation (0.0: none)."""

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass
class RuntimeRun:
    """One runtime's run of the flatbuffer: per sample, the outputs in the model's order."""

    runtime: str
    inputs: list[Slot] = field(default_factory=list)
    outputs: list[Slot] = field(default_factory=list)
    samples: list[list[Array]] = field(default_factory=list)
    plan: tuple[str, ...] = ()
    """Ops of the execution plan; DELEGATE where a delegate took a partition."""
    allocate_failure: Failure | None = None
    invoke_failure: Failure | None = None

    @property
    def complete(self) -> bool:
        """Whether every sample gave outputs."""
        return self.allocate_failure is None and self.invoke_failure is None and bool(self.samples)


@dataclass
class Variant:
    """One runtime under the case's metamorphic relation: what was to come again, and what came.

    `expected` and `actual` hold outputs per run; `None` for `actual` where nothing could be compared. `failure` is what
    the runtime raised where it had run before.
    """

    runtime: str
    expected: list[list[Array]] = field(default_factory=list)
    actual: list[list[Array]] | None = None
    failure: Failure | None = None


@dataclass
class CaseRun:
    """One execution of one case. A stage that failed leaves the later fields empty."""

    case: Case
    samples: list[list[Array]] = field(default_factory=list)
    reference: list[list[Array]] = field(default_factory=list)
    """TensorFlow eager: per sample, the outputs in order."""
    build_failure: Failure | None = None
    convert_failure: Failure | None = None
    content: bytes = b""
    flat: Flat | None = None
    runs: dict[str, RuntimeRun] = field(default_factory=dict)
    variants: dict[str, Variant] = field(default_factory=dict)
    """By runtime, where the case asks for a metamorphic relation that holds for its model."""
    unrelated: str = ""
    """Why the relation does not hold for this model, or could not be tried."""
    other: CaseRun | None = None
    """The second execution, of relations between two conversions."""
    notes: list[str] = field(default_factory=list)
    """What our own code has to say of this run: switches that the converter does not have."""
    log: str = ""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds spent inside TensorFlow and TFLite by stage."""

    @cached_property
    def divergences(self) -> dict[str, Divergence]:
        """Every complete runtime's divergence from the base, measured once."""
        from fuzzer.oracles.divergence import measure

        return measure(self)

    @cached_property
    def finite_constants(self) -> bool:
        """Whether what the model stores holds neither NaN nor infinity."""
        made = (value for weights in weights_of(self.case) for value in weights.values())
        return all(value.dtype.kind not in "fc" or bool(np.isfinite(value).all()) for value in made)

    @contextmanager
    def under_test(self, stage: str) -> Iterator[None]:
        """Times a call into the stack under test; what is not timed is our own overhead."""
        begun = perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = self.timings.get(stage, 0.0) + perf_counter() - begun


def slot_of(detail: dict[str, Any]) -> Slot:
    """A slot from an entry of `get_input_details()` or `get_output_details()`."""
    scale, zero_point = detail["quantization"]
    return Slot(
        str(detail["name"]),
        int(detail["index"]),
        tuple(int(d) for d in detail["shape"]),
        str(detail["dtype"].__name__),
        float(scale),
        int(zero_point),
    )
