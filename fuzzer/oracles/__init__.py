"""Oracles: each decides one question about one execution.

`ORACLES` is the one list. To add an oracle, write a module with a function `judge(record, divergences)` that
yields verdicts and list it here. The rule for every oracle: what it reports, an upstream maintainer would call a
defect, once confirmed (`fuzzer.oracles.confirm`); everything else is a feature for guidance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fuzzer.oracles.verdict import DEATHS, Kind, Stage, Verdict

if TYPE_CHECKING:
    from fuzzer.execute.record import CaseRun
    from fuzzer.oracles.divergence import Divergence

Judge = Callable[["CaseRun", Mapping[str, "Divergence"]], Iterable[Verdict]]


def oracles() -> dict[str, Judge]:
    """Every oracle by name. The modules need NumPy, which owners of executors do without."""
    from fuzzer.oracles import audit, calibration, errors, metamorphic, signature, special, value

    return {
        "errors": errors.judge,
        "calibration": calibration.judge,
        "metamorphic": metamorphic.judge,
        "signature": signature.judge,
        "special": special.judge,
        "value": value.judge,
        "audit": audit.judge,
    }


def judge_all(record: CaseRun, audited: bool = True) -> list[Verdict]:
    """What all oracles say of an execution; but for the audit, none of them runs native code."""
    asked = [judge for name, judge in oracles().items() if audited or name != "audit"]
    return [verdict for judge in asked for verdict in judge(record, record.divergences)]


def statistics(record: CaseRun) -> dict[str, Any]:
    """The divergence of every runtime as plain numbers, for the screens."""
    return {
        runtime: {
            "relative": _number(d.relative),
            "to_tensorflow": _number(d.to_tensorflow),
            "steps": d.steps,
            "specials": d.specials,
        }
        for runtime, d in record.divergences.items()
    }


def _number(value: float) -> float:
    return value if math.isfinite(value) else 1e30


__all__ = ["DEATHS", "Kind", "Stage", "Verdict", "judge_all", "oracles", "statistics"]
