"""Another number of threads: how work is cut into pieces must not show beyond rounding.

Released kernels are not bit-identical: with several threads the optimised float convolution multiplies its matrices by
another library, which sums in another order (measured: 48 of 950 generated cases, all of them `tf-builtin`), and its
8-bit MEAN rounds otherwise by a step.
"""

from __future__ import annotations

from fuzzer.oracles.metamorphic.relation import Relation, Samples, Work, all_same, repeatable

THREADS = (1, 2, 4)


def threads(work: Work) -> Samples:
    """The outputs under the other numbers of threads: the first that are not those of the first, or the last."""
    found = expected = work.all(work.interpreter())
    for count in THREADS:
        if count != work.threads:
            found = work.all(work.interpreter(threads=count))
            if not all_same(found, expected):
                break
    return found


RELATIONS = (
    Relation(
        "threads",
        "The number of threads does not change what a model computes.",
        "another number of threads gives other values",
        "another number of threads fails",
        repeatable,
        threads,
        exact=False,
        exact_integers=False,
    ),
)
