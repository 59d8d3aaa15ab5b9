"""Reproducers: a finding as a page of Python that needs TensorFlow and NumPy, and nothing of ours."""

from fuzzer.reproducer.script import reproducer

__all__ = ["reproducer"]
