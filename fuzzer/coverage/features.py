"""Cheap features: what a case showed, as short strings `family:detail`, complete for every case.

A feature seen for the first time makes its case worth keeping. Details are bounded by construction (names and
buckets, never raw numbers), so that the set stays small.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.errors import classes
from fuzzer.oracles.messages import converter_message, runtime_message
from fuzzer.oracles.verdict import Kind, Verdict

FAMILIES = {
    "op": "op x dtype x scheme",
    "entry": "entry x scheme x I/O dtype",
    "flags": "scheme x optimisations x flags x op set",
    "data": "scheme x representative data",
    "qat": "bits and symmetry of fake quantisation",
    "dynamic": "unknown axes x entry x kind of scheme",
    "switch": "switch of the converter and its value",
    "flat": "flatbuffer op x tensor type",
    "pair": "adjacent ops in the flatbuffer",
    "act": "fused activation of an op",
    "plan": "delegate partition shape",
    "msg": "converter or runtime message",
    "err": "whose matter an error is, by stage and scheme",
    "div": "runtime x bucket of divergence",
    "relation": "metamorphic relation x runtime x outcome x scheme",
    "kind": "verdict",
    "py": "line of the converter's Python side (from Python 3.12 on)",
}


def features(record: CaseRun, verdicts: Sequence[Verdict], stats: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """All features of an execution, sorted."""
    case, found = record.case, set[str]()
    conversion = case.conversion
    scheme = conversion.scheme
    found.add(f"entry:{conversion.entry}/{scheme}/{conversion.io}")
    flags = f"{int(conversion.per_channel)}{int(conversion.fallback)}{int(conversion.unfold_batch_matmul)}"
    found.add(f"flags:{scheme}/{conversion.optimizations}/{flags}/{conversion.op_set}")
    if conversion.calibrated:
        found.add(f"data:{scheme}/{conversion.representative}")
    if scheme == "qat":
        found.add(f"qat:{conversion.qat_bits}/{int(conversion.qat_symmetric)}{int(conversion.qat_dense)}")
    if conversion.dynamic != "none":
        found.add(f"dynamic:{conversion.dynamic}/{conversion.entry}/{conversion.judged}")
    ignored = {note.split()[1].partition("=")[0] for note in record.notes}
    found.update(f"switch:{name}={value}" for name, value in conversion.switches.items() if name not in ignored)
    found.update(f"op:{typed.node.op}/{typed.type.dtype}/{scheme}" for typed in case.model.typed)
    if record.build_failure is not None:
        found.add(f"msg:build/{converter_message(record.build_failure.message)}")
    if record.convert_failure is not None:
        found.add(f"msg:convert/{converter_message(record.convert_failure.message)}")
    _flat_features(record, found)
    for runtime, run in record.runs.items():
        if run.allocate_failure is not None:
            found.add(f"msg:{runtime}/{runtime_message(run.allocate_failure.message)}")
        if run.invoke_failure is not None:
            found.add(f"msg:{runtime}/{runtime_message(run.invoke_failure.message)}")
        if run.plan:
            delegated = sum(op.startswith(("TfLiteXNNPack", "DELEGATE")) for op in run.plan)
            found.add(f"plan:{runtime}/{min(delegated, 4)}of{min(len(run.plan), 8)}")
        if runtime in stats:
            found.add(f"div:{runtime}/{scheme}/{bucket(stats[runtime]['relative'])}")
    found.update(_relation_features(record, verdicts))
    found.update(f"err:{where}/{error.value}/{scheme}" for where, error in classes(record).items())
    found.update(f"kind:{v.kind.value}/{v.runtime}/{scheme}" for v in verdicts)
    return sorted(found)


def _relation_features(record: CaseRun, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What came of the case's relation: that it was not tried, or by runtime that it held, or did not."""
    relation, scheme = record.case.inference.relation, record.case.conversion.judged
    if relation == "none" or record.flat is None:
        return
    if record.unrelated:
        yield f"relation:{relation}/untried"
    broken = {r for v in verdicts if v.kind is Kind.METAMORPHIC for r in v.runtimes}
    for runtime, variant in record.variants.items():
        if variant.failure is not None:
            yield f"relation:{relation}/{runtime}/failed/{scheme}"
        elif variant.actual is not None:
            yield f"relation:{relation}/{runtime}/{'broken' if runtime in broken else 'kept'}/{scheme}"


def _flat_features(record: CaseRun, found: set[str]) -> None:
    flat = record.flat
    if flat is None:
        return
    producer: dict[int, str] = {}
    for op in flat.ops:
        dtypes = "+".join(
            flat.tensors[i].dtype + ("pc" if flat.tensors[i].per_channel else "") for i in op.inputs[:2] if i >= 0
        )
        found.add(f"flat:{op.name}/{dtypes}")
        if op.activation not in ("", "NONE"):
            found.add(f"act:{op.name}/{op.activation}/{dtypes}")
        for i in op.inputs:
            if i in producer:
                found.add(f"pair:{producer[i]}>{op.name}")
        producer.update((o, op.name) for o in op.outputs)
    main = {op.name for op in flat.ops}
    found.update(f"flat:{name}/inner" for name in flat.operators if name not in main)


def bucket(relative: float) -> str:
    """The decade of a divergence: `0`, `-7` ... `0+`; NaN and overflow count as the largest."""
    if relative == 0:
        return "0"
    if not math.isfinite(relative) or relative >= 1:
        return "0+"
    return str(max(-8, math.floor(math.log10(relative))))
