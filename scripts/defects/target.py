"""The campaign's target with a defect in it: what `scripts/bench oracles` runs.

A request is the stock target's with `"defect": NAME` (of `DEFECTS` or `PLANTED`), and every command works as it does
there.
Of its own this target has `inject`: one clean and one defective execution of a case, judged and compared, and `steps`.
Replies say what they took in seconds of processor time, which a busy machine does not change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

import numpy as np

from fuzzer.case import Case
from fuzzer.case.codec import from_json
from fuzzer.execute import runtimes, target
from fuzzer.execute.record import CaseRun
from fuzzer.execute.stage import StageCell
from fuzzer.execute.target import prepare
from scripts.defects import results
from scripts.defects.defect import Defect, Party
from scripts.defects.endings import EndingInterpreter, end
from scripts.defects.flat import Edited
from scripts.defects.planted import PLANTED
from scripts.defects.stepped import InjectionError, SteppedInterpreter
from scripts.defects.table import DEFECTS

__all__ = ["load", "prepare", "run"]

IN_HAND = "PLANTED_DEFECT_FILE"
"""Environment variable with the path of a file that holds the name of a defect."""
VISIBLE = 1e-5
"""A result that moves by less than this share of the largest shows no effect that could be judged: 84 ulp of a float.
One step of an int16 is three times as much."""
_guilty: list[dict[str, Any]] = []
"""The converter's last edit: which operator, and which tensors it writes."""


def load() -> None:
    """As the campaign's."""
    target.load()


@contextmanager
def always_audited() -> Iterator[None]:
    """Every quantised case is audited: what the oracles can see is measured, not how often they look."""
    from fuzzer.oracles import audit

    with patch.multiple(audit, ONE_IN=1, CONVERTED_ONE_IN=1):
        yield


