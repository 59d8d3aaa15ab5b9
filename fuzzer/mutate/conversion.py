"""Mutators of the road through the converter."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from fuzzer.case import IO_DTYPES
from fuzzer.mutate import draw
from fuzzer.mutate.draft import Draft


def change_scheme(draft: Draft, rng: Random) -> None:
    """Draws another quantisation scheme and an I/O dtype it allows."""
    scheme = draw.scheme(rng)
    moved = replace(draft.conversion, scheme=scheme, io=rng.choice(IO_DTYPES[scheme]))
    draft.conversion = moved.repaired()


def toggle_flag(draft: Draft, rng: Random) -> None:
    """Flips one switch."""
    old = draft.conversion
    field = rng.choice(("io", "per_channel", "fallback", "op_set", "unfold_batch_matmul", "calibration"))
    changes: dict[str, object] = {
        "io": rng.choice(IO_DTYPES[old.scheme]),
        "per_channel": not old.per_channel,
        "fallback": not old.fallback,
        "op_set": "builtins" if old.op_set == "select_tf" or rng.random() < 0.8 else "select_tf",
        "unfold_batch_matmul": not old.unfold_batch_matmul,
        "calibration": rng.choice((1, 2, 4, 8)),
    }
    draft.conversion = replace(old, **{field: changes[field]}).repaired()  # type: ignore[arg-type]


def change_entry(draft: Draft, rng: Random) -> None:
    """Enters the converter by another road."""
    draft.conversion = replace(draft.conversion, entry=draw.entry(rng))
