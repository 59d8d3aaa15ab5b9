"""Mutators of the road through the converter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from fuzzer.case import Conversion
from fuzzer.case.conversion import MAX_SWITCHES, QAT_BITS, V1_SCHEMES
from fuzzer.mutate import draw
from fuzzer.mutate.draft import Draft


def change_scheme(draft: Draft, rng: Random) -> None:
    """Draws another quantisation scheme and everything that belongs to one."""
    draft.conversion = draw.with_scheme(rng, draft.conversion, draw.scheme(rng))


_FLAGS: dict[str, Callable[[Conversion, Random], object]] = {
    "io": lambda old, rng: rng.choice(old.allowed_io()),
    "per_channel": lambda old, _: not old.per_channel,
    "fallback": lambda old, _: not old.fallback,
    "op_set": lambda old, rng: "builtins" if old.op_set == "select_tf" or rng.random() < 0.8 else "select_tf",
    "unfold_batch_matmul": lambda old, _: not old.unfold_batch_matmul,
    "calibration": lambda _, rng: rng.choice((1, 2, 4, 8)),
    "optimizations": lambda old, rng: rng.choice(old.allowed_optimizations()),
    "representative": lambda _, rng: draw.representative(rng),
    "qat_bits": lambda _, rng: rng.choice(QAT_BITS),
    "qat_symmetric": lambda old, _: not old.qat_symmetric,
    "qat_dense": lambda old, rng: not old.qat_dense and rng.random() < 0.3,
    "ranges": lambda _, rng: draw.ranges(rng),
}
"""A new value for each field that one edit may change."""
_ALWAYS = ("io", "per_channel", "fallback", "op_set", "unfold_batch_matmul", "calibration", "optimizations")


def toggle_flag(draft: Draft, rng: Random) -> None:
    """Changes one field of those that mean something under the scheme."""
    old = draft.conversion
    own: tuple[str, ...] = ()
    if old.calibrated:
        own = ("representative",)
    elif old.scheme == "qat":
        own = ("qat_bits", "qat_symmetric", "qat_dense", "ranges")
    elif old.scheme in V1_SCHEMES:
        own = ("ranges",)
    name = rng.choice((*_ALWAYS, *own))
    draft.conversion = replace(old, **{name: _FLAGS[name](old, rng)}).repaired()  # type: ignore[arg-type]


def toggle_switch(draft: Draft, rng: Random) -> None:
    """Takes one switch back, or sets others."""
    old = dict(draft.conversion.switches)
    if old and rng.random() < 0.6:
        del old[rng.choice(sorted(old))]
    else:
        old.update(draw.switches(rng))
    kept = sorted(old)[:MAX_SWITCHES]
    draft.conversion = replace(draft.conversion, switches={name: old[name] for name in kept}).repaired()


def toggle_dynamic(draft: Draft, rng: Random) -> None:
    """Hides axes of the inputs from the converter, or shows them again."""
    old = draft.conversion
    dynamic = "none" if old.dynamic != "none" and rng.random() < 0.7 else draw.dynamic(rng)
    draft.conversion = replace(old, dynamic=dynamic).repaired()


def change_entry(draft: Draft, rng: Random) -> None:
    """Enters the converter by another road; a scheme that cannot take it changes too."""
    draft.conversion = draft.conversion.over(draw.entry(rng))