def run(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """A request with its defect in place."""
    if request["command"] == "inject":
        with always_audited():
            return inject(from_json(request["case"]), DEFECTS[request["defect"]], stage)
    if request["command"] == "disputed":
        from fuzzer.oracles.confirm import nodewise

        clean = target.execute(from_json(request["case"]), stage)
        return {"disputed": nodewise.first_dispute(clean) is not None}
    if request["command"] == "steps":
        from scripts.defects.steps import steps

        case = from_json(request["case"])
        with planted(DEFECTS[request["defect"]], case) if "defect" in request else nullcontext():
            return steps(case, stage)
    begun = process_time()
    name = request["defect"] if "defect" in request else in_hand()
    if not name:
        reply = target.run(request, stage)
        return {**reply, "took_s": process_time() - begun}
    with always_audited(), planted(_named(name), from_json(request["case"])):
        reply = target.run(request, stage)
    return {**reply, "took_s": process_time() - begun, "guilty": _guilty[-1:]}


def _named(name: str) -> Defect:
    return PLANTED[name].defect if name in PLANTED else DEFECTS[name]


def in_hand() -> str:
    """The defect that requests have which name none: it is written in the file that `IN_HAND` names; empty for none.

    So the product's own code, which knows of no defects, runs on a stack that has one. Every request adds a byte to the
    file beside it that ends in `.count`.
    """
    path = os.environ.get(IN_HAND)
    if not path:
        return ""
    with Path(f"{path}.count").open("ab") as count:
        count.write(b".")
    return Path(path).read_text()


def inject(case: Case, defect: Defect, stage: StageCell) -> dict[str, Any]:
    """What the oracles say of a case without and with a defect, and whether the defect changed anything."""
    from fuzzer.oracles import judge_all

    clean = target.execute(case, stage)
    if not clean.content or not _applies(defect, clean, case):
        return {"applied": False}
    before = judge_all(clean)
    if before:
        return {"applied": False, "loud": True}
    with planted(defect, case):
        broken = target.execute(case, stage)
        after = judge_all(broken)
    return {
        "applied": True,
        "effect": effect(clean, broken),
        "operators": [op.name for op in clean.flat.ops] if clean.flat else [],
        "verdicts": [v.to_json() for v in after],
        "guilty": _guilty[-1:],
    }


@contextmanager
def planted(defect: Defect, case: Case) -> Iterator[None]:
    """The stack with a defect in it."""
    _guilty.clear()
    results.forget()
    with ExitStack() as stack:
        if defect.party is Party.CONVERTER:
            for owner in _converters():
                wrapped = _editing(owner.convert, defect, case)
                stack.enter_context(patch.object(owner, "convert", wrapped))
        for name in defect.runtimes:
            stack.enter_context(patch.dict(runtimes.MAKERS, {name: _maker(runtimes.MAKERS[name], defect, case)}))
        yield


def effect(clean: CaseRun, broken: CaseRun) -> float:
    """The largest change of a result, as a share of the largest number there; 1e30 where a run fails or is odd."""
    worst = 0.0
    for name, run in clean.runs.items():
        other = broken.runs.get(name)
        if not run.complete:
            continue
        if other is None or not other.complete:
            return 1e30
        if len({len(outputs) for outputs in (*run.samples, *other.samples)}) > 1:
            return 1e30
        for o in range(len(run.samples[0])):
            pairs = [(left[o], right[o]) for left, right in zip(run.samples, other.samples, strict=True)]
            top = max((_largest(before) for before, _ in pairs), default=0.0)
            worst = max([worst, *(_change(before, after, top) for before, after in pairs)])
    return worst


def _largest(value: Any) -> float:
    """The largest finite magnitude."""
    if value.size == 0 or value.dtype.kind not in "fiu":
        return 0.0
    wide = np.abs(value.astype(np.float64))
    return float(np.max(wide, initial=0.0, where=np.isfinite(wide)))


def _change(before: Any, after: Any, top: float) -> float:
    if before.shape != after.shape or before.dtype != after.dtype:
        return 1e30
    if before.size == 0 or np.array_equal(before, after, equal_nan=before.dtype.kind == "f"):
        return 0.0
    if before.dtype.kind not in "fiu":
        return 1.0
    fine = np.isfinite(before) & np.isfinite(after)
    if not np.array_equal(np.isfinite(before), np.isfinite(after)):
        return 1e30
    if not fine.any():
        return 0.0
    apart = np.abs(before[fine].astype(np.float64) - after[fine].astype(np.float64))
    return float(apart.max() / max(top, 1e-30))


# --- where defects are put --------------------------------------------------------------------------------


@cache
def _converters() -> tuple[Any, ...]:
    """The converter classes that have a `convert` of their own."""
    from tensorflow.lite.python import lite

    classes = [c for c in vars(lite).values() if isinstance(c, type) and "convert" in vars(c)]
    return tuple(dict.fromkeys(classes))


_depth = 0


def _editing(convert: Callable[..., Any], defect: Defect, case: Case) -> Callable[..., Any]:
    def edited(self: Any, *args: Any, **kwargs: Any) -> Any:
        global _depth
        _depth += 1
        try:
            content = convert(self, *args, **kwargs)
        finally:
            _depth -= 1
        return content if _depth else edited_content(bytes(content), defect, case)

    return edited


def edited_content(content: bytes, defect: Defect, case: Case) -> bytes:
    """The flatbuffer with its first fitting operator changed."""
    model = Edited(content)
    for position, op in enumerate(list(model.graph.operators)):
        if not _matches(defect, model, op, case):
            continue
        if defect.ending is not None:
            end(defect.ending, model.name(op))
        elif _edit(defect, model, op, case):
            names = [bytes(model.tensor(int(i)).name or b"").decode(errors="replace") for i in op.outputs]
            _guilty.append({"position": position, "operator": defect.operator, "tensors": names})
            return model.content()
    return content


def _matches(defect: Defect, model: Edited, op: Any, case: Case) -> bool:
    if model.name(op) not in defect.operator.split("|") or (defect.kinds and model.kind(op) not in defect.kinds):
        return False
    return defect.when is None or defect.when(model, op, case)


def _maker(make: Callable[..., Any], defect: Defect, case: Case) -> Callable[..., Any]:
    def made(content: bytes, threads: int, **options: Any) -> Any:
        model = Edited(content)
        guilty = [op for op in model.graph.operators if _matches(defect, model, op, case)]
        if not guilty:
            return make(content, threads, **options)
        if defect.ending is not None:
            results = frozenset(int(i) for op in guilty for i in op.outputs)
            return EndingInterpreter(make(content, threads, **options), defect.ending, model.name(guilty[0]), results)
        if defect.tamper is not None:
            return SteppedInterpreter(
                make, content, threads, options, lambda m, op: _matches(defect, m, op, case), defect.tamper
            )
        changed = [_edit(defect, model, op, None) for op in guilty]
        return make(model.content() if any(changed) else content, threads, **options)

    return made


def _applies(defect: Defect, clean: CaseRun, case: Case) -> bool:
    model = Edited(clean.content)
    fitting = [op for op in model.graph.operators if _matches(defect, model, op, case)]
    if defect.tamper is not None:
        return bool(fitting)
    given = case if defect.party is Party.CONVERTER else None
    return any(_edit(defect, model, op, given) for op in fitting)


def _edit(defect: Defect, model: Edited, op: Any, case: Case | None) -> bool:
    assert defect.edit is not None
    try:
        return defect.edit(model, op, case)
    except (ArithmeticError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as mistake:
        raise InjectionError(f"the edit of {defect.name}") from mistake
