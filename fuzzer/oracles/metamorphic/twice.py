"""The same interpreter once more: what an invocation leaves behind must not show in the next one."""

from __future__ import annotations

from fuzzer.oracles.metamorphic.relation import Relation, Samples, Work, repeatable


def second_invoke(work: Work) -> Samples:
    """All samples in reverse on another interpreter: each follows another one than before, and another one is first.

    So what sticks to the first invocation shows as well as what the one before leaves behind.
    """
    interpreter = work.interpreter()
    backwards = [work.invoke(interpreter, fed) for fed in reversed(work.feeds)]
    return backwards[::-1]


def kept_inputs(work: Work) -> Samples:
    """Every sample invoked twice and fed once.

    Inputs are never overwritten: `ArenaPlanner::PlanAllocations` (arena_planner.cc) keeps their memory to themselves.
    """
    interpreter = work.interpreter()
    found = []
    for fed in work.feeds:
        work.invoke(interpreter, fed)
        found.append(work.invoke(interpreter, None))
    return found


RELATIONS = (
    Relation(
        "second_invoke",
        "An interpreter gives the same for the same inputs, whatever it was fed before.",
        "a second invocation gives other values",
        "a second invocation fails",
        repeatable,
        second_invoke,
    ),
    Relation(
        "kept_inputs",
        "An invocation leaves its inputs as they are, so that another one without feeding gives the same.",
        "invoking again without feeding gives other values",
        "invoking again without feeding fails",
        repeatable,
        kept_inputs,
    ),
)
