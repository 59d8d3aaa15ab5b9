"""A target without TensorFlow that dies, hangs, leaks and floods when it is told to.

`{"do": NAME, ...}` calls the function `do_NAME` below: for tests of the executor. `{"command": "run", "case": ...}` is
answered as the real target would, with features made from the case itself, so that whole campaigns run in seconds.
What the campaign target does for which op is read from the environment (a campaign's zygote inherits it):

    TINY_DEADLY  `tanh:abort,elu:hang`: ops whose cases do that
    TINY_VALUE   ops whose cases have a value divergence, confirmed as often as asked
    TINY_WORDS   `tanh:another message`: what is said of one of those instead of "wrong values"
    TINY_AUDIT   ops whose cases die of being audited, where they are
    TINY_DELAY_S seconds of every case
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from fuzzer.case.codec import from_json
from fuzzer.execute.stage import StageCell

_kept: list[bytes] = []
_scratch = ""
_prepared = 0


def load() -> None:
    """Nothing to load."""


def prepare(scratch: str) -> None:
    global _scratch, _prepared
    _scratch = scratch
    _prepared += 1


def run(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    if "do" in request:
        if "stage" in request:
            stage.set(*request["stage"].split(" "))
        if "say" in request:
            os.write(2, request["say"].encode())
        reply = globals()[f"do_{request['do']}"](request)
        return reply if isinstance(reply, dict) else {}
    return _campaign(request, stage)


# --- on request -------------------------------------------------------------------------------------------


def do_echo(request: dict[str, Any]) -> dict[str, Any]:
    return {"echo": request.get("value"), "pid": os.getpid(), "scratch": _scratch, "prepared": _prepared}


def do_abort(request: dict[str, Any]) -> None:
    os.abort()


def do_segfault(request: dict[str, Any]) -> None:
    ctypes.string_at(0)


def do_fpe(request: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGFPE)


def do_killed(request: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def do_hang(request: dict[str, Any]) -> None:
    while True:
        pass


def do_hang_in_c(request: dict[str, Any]) -> None:
    """Never leaves C code: no Python signal handler gets a turn."""
    re.match("(a+)+$", "a" * 64 + "b")


def do_sleep(request: dict[str, Any]) -> None:
    time.sleep(3600)


def do_leak(request: dict[str, Any]) -> None:
    while True:
        _kept.append(b"x" * (8 << 20))
        time.sleep(0.002)


def do_grow(request: dict[str, Any]) -> dict[str, Any]:
    _kept.append(b"x" * (request["mb"] << 20))
    return {"pid": os.getpid()}


def do_print(request: dict[str, Any]) -> dict[str, Any]:
    for i in range(request["mb"]):
        os.write(1 + i % 2, b"%07d\n" % i * (1 << 17))
    os.write(2, request.get("last", "").encode())
    if request.get("die"):
        os.abort()
    return {"size": os.fstat(2).st_size}


def do_flood(request: dict[str, Any]) -> None:
    while True:
        try:
            os.write(2, b"y" * (1 << 20))
        except OSError:
            time.sleep(0)


def do_raise(request: dict[str, Any]) -> None:
    raise ValueError("planted by the test")


def do_exit(request: dict[str, Any]) -> None:
    os._exit(3)


def do_system_exit(request: dict[str, Any]) -> None:
    sys.exit(4)


def do_big(request: dict[str, Any]) -> dict[str, Any]:
    return {"data": "z" * (request["mb"] << 20)}


def do_babble(request: dict[str, Any]) -> None:
    """Writes rubbish where replies go, as a process with a damaged heap might."""
    for handle in range(3, 64):
        try:
            if str(Path(f"/proc/self/fd/{handle}").readlink()).startswith("socket:"):
                os.write(handle, b"\xff" * 64)
        except OSError:
            continue
    time.sleep(3600)


def do_planted(request: dict[str, Any]) -> None:
    """Calls a function of a shared library that the test has compiled."""
    getattr(ctypes.CDLL(request["library"]), request["function"])(*request.get("arguments", ()))


def do_litter(request: dict[str, Any]) -> None:
    Path(_scratch, "saved_model_1").mkdir()
    os.abort()


# --- as in a campaign -------------------------------------------------------------------------------------


def _campaign(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    if request["command"] == "switches":
        return {"switches": {"allow_custom_ops": [True]}, "schemes": []}
    case = from_json(request["case"])
    stage.set("convert")
    begun = time.perf_counter()
    time.sleep(float(os.environ.get("TINY_DELAY_S", "0")))
    ops = [node.op for node in case.model.nodes]
    for pair in filter(None, os.environ.get("TINY_DEADLY", "").split(",")):
        op, _, what = pair.partition(":")
        if op in ops:
            os.write(2, b"F0000 00:00:1.5 7 planted.cc:12] Check failed: planted for " + op.encode() + b"\n")
            globals()[f"do_{what}"]({})
    if request.get("audited", True) and set(ops) & set(os.environ.get("TINY_AUDIT", "").split(",")):
        stage.set("judge")
        do_abort({})
    wrong = next((op for op in os.environ.get("TINY_VALUE", "").split(",") if op in ops), "")
    told = dict(pair.split(":") for pair in filter(None, os.environ.get("TINY_WORDS", "").split(",")))
    verdict = {
        "stage": "compare",
        "kind": "value",
        "message": f"planted {wrong}: {told.get(wrong, 'wrong values')}",
        "runtime": "tf-xnnpack",
        "severity": 5.0,
        "unit": "steps",
        "blame": wrong,
        "evidence": {"runtimes": ["tf-xnnpack"], "index": [0]},
    }
    if request["command"] == "confirm":
        return {"verdict": verdict if wrong else None, "why": "planted" if wrong else "nothing there"}
    if request["command"] == "values":
        return {"values": {}}
    if request["command"] == "save":
        return {"saved": [], "log": ""}
    scheme = case.conversion.scheme
    features = {f"op:{op}/{scheme}" for op in ops} | {f"pair:{a}>{b}" for a, b in pairwise(ops)}
    features |= {f"flat:{node.op}/{sorted(node.attrs.items())!r:.40}" for node in case.model.nodes}
    relative = 0.5 if wrong else 1e-6
    one = {"relative": relative, "to_tensorflow": relative, "steps": None, "specials": 0}
    return {
        "built": True,
        "converted": True,
        "refusal": "",
        "verdicts": [verdict] if wrong else [],
        "features": sorted(features),
        "statistics": {"tf-xnnpack": one, "tf-builtin": {**one, "relative": 0.0}},
        "under_test_s": time.perf_counter() - begun,
        "timings": {"convert": 0.001},
        "total_s": time.perf_counter() - begun,
    }
