"""Measures what every op is made of: the TensorFlow operators of its graph, the TFLite operators of its flatbuffer.

`python -m scripts.made_of` writes `fuzzer/coverage/reached/made_of.json`, from which the coverage report says which op
of ours leads to a kernel. Drawn cases of a single op, converted in float32: three of each dtype that it takes by the
plain road, one by each road over Keras. Run it after ops were added; until then an op is looked up by the names of
TensorFlow's functions in its code.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fuzzer.case import Case, Conversion, decode
from fuzzer.case.conversion import KERAS_ENTRIES
from fuzzer.disk import write_json
from fuzzer.execute import Death, Executor, Limits, Zygote, target
from fuzzer.execute.stage import StageCell
from fuzzer.execute.target import load, prepare
from fuzzer.ops import Op, registry
from tests.ops.nodes import drawn_case

__all__ = ["load", "prepare", "run"]

FILE = Path(__file__).resolve().parents[1] / "fuzzer" / "coverage" / "reached" / "made_of.json"
CASES_PER_DTYPE = 3
MAX_CASES = 12
TIMEOUT_S = 30.0


def run(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """Runs inside an executor: the operators of one case, before and after; none after where it does not convert."""
    import tensorflow as tf

    from fuzzer.build import trace, weights_of

    case = decode(request["case"])
    stage.set("build", case.id)
    graph = trace(tf, case, weights_of(case)).get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    record = target.execute(case, stage, only=())
    return {
        "tensorflow": sorted({node.op for node in nodes}),
        "tflite": list(record.flat.operators) if record.flat is not None else [],
    }


def cases_of(op: Op) -> list[Case]:
    """Drawn cases of one op, spread over the dtypes it takes."""
    wanted = [(dtype, seed) for seed in range(CASES_PER_DTYPE) for dtype in op.dtypes]
    drawn = [drawn_case(op, seed, dtype) for dtype, seed in wanted[: max(MAX_CASES, len(op.dtypes))]]
    road = op.entries[0] if op.entries else "concrete_function"
    found = [_over(case, road, op) for case in drawn]
    if op.keras is not None:  # only over Keras are recurrent layers fused
        found += [_over(drawn[0], entry, op) for entry in KERAS_ENTRIES if not op.entries or entry in op.entries]
    return found


def _over(case: Case, entry: str, op: Op) -> Case:
    return replace(case, conversion=Conversion(entry=entry, switches=dict(op.switches)).repaired())


def measured(executor: Executor, op: Op) -> dict[str, list[str]]:
    """What one op is made of. Cases that kill the executor or raise tell nothing; the others do."""
    before: set[str] = set()
    after: set[str] = set()
    for case in cases_of(op):
        answer = executor.run({"case": case.canonical.decode()}, TIMEOUT_S)
        if isinstance(answer, Death) or "bug" in answer.message:
            continue
        before.update(answer.message["tensorflow"])
        after.update(answer.message["tflite"])
    return {"tensorflow": sorted(before), "tflite": sorted(after)}


def main() -> None:
    """Measures all ops of the package and writes the file."""
    zygote = Zygote("scripts.made_of")
    zygote.wait_ready()
    executor = Executor(zygote.path, Limits(timeout_s=TIMEOUT_S))
    found = {}
    for name, op in registry().items():
        found[name] = measured(executor, op)
        print(name, *found[name]["tflite"], flush=True)
    executor.close()
    zygote.stop()
    write_json(FILE, found, indent=None)


if __name__ == "__main__":
    main()
