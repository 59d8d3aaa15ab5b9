"""Minimising on request: a finding's sample, or a case from a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fuzzer.campaign import versions
from fuzzer.case import Case, pretty
from fuzzer.disk import write_atomic
from fuzzer.errors import UserError
from fuzzer.execute import Zygote, ZygoteDiedError
from fuzzer.findings.examiner import Examiner
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.replay import Target, targets
from fuzzer.findings.store import FindingStore
from fuzzer.reduce import Budget, reduce, size


def minimize(crashes: Path, what: str, seconds: float) -> str:
    """Minimises and stores the result; returns one sentence. Raises `UserError` when there is nothing to minimise.

    A finding gets a new sample when a smaller one is found; a case file gets a `.minimal.json` beside it.
    """
    (target,) = targets(crashes, what)
    zygote = Zygote()
    try:
        zygote.wait_ready()
        with tempfile.TemporaryDirectory() as folder:
            store = FindingStore(Path(folder), create=True)
            examiner = Examiner(zygote.path, store, versions.installed())
            try:
                small = _smaller(examiner, target, seconds)
            finally:
                examiner.close()
        before, after = size(target.case), size(small)
        if after >= before:
            return f"{target.name} is as small as it gets: {_words(before)}"
        written = _store(zygote, crashes, target, small, Path(what))
    except ZygoteDiedError as dead:
        raise UserError(f"TensorFlow could not be loaded: {dead}") from dead
    finally:
        zygote.stop()
    return f"{target.name}: from {_words(before)} to {_words(after)}; {written}"


def _smaller(examiner: Examiner, target: Target, seconds: float) -> Case:
    seen = examiner.observe(target.case, target.verdict, fresh=True, patient=True)
    if seen.verdict is None:
        raise UserError(f"{target.name} shows nothing to keep while minimising: {seen.why}")
    goal = seen.verdict
    return reduce(target.case, lambda case: examiner.same(case, goal), Budget(seconds, 5000)).case


def _store(zygote: Zygote, crashes: Path, target: Target, small: Case, given: Path) -> str:
    if given.is_file():
        path = given.with_suffix(".minimal.json")
        write_atomic(path, pretty(small))
        return f"written to {path}"
    store = FindingStore(crashes, create=True)
    examiner = Examiner(zygote.path, store, versions.installed(), reduce_seconds=1.0)
    try:
        finding = store.at(target.name)
        outcome = examiner.adopt(Suspicion(small, target.verdict, finding.first_seen))
    finally:
        examiner.close()
    store.rebuild_index()
    if outcome.finding is None:
        return f"not stored: {outcome.why}"
    return f"stored as {outcome.finding.path}"


def _words(measure: tuple[int, int, int, int, int]) -> str:
    nodes, weights, values, *_ = measure
    return f"{nodes} nodes, {weights} weight and {values} value elements"
