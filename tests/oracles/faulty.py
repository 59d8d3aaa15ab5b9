"""An interpreter with a planted fault, for the relations that must find it. Wraps a real one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np

FAULTS = {
    "second_invoke": "stale",
    "kept_inputs": "overwritten",
    "reallocate": "allocated_twice",
    "resize_back": "resized",
    "preserve_all": "preserved",
    "threads": "threaded",
    "round_trip": "repacked",
    "node_order": "other_file",
    "batch_rows": "first_row",
    "batch_split": "alone",
    "entry": "other_file",
    "unfused": "other_file",
}
"""By relation, a fault that only breaks its promise."""
RAISED = "tensorflow/lite/kernels/pad.cc:7 a != b (1 != 2)\nNode number 0 (PAD) failed to prepare."


class Faulty:
    """A real interpreter whose results are off by a half when the fault shows."""

    made = 0
    original = b""
    """The first flatbuffer that was run."""

    def __init__(self, inner: Any, fault: str, content: bytes, options: dict[str, Any]) -> None:
        if not Faulty.original:
            Faulty.original = content
        Faulty.made += 1
        self._inner, self._fault, self._options = inner, fault, options
        self._other, self._number = content != Faulty.original, Faulty.made
        self._allocated, self._resized, self._fed = 0, 0, 0
        self._before: dict[int, Any] = {}
        self._now: dict[int, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def allocate_tensors(self) -> None:
        self._allocated += 1
        if self._allocated > 1 and self._fault == "raises":
            raise RuntimeError(RAISED)
        if self._allocated > 1 and self._fault == "aborts":
            os.abort()
        self._inner.allocate_tensors()

    def resize_tensor_input(self, index: int, shape: Any, **options: Any) -> None:
        self._resized += 1
        self._inner.resize_tensor_input(index, shape, **options)

    def set_tensor(self, index: int, value: Any) -> None:
        self._fed = value.shape[0] if value.ndim else 0
        self._inner.set_tensor(index, value)

    def invoke(self) -> None:
        self._before = self._now
        self._inner.invoke()
        self._now = {d["index"]: self._inner.get_tensor(d["index"]) for d in self._inner.get_output_details()}
        if self._fault == "overwritten":
            for detail in self._inner.get_input_details():
                self._inner.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))

    def get_tensor(self, index: int) -> Any:
        value = self._now.get(index)
        if value is None:
            return self._inner.get_tensor(index)
        if self._fault == "stale":
            return self._before.get(index, value)
        off = (np.ones if self._shows() else np.zeros)(value.shape)
        if self._fault == "first_row" and value.ndim:
            off = np.zeros(value.shape)
            off[:1] = 1.0
        by = 0.5 if value.dtype.kind == "f" else 9
        return (value + by * off).astype(value.dtype)

    def _shows(self) -> bool:
        return {
            "allocated_twice": self._allocated > 1,
            "resized": self._resized > 2,
            "preserved": "experimental_preserve_all_tensors" in self._options,
            "threaded": self._options.get("num_threads", 1) == 4,
            "other_file": self._other,
            "alone": self._fed == 1,
            "fresh": self._number % 2 == 0,
        }.get(self._fault, False)


def faulty(maker: Callable[..., Any], fault: str) -> Callable[..., Any]:
    """A maker of `fuzzer.execute.runtimes` whose interpreters have the fault."""

    def make(content: bytes, threads: int, **options: Any) -> Any:
        return Faulty(maker(content, threads, **options), fault, content, {"num_threads": threads, **options})

    return make


def faulty_class(original: Callable[..., Any], fault: str) -> Callable[..., Any]:
    """What stands in for `tf.lite.Interpreter`."""

    def make(model_content: bytes, **options: Any) -> Any:
        return Faulty(original(model_content=model_content, **options), fault, model_content, options)

    return make


@contextmanager
def repacking(fault: str) -> Iterator[None]:
    """`flatbuffer_utils` writes another first weight, where that is the fault."""
    from tensorflow.lite.tools import flatbuffer_utils

    sound = flatbuffer_utils.convert_object_to_bytearray

    def wrong(model: Any, **options: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith("tensorflow"):
            return sound(model, **options)  # the converter's own use
        large = [i for i, b in enumerate(model.buffers) if b.data is not None and len(b.data) >= 256]
        if large:  # an operator alone may have no weights
            model, buffer = copy(model), copy(model.buffers[large[0]])
            buffer.data = np.array(buffer.data, np.uint8)
            buffer.data[:4] = np.frombuffer(np.float32(9.0).tobytes(), np.uint8)
            model.buffers = [buffer if i == large[0] else b for i, b in enumerate(model.buffers)]
        return sound(model, **options)

    if fault == "repacked":
        flatbuffer_utils.convert_object_to_bytearray = wrong
    try:
        yield
    finally:
        flatbuffer_utils.convert_object_to_bytearray = sound


def planted(request: dict[str, Any], stage: Any) -> dict[str, Any]:
    """Runs in an executor: judges and confirms a case while one runtime has a fault."""
    from fuzzer.case.codec import from_json
    from fuzzer.execute import runtimes
    from fuzzer.execute.target import execute
    from fuzzer.oracles import metamorphic
    from fuzzer.oracles.confirm import confirm

    case, sound = from_json(request["case"]), dict(runtimes.MAKERS)
    Faulty.made, Faulty.original = 0, b""
    try:
        if request["fault"]:
            runtimes.MAKERS["tf-builtin"] = faulty(sound["tf-builtin"], request["fault"])
        with repacking(request["fault"]):
            record = execute(case, stage)
            assert record.content and all(run.complete for run in record.runs.values())
            verdicts = list(metamorphic.judge(record, record.divergences))
            told = [confirm(record, verdict, stage) for verdict in verdicts]
    finally:
        runtimes.MAKERS.update(sound)
    return {
        "unrelated": record.unrelated,
        "tried": sorted(record.variants),
        "verdicts": [v.to_json() for v in verdicts],
        "confirmed": told,
        "seconds": record.timings.get("metamorphic", 0.0),
    }
