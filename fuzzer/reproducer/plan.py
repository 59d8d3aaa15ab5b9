"""What a reproducer has to show, told from its case and verdict: the guilty runtimes, the base, how far to go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from fuzzer.case import RUNTIMES, Case
from fuzzer.oracles.confirm.tolerance import EAGER
from fuzzer.oracles.confirm.truth import FACTOR, jumps
from fuzzer.oracles.verdict import DEATHS, SCRIPT_DIES, Kind, Stage, Verdict
from fuzzer.reproducer import metamorphic_text
from fuzzer.reproducer.model_error_text import shown_against_model
from fuzzer.reproducer.model_text import KERAS
from fuzzer.reproducer.road_text import needs_folder
from fuzzer.reproducer.run_text import alone, plain
from fuzzer.reproducer.tolerance_text import Tolerance, tolerance_of

ERRORS = frozenset({Kind.CONVERTER_ERROR, Kind.ALLOCATE_ERROR, Kind.INVOKE_ERROR})
SIGNATURE = frozenset({Kind.OUTPUT_COUNT, Kind.SHAPE, Kind.DTYPE})
_NUMBERS = (Kind.VALUE, Kind.NAN_PROPAGATION)
_SIMPLE_BOUND_FROM = 1e3
"""Errors of this many bounds are beyond the short bound too (1e-5 of the largest value): the campaign's bound
is at least two roundings, 2.4e-7 of it, so 1,000 bounds are 2.4e-4 of it, and eight short bounds are 8e-5."""


_LEAST_SHARE = 1e-3
"""Of the error that was found: the tolerance is no smaller, for where the bound is next to nothing."""


@dataclass(frozen=True)
class Element:
    """One element of one output, and how far a result may be from the truth there."""

    output: int
    at: tuple[int, ...]
    tolerance: float

    @staticmethod
    def of(case: Case, verdict: Verdict) -> Element | None:
        """What a verdict of the float64 truth says; None where it says too little.

        The tolerance lies half way (on a logarithmic scale) from eight bounds to the error.
        """
        evidence = verdict.evidence
        output, at = evidence.get("output"), evidence.get("index")
        want, got = evidence.get("expected"), evidence.get("actual")
        if not isinstance(output, int) or not 0 <= output < len(case.model.output_types) or not isinstance(at, list):
            return None
        type_ = case.model.output_types[output]
        inside = len(at) == len(type_.shape) and all(isinstance(i, int) for i in at)
        inside = inside and all(0 <= i < size for i, size in zip(at, type_.shape, strict=True))
        if not inside or not isinstance(want, int | float) or not isinstance(got, int | float):
            return None
        error = abs(got - want)
        if type_.dtype in ("string", "bool", "complex64") or not 0 < error < math.inf or verdict.severity <= FACTOR:
            return None
        share = max((FACTOR / verdict.severity) ** 0.5, _LEAST_SHARE)
        return Element(output, tuple(at), float(f"{error * share:.2g}"))


@dataclass(frozen=True)
class Plan:
    """A finding, and what its script needs."""

    case: Case
    verdict: Verdict

    @property
    def dies(self) -> bool:
        """Whether the process dies, so that a second one has to watch."""
        return self.verdict.kind in DEATHS

    @property
    def watched(self) -> bool:
        """Whether the process may die of what is no death by itself: memory that is corrupt kills by chance."""
        return not self.dies and bool(self.verdict.evidence.get(SCRIPT_DIES))

    @property
    def reach(self) -> Stage:
        """The last stage that has to run."""
        return self.verdict.stage

    @cached_property
    def compares(self) -> bool:
        """Whether outputs are compared element by element."""
        if self.verdict.unsteady:
            return False  # no result is right there: each runtime is held against itself
        return self.verdict.kind in _NUMBERS or (self.verdict.kind is Kind.CALIBRATION and self.modelled)

    @cached_property
    def modelled(self) -> bool:
        """Whether a quantised flatbuffer is compared with the model itself: all kernels are wrong alike."""
        quantised = self.case.conversion.judged != "float32" and self.tolerance is None
        return quantised and shown_against_model(self.verdict.evidence)

    @cached_property
    def relates(self) -> bool:
        """Whether a metamorphic relation is shown, or what dies of it."""
        known = self.case.inference.relation != "none"
        return known and (self.verdict.kind is Kind.METAMORPHIC or self.reach is Stage.METAMORPHIC)

    @property
    def needs_folder(self) -> bool:
        """Whether some conversion goes over files: the case's, or the one that it is held against."""
        others = metamorphic_text.others(self.case, self.verdict) if self.relates else []
        return self.reach is not Stage.REFERENCE and any(needs_folder(case) for case in (self.case, *others))

    @cached_property
    def tolerance(self) -> Tolerance | None:
        """What alone tells wrong results from right ones, where one number an output does."""
        return tolerance_of(self.case, self.verdict) if not self.relates and not self.verdict.unsteady else None

    @cached_property
    def truth(self) -> bool:
        """Whether the base is the float64 truth."""
        return self.compares and self.case.conversion.judged == "float32" and self.tolerance is None

    @property
    def _unsure(self) -> bool:
        """Whether the error is too small for the short bound."""
        sure = self.verdict.unit == "x bound" and self.verdict.severity >= _SIMPLE_BOUND_FROM
        strings = any(t.dtype == "string" for t in self.case.model.output_types)
        unsure = (not sure or jumps(self.case)) and not strings
        return self.truth and self.verdict.kind is Kind.VALUE and unsure

    @cached_property
    def element(self) -> Element | None:
        """The element that the campaign found furthest off, where the error is too small for the short bound."""
        # What is told of an element is of any runtime, which need not be the guilty one unless all are.
        ratios, named = self.verdict.evidence.get("ratios"), self.verdict.evidence.get("runtimes")
        told = isinstance(ratios, dict) and isinstance(named, list | tuple) and ratios and set(ratios) <= set(named)
        if not self._unsure or not told or not alone(self.case) or self.verdict.unit != "x bound":
            return None
        return Element.of(self.case, self.verdict)

    @cached_property
    def tracked(self) -> bool:
        """Whether the script has to measure the campaign's own error bound."""
        return self._unsure and self.element is None

    @property
    def short(self) -> bool:
        """Whether there is one result to judge, so that the short form will do (`plain_text`)."""
        return self.compares and not self.tracked and (plain(self.case) or self.element is not None)

    @property
    def evaluated(self) -> bool:
        """Whether TensorFlow itself computes what is expected."""
        return self.truth or self.modelled or self.eager

    @property
    def as_arguments(self) -> bool:
        """Whether the model is a function of its weights too, so that it can be computed in other dtypes."""
        return self.truth or (self.modelled and not self.short)

    @property
    def eager(self) -> bool:
        """Whether what is expected is TensorFlow's own result."""
        return self.tolerance is not None and self.tolerance.base == EAGER

    @property
    def keras(self) -> bool:
        """Whether a Keras model is converted."""
        return self.case.conversion.entry in KERAS and self.reach is not Stage.REFERENCE

    @cached_property
    def guilty(self) -> tuple[str, ...]:
        """The runtimes at fault, worst first. Names that are no runtime's are passed over.

        LiteRT is left out where TensorFlow's own interpreter is guilty too: one package less to install.
        """
        named = self.verdict.evidence.get("runtimes")
        listed = [str(r) for r in named] if isinstance(named, list | tuple) else []
        known = [r for r in dict.fromkeys((self.verdict.runtime, *listed)) if r in RUNTIMES]
        known = known or list(self.case.inference.runtimes[:1])
        numbers = self.compares or self.verdict.unsteady
        return tuple([r for r in known if r != "litert"] if numbers else known) or ("litert",)

    @property
    def shown(self) -> tuple[str, ...]:
        """The runtimes whose results are shown: TensorFlow's three, and LiteRT where it alone is guilty."""
        return tuple(r for r in RUNTIMES if r != "litert" or "litert" in self.guilty)

    @property
    def samples_needed(self) -> bool:
        """Whether inputs are needed: to run something, or to calibrate."""
        before = self.reach in (Stage.BUILD, Stage.CONVERT, Stage.ALLOCATE)
        calibrates = self.case.conversion.calibrated and self.reach is not Stage.BUILD
        return not before or calibrates or self.compares or self.verdict.unsteady

    @property
    def litert(self) -> bool:
        """Whether LiteRT takes part: as the guilty one, or as the only one that is right."""
        if self.reach in (Stage.BUILD, Stage.REFERENCE, Stage.CONVERT) and not self.verdict.unsteady:
            return False
        return self.guilty[0] == "litert" or (self.tolerance is not None and self.tolerance.base == "litert")
