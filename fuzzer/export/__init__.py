"""Findings as pytest files that a maintainer of TensorFlow can drop into a tree; nothing of ours in them."""

from fuzzer.export.files import Exported, export

__all__ = ["Exported", "export"]
