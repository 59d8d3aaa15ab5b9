"""Runs inside an executor: what the flatbuffer of a case holds, as its own metadata and tensors tell it."""

from __future__ import annotations

from typing import Any

from fuzzer.case.codec import from_json
from fuzzer.convert import Flat
from fuzzer.execute.stage import StageCell
from fuzzer.execute.target import execute


def looked_into(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    record = execute(from_json(request["case"]), stage)
    if record.flat is None:
        failure = record.convert_failure or record.build_failure
        return {"failure": f"{failure.error}: {failure.message}" if failure else "?", "timings": record.timings}
    from tensorflow.lite.python import conversion_metadata_schema_py_generated as metadata
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bytearray(record.content), 0)
    graph = model.subgraphs[0]
    dtypes = {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
    modes = {v: k for k, v in vars(metadata.ModelOptimizationMode).items() if isinstance(v, int)}
    kinds = {v: k for k, v in vars(metadata.ModelType).items() if isinstance(v, int)}
    made: dict[str, Any] = {
        "ops": [op.name for op in record.flat.ops],
        "dtypes": sorted({dtypes[t.type] for t in graph.tensors}),
        "constants": sorted({t.dtype for t in record.flat.tensors if t.constant}),
        "inputs": [dtypes[graph.tensors[i].type] for i in graph.inputs],
        "outputs": [dtypes[graph.tensors[i].type] for i in graph.outputs],
        "names": [graph.tensors[i].name.decode() for i in graph.inputs],
        "shapes": [_ints(graph.tensors[i].shapeSignature) for i in graph.inputs],
        "signatures": [s.signatureKey.decode() for s in model.signatureDefs or []],
        "sparse": sum(t.sparsity is not None for t in graph.tensors),
        "scales": sorted({s for t in record.flat.tensors for s in t.scales}),
        "constant_scales": sorted({s for t in record.flat.tensors if t.constant for s in t.scales}),
        "input_scale": _input_scale(record.flat),
        "per_channel": sum(t.per_channel for t in record.flat.tensors),
        "notes": record.notes,
        "complete": [name for name, run in record.runs.items() if run.complete],
        "failures": [str(run.allocate_failure or run.invoke_failure) for run in record.runs.values()],
        "relative": {name: d.relative for name, d in record.divergences.items()},
        "steps": {name: d.steps for name, d in record.divergences.items()},
        "timings": record.timings,
        "road": "",
        "api": 0,
        "modes": [],
    }
    names = [m.name.decode() for m in model.metadata or []]
    made["metadata"] = names
    if "CONVERSION_METADATA" in names:
        buffer = model.buffers[model.metadata[names.index("CONVERSION_METADATA")].buffer].data
        said = metadata.ConversionMetadataT.InitFromPackedBuf(bytearray(buffer), 0)
        made["road"], made["api"] = kinds[said.environment.modelType], said.environment.apiVersion
        made["modes"] = sorted(modes[int(m)] for m in _ints(said.options.modelOptimizationModes))
    return made


def _input_scale(flat: Flat) -> float:
    """The scale of the input as integers, whether that is the input itself or what is made of it."""
    first = next((op.outputs[0] for op in flat.ops if op.name == "QUANTIZE"), flat.inputs[0])
    return flat.tensors[first].scale


def _ints(values: Any) -> list[int]:
    return [] if values is None else [int(v) for v in values]
