"""What an oracle says: where, what, and how bad."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """Where in a case's life it happened."""

    BUILD = "build"
    REFERENCE = "reference"
    CONVERT = "convert"
    ALLOCATE = "allocate"
    INVOKE = "invoke"
    COMPARE = "compare"
    METAMORPHIC = "metamorphic"


class Kind(StrEnum):
    """What happened. The spelling is stored; never change one."""

    CRASH = "crash"
    HANG = "hang"
    OUT_OF_MEMORY = "out-of-memory"
    CONVERTER_ERROR = "converter-error"
    ALLOCATE_ERROR = "allocate-error"
    INVOKE_ERROR = "invoke-error"
    OUTPUT_COUNT = "output-count"
    SHAPE = "shape"
    DTYPE = "dtype"
    VALUE = "value"
    NAN_PROPAGATION = "nan-propagation"
    CALIBRATION = "calibration"
    METAMORPHIC = "metamorphic"


DEATHS = frozenset({Kind.CRASH, Kind.HANG, Kind.OUT_OF_MEMORY})
"""Kinds that cost the executor its life."""

SPECIAL_OPERANDS = "special operands"
"""Key of the evidence of a verdict about propagation: NaN, infinity or -0 went into the operator that is blamed."""

GIVEN = "special values given"
"""Key of the evidence of a suspicion: whether NaN or infinity goes in, or comes out of TensorFlow itself."""

ULP = "ulp"
"""Key of the evidence that holds the largest error in units in the last place of the output's largest value."""

TOLERANCE = "tolerance"
"""Key of the evidence: the one number an output that tells wrong from right (`fuzzer.oracles.confirm.tolerance`)."""

SCRIPT_DIES = "script dies"
"""Key of the evidence of an error: a run of the reproducer was killed by a signal before it could say so."""
STEADY = "steady in the model"
"""Key of the evidence of an operator that reads what nobody wrote: in the model there is always the same, and wrong."""

MODEL_ERROR, NOISE, STEP = "model_error", "noise", "step"
"""Keys of the evidence: error against TensorFlow over the largest value of the output, what rounding accounts for of
it, and the step of the output in real units, which no largest value counts for less than."""

MODELS_CONSTANT = "the model's constant"
"""What evidence calls the base where a stored constant is wrong."""

UNSTEADY = "fresh interpreters give different values"
"""Words of the message of an operator that reads memory nobody wrote."""

CONFIRMED_AS = "confirmed as"
"""Key of the evidence that holds the message before the converter's pass was named in it."""
RELATION = "relation tried"
"""Key of the evidence that names the relation a case must name so that what was confirmed shows."""


@dataclass(frozen=True)
class Verdict:
    """One judgement of one case.

    `message` is normalised (no addresses, numbers, paths): equal defects give equal messages. `severity` is a
    number in `unit` ("signal", "s", "MB", "x bound", "steps", "elements", ...); larger is worse within a unit.
    `blame` names the flatbuffer op or the converter where that is known. `evidence` is small, JSON-ready data.
    """

    stage: Stage
    kind: Kind
    message: str
    runtime: str = ""
    severity: float = 0.0
    unit: str = ""
    blame: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def runtimes(self) -> tuple[str, ...]:
        """All runtimes that show it, `runtime` alone where the evidence names no others."""
        return tuple(self.evidence.get("runtimes") or [self.runtime])

    @property
    def unwritten(self) -> bool:
        """Whether an operator reads memory that nobody wrote, or beyond its operands."""
        return self.kind is not Kind.METAMORPHIC and self.message.endswith(UNSTEADY)

    @property
    def unsteady(self) -> bool:
        """Whether because of that no result of the model is the right one."""
        return self.unwritten and not self.evidence.get(STEADY)

    @property
    def confirmed(self) -> Verdict:
        """The verdict in the words that confirmation uses, where its message was sharpened after minimising."""
        words = self.evidence.get(CONFIRMED_AS)
        return replace(self, message=words) if isinstance(words, str) else self

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "stage": self.stage.value,
            "kind": self.kind.value,
            "message": self.message,
            "runtime": self.runtime,
            "severity": self.severity,
            "unit": self.unit,
            "blame": self.blame,
            "evidence": self.evidence,
        }

    @staticmethod
    def from_json(tree: dict[str, Any]) -> Verdict:
        """Reads what `to_json` wrote. Raises `KeyError`, `TypeError` or `ValueError` on anything else."""
        return Verdict(
            Stage(tree["stage"]),
            Kind(tree["kind"]),
            str(tree["message"]),
            str(tree.get("runtime", "")),
            float(tree.get("severity", 0.0)),
            str(tree.get("unit", "")),
            str(tree.get("blame", "")),
            dict(tree.get("evidence", {})),
        )
