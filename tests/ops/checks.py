"""Checks that need TensorFlow; they run inside an executor (see tests/execute/real.py)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzzer.build import constants, keras_model, run_eager, samples_of, trace, weights_of
from fuzzer.build.keras_model import layer_fits
from fuzzer.execute.stage import StageCell
from fuzzer.ops import registry
from tests.ops.nodes import drawn_case


def shapes(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """Builds drawn nodes eagerly and traced; returns what is not as inferred."""
    import tensorflow as tf

    op = registry()[request["op"]]
    wrong = []
    for seed in range(request["nodes"]):
        case = drawn_case(op, seed)
        stage.set("build", case.id)
        want = case.model.output_types[0]
        weights = weights_of(case)
        (eager,) = run_eager(tf, case, samples_of(case)[0], constants(tf, weights))
        traced = trace(tf, case, weights).get_concrete_function().structured_outputs["y00"]
        for how, shape, dtype in (
            ("eager", eager.shape, "string" if eager.dtype == object else eager.dtype.name),
            ("traced", tuple(traced.shape), traced.dtype.name),
        ):
            if (tuple(shape), dtype) != (want.shape, want.dtype):
                wrong.append(f"{how}: {dtype}{list(shape)} instead of {want}: {case.canonical.decode()}")
    return {"wrong": wrong}


def repeated(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """Runs a case of equal samples; returns where the first result is not the reference, or a later one differs."""
    from fuzzer.case import decode
    from fuzzer.execute.target import execute

    record = execute(decode(request["case"]), stage)
    results = {"tensorflow": record.reference, **{k: run.samples for k, run in record.runs.items()}}
    wrong = []
    for runtime, samples in results.items():
        for i, outputs in enumerate(samples):
            if not np.allclose(outputs[0], record.reference[0][0], rtol=1e-4, atol=1e-4):
                wrong.append(f"{runtime}, sample {i}")
    return {"wrong": wrong, "runtimes": sum(run.complete for run in record.runs.values())}


def layers(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """The Keras layer and `build` on the same weights and inputs; returns what differs, and how many were layers."""
    import tensorflow as tf

    if request["keras"] == "keras":
        keras = tf.keras
    else:
        import tf_keras as keras

    op = registry()[request["op"]]
    wrong, compared = [], 0
    for seed in range(request["nodes"]):
        case = drawn_case(op, seed, "float32")
        stage.set("build", case.id)
        weights = weights_of(case)
        model = keras_model(tf, keras, case, weights)
        compared += layer_fits(case.model.typed[0])
        for sample in samples_of(case):
            (want,) = run_eager(tf, case, sample, constants(tf, weights))
            got = np.asarray(model([tf.constant(x) for x in sample] if len(sample) > 1 else tf.constant(sample[0])))
            if got.shape != want.shape:
                wrong.append(f"shape {got.shape} instead of {want.shape}: {case.canonical.decode()}")
            elif not np.allclose(got, want, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(want).max()))):
                wrong.append(f"apart by {np.abs(got - want).max()}: {case.canonical.decode()}")
    return {"wrong": wrong, "compared": compared}
