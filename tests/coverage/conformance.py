"""A program that arms whatever TensorFlow is installed beside it and says, as one JSON line, what came of it.

Runs with any release that coverage is for, so it uses nothing of the package but `fuzzer.coverage` and `fuzzer.native`.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="-1", TF_NUM_INTRAOP_THREADS="2")

import numpy as np
import tensorflow as tf

from fuzzer.coverage import scopes, tables, tripwire
from fuzzer.coverage.tripwire import Hits
from fuzzer.native.library import library


def model(quantise: bool) -> str:
    """Converts two small convolutions and runs them; a digest of the flatbuffer and of the output."""
    rng = np.random.default_rng(5)
    weights = [tf.constant(rng.normal(size=(3, 3, 4, 4)).astype(np.float32)) for _ in range(2)]
    sample = rng.normal(size=(1, 8, 8, 4)).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 4))])
    def traced(x: Any) -> Any:
        for weight in weights:
            x = tf.nn.relu(tf.nn.conv2d(x, weight, 1, "SAME"))
        return tf.nn.softmax(x)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()])
    if quantise:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample * i] for i in range(3))
    content = converter.convert()
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return hashlib.sha256(content + output.tobytes()).hexdigest()


def take_sigtrap() -> bool:
    """Has LLVM, as TensorFlow ships it, install its handlers of deadly signals. Whether that can be called."""
    for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2"):
        library = ctypes.CDLL(str(Path(tf.__file__).parent / name))
        # llvm::sys::PrintStackTraceOnErrorSignal(StringRef, bool): a StringRef is a pointer and a length.
        take = getattr(library, "_ZN4llvm3sys28PrintStackTraceOnErrorSignalENS_9StringRefEb", None)
        if take is not None:
            take(ctypes.c_char_p(b""), ctypes.c_size_t(0), ctypes.c_bool(True))
            return True
    return False


def traps_are_caught() -> bool:
    """Whether this process has a handler for SIGTRAP (proc_pid_status(5))."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("SigCgt:"))
    return bool(int(line.split()[1], 16) >> (signal.SIGTRAP - 1) & 1)


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` gives in a fork; None where it died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


def main() -> None:
    """Prints the report."""
    library()  # before the forks, as the zygote has it
    tf.lite.TFLiteConverter, tf.lite.Interpreter  # noqa: B018  (loads them)
    found = scopes.loaded()
    space, problems = tables.ensure(found, lambda name, share: None)
    hits = Hits(space)

    def plain() -> dict[str, Any]:
        before = traps_are_caught()
        called = take_sigtrap()
        taken = called and traps_are_caught() and not before
        return {"digests": [model(False), model(True)], "taken": taken}

    def armed() -> dict[str, Any]:
        begun = time.perf_counter()
        problem = tripwire.arm(hits.handle)
        arm_s = time.perf_counter() - begun
        news, digests = [], []
        for quantise in (False, True, False, True):
            if len(digests) == 2:
                take_sigtrap()
            digests.append(model(quantise))
            news.append(space.by_scope(hits.take()))
        report = {"problem": problem, "arm_s": arm_s, "digests": digests, "news": news}
        return {**report, "holds": tripwire.holds(), "disarmed": tripwire.disarm()}

    report = {
        "version": tf.__version__,
        "found": found,
        "problems": problems,
        "totals": space.totals,
        "plain": in_child(plain),
        "armed": in_child(armed),
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
