"""What the campaign is guided by: features of an execution, and the counters libFuzzer reads."""

from fuzzer.coverage.features import FAMILIES, features

__all__ = ["FAMILIES", "features"]
