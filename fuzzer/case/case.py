"""A case: everything that happens in one execution, as data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from fuzzer.case.conversion import Conversion
from fuzzer.case.model import Model
from fuzzer.case.recipe import DEFAULT_INPUTS, Recipe

SCHEMA = 1
RUNTIMES = ("tf-xnnpack", "tf-builtin", "tf-reference", "litert")
"""`tf.lite.Interpreter` with its default delegate (XNNPACK), with optimised built-in kernels only, with reference
kernels, and `ai_edge_litert`'s interpreter with its defaults."""
MAX_THREADS = 4
RELATIONS = (
    "none",
    "second_invoke",
    "kept_inputs",
    "reallocate",
    "resize_back",
    "preserve_all",
    "threads",
    "round_trip",
    "node_order",
    "batch_rows",
    "batch_split",
    "entry",
    "unfused",
)
"""Which metamorphic relation is tried on the flatbuffer: `fuzzer.oracles.metamorphic` says what each promises."""
DEAR_RELATIONS = ("entry", "unfused")
"""Those that convert the model once more."""


@dataclass(frozen=True, slots=True)
class Inference:
    """How the flatbuffer is run: on which runtimes, on which inputs, with how many threads.

    `relation` names the metamorphic relation that is tried afterwards.
    """

    runtimes: tuple[str, ...] = RUNTIMES
    inputs: tuple[Recipe, ...] = DEFAULT_INPUTS
    threads: int = 1
    relation: str = "none"


@dataclass(frozen=True)
class Case:
    """A model, a conversion and an inference. Immutable; its identity is the hash of its canonical JSON."""

    model: Model
    conversion: Conversion = field(default_factory=Conversion)
    inference: Inference = field(default_factory=Inference)

    @cached_property
    def canonical(self) -> bytes:
        """The canonical JSON: sorted keys, no white space, ASCII."""
        from fuzzer.case.codec import encode

        return encode(self)

    @cached_property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON."""
        return case_id(self.canonical)


def case_id(canonical: bytes) -> str:
    """The id of a case from its canonical JSON."""
    return hashlib.sha256(canonical).hexdigest()[:16]
