"""What an empty corpus starts from."""

from __future__ import annotations

from random import Random

from fuzzer.errors import GenerateAnother
from fuzzer.mutate import generate
from fuzzer.ops import registry
from fuzzer.patterns import patterns


def seeds(seed: int) -> list[bytes]:
    """One case a pattern and one an op, as canonical JSON, so that all are seen soon."""
    rng = Random(seed)
    wanted = [{"pattern": pattern} for pattern in patterns().values()] + [{"op": op} for op in registry().values()]
    made = []
    for one in wanted:
        try:
            made.append(generate(rng, **one).canonical)
        except GenerateAnother:
            continue  # an op that nothing fits (a plugin's, say) shows in `health` by its absence
    return made
