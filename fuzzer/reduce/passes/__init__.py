"""The shrinking passes. Each yields candidates smaller than the case; invalid ones are skipped by the reducer.

To add a pass, write a generator from a case to cases and list it in `passes_of`, cheapest gains first. A pass never
draws at random: the same case gives the same candidates, so that a reduction can be repeated and resumed.
"""

from __future__ import annotations

from fuzzer.reduce.passes.conversion import few_runtimes, plain_conversion, plain_pair, plainer_road
from fuzzer.reduce.passes.edit import Literals, Pass, Recorder, fits
from fuzzer.reduce.passes.numbers import few_samples, few_weights, plain_samples, plain_weights
from fuzzer.reduce.passes.recorded import recorded_operands
from fuzzer.reduce.passes.sizes import (
    drop_axis,
    plain_attributes,
    plain_dtypes,
    shrink_inputs,
    shrink_number,
    shrink_pair,
    small_inputs,
)
from fuzzer.reduce.passes.structure import (
    bypass_adapter,
    bypass_node,
    bypass_pair,
    cut_head,
    cut_tail,
    lone_node,
    no_oddities,
    shared_input,
    single_operand,
    single_output,
)

__all__ = ["PASSES", "Literals", "Pass", "Recorder", "fits", "passes_of"]


def passes_of(record: Recorder | None) -> tuple[Pass, ...]:
    """All passes in order: what takes most away for the fewest executions comes first, pairs of things last.

    `record` tells what TensorFlow computes for a case; without it no value is taken from a run.
    """
    return (
        no_oddities,
        lone_node,
        single_output,
        cut_tail,
        cut_head,
        recorded_operands(record),
        bypass_node,
        bypass_adapter,
        single_operand,
        shared_input,
        plain_conversion,
        few_runtimes,
        plain_dtypes,
        small_inputs,
        shrink_inputs,
        plain_attributes,
        plain_weights,
        plain_samples,
        plainer_road,
        plain_pair,
        drop_axis,
        shrink_number,
        shrink_pair,
        few_weights,
        few_samples,
        bypass_pair,
    )


PASSES: tuple[Pass, ...] = passes_of(None)
"""The passes that need nothing but the case."""
