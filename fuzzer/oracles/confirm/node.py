"""One operator of a flatbuffer under one runtime: how far it is from what it should give."""

from __future__ import annotations

from dataclasses import dataclass

from fuzzer.convert.flatbuffer import FlatOp

UNJUDGED = frozenset(
    {
        *("WHILE", "IF", "CALL", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"),
        *("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE"),
        *("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "SVDF"),
        *("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL", "STABLEHLO_RNG_BIT_GENERATOR"),
    }
)
"""State, sub-graphs and chance: the operator alone is not what runs in the model."""


@dataclass(frozen=True)
class NodeDivergence:
    """One operator under `runtime` against the base, in bounds (`ratio` above 1 is a defect)."""

    position: int
    op: FlatOp
    runtime: str
    ratio: float
    apart: float
    unit: str
    index: tuple[int, ...]
    expected: float
    actual: float
    specials: int
    sample: int = 0
    shape: tuple[int, ...] = ()
