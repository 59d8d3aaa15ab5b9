"""NaN and infinity: propagation that differs from the base is a kind of its own, apart from values.

Confirmation tells two things apart: NaN out of finite numbers, which is a wrong result, and NaN or infinity that goes
in and is passed on otherwise than TensorFlow does (`fuzzer.oracles.confirm.propagation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.divergence import Divergence
from fuzzer.oracles.ranges import finite
from fuzzer.oracles.verdict import GIVEN, Kind, Stage, Verdict


def judge(record: CaseRun, divergences: Mapping[str, Divergence]) -> Iterator[Verdict]:
    """One verdict for all runtimes whose NaN or Inf elements are not the base's."""
    guilty = [d for d in divergences.values() if d.specials]
    if not guilty or record.case.model.random:
        return
    worst = max(guilty, key=lambda d: d.specials)
    yield Verdict(
        Stage.COMPARE,
        Kind.NAN_PROPAGATION,
        f"NaN or Inf where {worst.base} has none, or the reverse",
        worst.runtime,
        float(worst.specials),
        "elements",
        evidence={
            "runtimes": [d.runtime for d in guilty],
            "base": worst.base,
            "operators": list(record.flat.operators) if record.flat else [],
            GIVEN: not all(finite(x) for values in (*record.samples, *record.reference) for x in values),
        },
    )
