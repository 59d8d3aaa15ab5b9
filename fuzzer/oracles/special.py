"""NaN and infinity: propagation that differs from the base is a kind of its own, apart from values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.divergence import Divergence
from fuzzer.oracles.verdict import Kind, Stage, Verdict


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
        },
    )
