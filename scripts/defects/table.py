"""The table of injected defects: one entry a kind and scheme."""

from __future__ import annotations

from scripts.defects import converter, kernels, state
from scripts.defects.defect import Defect


def _by_name(defects: list[Defect]) -> dict[str, Defect]:
    table: dict[str, Defect] = {}
    for defect in defects:
        if defect.name in table:
            raise ValueError(f"two defects are called {defect.name!r}")
        if (defect.edit is None) == (defect.tamper is None):
            raise ValueError(f"{defect.name!r} needs an edit or a tamper")
        table[defect.name] = defect
    return table


DEFECTS = _by_name([*converter.defects(), *kernels.defects(), *state.defects()])
"""Every injected defect by name."""
