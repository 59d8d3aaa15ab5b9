"""Processes that may die: zygote, executors, and how their owners watch them."""

from fuzzer.execute.client import Death, Executor, Limits, Reply, Zygote, ZygoteDiedError
from fuzzer.execute.stage import JUDGING, StageCell

__all__ = ["JUDGING", "Death", "Executor", "Limits", "Reply", "StageCell", "Zygote", "ZygoteDiedError"]
