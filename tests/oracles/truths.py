"""Run inside an executor: which ops have a float64 truth, and what the float oracle says of a case."""

from __future__ import annotations

from random import Random
from typing import Any

from fuzzer.build import constants, run_eager, samples_of, weights_of
from fuzzer.case.codec import from_json
from fuzzer.errors import GenerateAnother
from fuzzer.execute import target
from fuzzer.execute.stage import StageCell
from fuzzer.mutate import generate
from fuzzer.ops import REALS, registry
from fuzzer.oracles import Verdict
from fuzzer.oracles.confirm import truth
from fuzzer.oracles.confirm.truth import run_truth


def without(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """The ops, of those asked for, whose case TensorFlow does not compute in float64, each with what it says."""
    import tensorflow as tf

    found, tried = {}, 0
    for name in request["ops"]:
        try:
            case = generate(Random(1), op=registry()[name])
        except GenerateAnother:
            continue
        if not any(t.dtype in REALS for t in case.model.types.values()):
            continue
        tried += 1
        try:
            run_truth(tf, case, samples_of(case)[0], weights_of(case))
        except (tf.errors.OpError, TypeError, ValueError) as error:
            found[name] = f"{type(error).__name__}: {str(error)[:160]} in {[n.op for n in case.model.nodes]}"
    return {"without": found, "tried": tried}


def beside(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """A case's first output in its own dtypes and in the truth, and whether the truth has digits beyond float32."""
    import numpy as np
    import tensorflow as tf

    case = from_json(request["case"])
    sample, weights = samples_of(case)[0], weights_of(case)
    own = run_eager(tf, case, sample, constants(tf, weights))[0]
    exact = run_truth(tf, case, sample, weights).outputs[0]
    beyond = bool(np.any(exact != exact.astype(np.float32)))
    return {"own": own.tolist(), "truth": exact.tolist(), "beyond_float32": beyond}


def confirmed(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """What the float oracle says of a case, whether or not anything was suspected."""
    record = target.execute(from_json(request["case"]), stage)
    return truth.confirm(record, Verdict.from_json(request["verdict"])).to_json()
