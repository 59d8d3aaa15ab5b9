"""The tables of injected defects: one entry a kind and scheme."""

from __future__ import annotations

from scripts.defects import converter, kernels, state
from scripts.defects.defect import Defect


def by_name(defects: list[Defect]) -> dict[str, Defect]:
    """Defects by name. Raises `ValueError` for two of one name, and for one that does nothing or two things."""
    table: dict[str, Defect] = {}
    for defect in defects:
        if defect.name in table:
            raise ValueError(f"two defects are called {defect.name!r}")
        if [defect.edit, defect.tamper, defect.ending].count(None) != 2:
            raise ValueError(f"{defect.name!r} needs an edit, a tamper or an ending")
        table[defect.name] = defect
    return table


DEFECTS = by_name([*converter.defects(), *kernels.defects(), *state.defects()])
"""Every injected defect by name."""
