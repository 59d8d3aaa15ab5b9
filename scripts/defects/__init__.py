"""Injected defects: what `scripts/bench oracles` measures the oracles' sensitivity with.

Nothing of this is part of the product, and no oracle knows of it. A defect is put below the oracles: into the bytes
that the converter returns (`Party.CONVERTER`), or into the interpreters that a runtime's maker returns
(`Party.KERNEL`): whoever makes an interpreter of that runtime, for a whole model or for one operator of it, gets the
defective one. `DEFECTS` is the one list.
"""

from __future__ import annotations

from scripts.defects.defect import Defect, Party
from scripts.defects.table import DEFECTS

__all__ = ["DEFECTS", "Defect", "Party"]
