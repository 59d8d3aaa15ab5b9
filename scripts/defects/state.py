"""Defects of the interpreter around the kernels: state, memory, threads. No operator alone shows them."""

from __future__ import annotations

from scripts.defects import results
from scripts.defects.converter import CONV, DENSE
from scripts.defects.defect import ONE_RELEASE, OPTIMISED, REFERENCE, XNNPACK, Defect, Party, Tamper

_POOL = ("max_pool", "relu_max_pool", "conv_pool")


def _of(
    kind: str,
    operator: str,
    scheme: str,
    runtimes: tuple[str, ...],
    draw: tuple[str, ...],
    tamper: Tamper,
    threads: int = 1,
) -> Defect:
    return Defect(kind, scheme, Party.RUNTIME, operator, draw, runtimes, (), None, tamper, threads)


def defects() -> list[Defect]:
    """All of them."""
    r = results
    return [
        _of("stale tensor on the second invoke", "CONV_2D", "float32", XNNPACK, CONV, r.stale),
        _of("stale tensor on the second invoke", "MAX_POOL_2D", "int8", ONE_RELEASE, _POOL, r.stale),
        _of("stale tensor on the second invoke", "FULLY_CONNECTED", "int8", OPTIMISED, DENSE, r.stale),
        _of("stale tensor on the second invoke", "FULLY_CONNECTED", "dynamic", XNNPACK, DENSE, r.stale),
        _of("adds to the result before", "FULLY_CONNECTED", "float32", OPTIMISED, DENSE, r.accumulates),
        _of("adds to the result before", "CONV_2D", "int16x8", REFERENCE, CONV, r.accumulates),
        _of("two tensors share memory", "CONV_2D", "float32", OPTIMISED, CONV, r.overwritten),
        _of("two tensors share memory", "CONV_2D", "int8", XNNPACK, CONV, r.overwritten),
        _of("two tensors share memory", "CONV_2D", "int8", REFERENCE, CONV, r.overwritten),
        _of("threads race", "FULLY_CONNECTED", "float32", XNNPACK, DENSE, r.racing, 4),
        _of("threads race", "CONV_2D", "int8", XNNPACK, CONV, r.racing, 4),
        _of("another number every time", "FULLY_CONNECTED", "float32", ONE_RELEASE, DENSE, r.chance),
        _of("another number every time", "CONV_2D", "int8", OPTIMISED, CONV, r.chance),
    ]
