"""The two graphs of a finding as boxes and edges: the model as we wrote it, and the flatbuffer that came of it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from fuzzer.convert.flatbuffer import Flat, FlatOp, FlatTensor, read
from fuzzer.oracles.verdict import Stage, Verdict
from fuzzer.report.drawing import Box
from fuzzer.report.material import Material
from fuzzer.report.scrub import scrub
from fuzzer.report.sections import NODE, VERIFIED

Graph = tuple[list[Box], list[tuple[str, str]]]
_MAX_ATTRS = 4
_PLUMBING = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST"})


def blamed_operators(material: Material) -> tuple[str, ...]:
    """The TFLite operators that are to blame by name; empty where the finding names none."""
    verdict = material.verdict
    if verdict is None:
        return ()
    message = str(verdict.evidence.get("message", ""))
    named, refused = NODE.search(message), VERIFIED.search(message)
    first = verdict.evidence.get("first tensor")
    words = [verdict.blame, str(verdict.evidence.get("operator", "")), named[2] if named else ""]
    words.append(str(first.get("operator", "")) if isinstance(first, dict) else "")
    words.append(refused[1].partition(".")[2].upper() if refused else "")
    found = [word.partition(" ")[0] for word in words if word not in ("", "converter")]
    made = [str(op).partition(".")[2].upper() for op in verdict.evidence.get("after") or []]
    # Of what a pass wrote, conversions between types are everywhere: they tell something only where they are all.
    found += [op for op in made if op not in _PLUMBING] or (made if not found else [])
    return tuple(dict.fromkeys(found))


def before(material: Material) -> Graph:
    """The case's model. A case that this release cannot run is drawn from its JSON as far as that goes."""
    model = material.tree.get("model")
    if not isinstance(model, dict):
        return [], []
    types = {n: str(t) for n, t in material.case.model.types.items()} if material.case is not None else {}
    inputs, nodes = _list(model.get("inputs")), [n for n in _list(model.get("nodes")) if isinstance(n, dict)]
    guilty = _guilty_nodes(material, nodes)
    boxes = [Box(f"x{i}", f"x{i}", (types.get(f"x{i}", _type(given)),), "input") for i, given in enumerate(inputs)]
    edges: list[tuple[str, str]] = []
    for i, node in enumerate(nodes):
        name = f"n{i}"
        role = "blamed" if i in guilty else "node"
        boxes.append(Box(name, f"{name} = {node.get('op', '?')}", (*_attrs(node), types.get(name, "")), role))
        edges += [(str(operand), name) for operand in _list(node.get("operands"))]
    for i, name in enumerate(_list(model.get("outputs"))):
        boxes.append(Box(f"y{i}", f"output {i}", (), "output"))
        edges.append((str(name), f"y{i}"))
    return [_tidy(box) for box in boxes], edges


def after(material: Material) -> tuple[Graph, str]:
    """The flatbuffer's main sub-graph, and a sentence on why there is none (empty where there is)."""
    if not material.content:
        return ([], []), _none_kept(material.finding.stage)
    try:
        flat = read(material.content)
        graph = _flat_graph(flat, _guilty_operators(material, flat))
    except (ValueError, TypeError, IndexError, struct.error, UnicodeDecodeError, AttributeError, OverflowError) as bad:
        # The accessors of flatbuffers follow offsets wherever these lead and raise what they meet there.
        return ([], []), f"model.tflite cannot be read: it is damaged ({type(bad).__name__})."
    return graph, ""


def _flat_graph(flat: Flat, guilty: frozenset[int]) -> Graph:
    boxes, edges, maker = [], [], {}
    for i, tensor in enumerate(flat.inputs):
        boxes.append(Box(f"x{i}", f"input {i}", (_tensor(flat.tensors[tensor]),), "input"))
        maker[tensor] = f"x{i}"
    for i, op in enumerate(flat.ops):
        key = f"n{i}"
        boxes.append(Box(key, f"{i} {op.name}", tuple(_operator_lines(flat, op)), "blamed" if i in guilty else "node"))
        edges += [(maker[t], key) for t in op.inputs if t in maker]
        maker.update(dict.fromkeys(op.outputs, key))
    for i, tensor in enumerate(flat.outputs):
        boxes.append(Box(f"y{i}", f"output {i}", (_tensor(flat.tensors[tensor]),), "output"))
        if tensor in maker:
            edges.append((maker[tensor], f"y{i}"))
    return [_tidy(box) for box in boxes], edges


def _operator_lines(flat: Flat, op: FlatOp) -> Iterator[str]:
    if op.activation not in ("", "NONE"):
        yield f"then {op.activation}"
    constants = [flat.tensors[t] for t in op.inputs if 0 <= t < len(flat.tensors) and flat.tensors[t].constant]
    for tensor in constants[:3]:
        yield f"constant {_tensor(tensor)}"
    if len(constants) > 3:
        yield f"and {len(constants) - 3} more constants"
    if op.outputs and 0 <= op.outputs[0] < len(flat.tensors):
        yield f"gives {_tensor(flat.tensors[op.outputs[0]])}"


def _tensor(tensor: FlatTensor) -> str:
    shape = ",".join(map(str, tensor.shape))
    scale = f" scale {tensor.scale:.4g}" if len(tensor.scales) == 1 else " per channel" if tensor.per_channel else ""
    return f"{tensor.dtype.lower()}[{shape}]{scale}"


def _guilty_operators(material: Material, flat: Flat) -> frozenset[int]:
    """Which operators are to blame: the one that is numbered, or all of a name that is."""
    verdict = material.verdict
    if verdict is None:
        return frozenset()
    names = blamed_operators(material)
    for place in _numbered(verdict):
        if place < len(flat.ops) and (not names or flat.ops[place].name in names):
            return frozenset({place})
    return frozenset(i for i, op in enumerate(flat.ops) if op.name in names)


def _numbered(verdict: Verdict) -> Iterator[int]:
    node = verdict.evidence.get("node")
    if isinstance(node, int) and node >= 0:
        yield node
    named = NODE.search(str(verdict.evidence.get("message", "")))
    if named:
        yield int(named[1])


def _guilty_nodes(material: Material, nodes: list[dict[str, Any]]) -> set[int]:
    """Which nodes of ours are to blame: those that the guilty operators are named after, or the only one there is."""
    verdict = material.verdict
    names = {_plain(name) for name in blamed_operators(material)}
    if verdict is not None:
        names |= {_plain(str(op).partition(".")[2]) for op in verdict.evidence.get("before") or []}
    found = {i for i, node in enumerate(nodes) if _plain(str(node.get("op", ""))) in names}
    return found or ({0} if len(nodes) == 1 else set())


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]|v\d$", "", name.lower())


def _attrs(node: dict[str, Any]) -> list[str]:
    attrs = node.get("attrs")
    shown = [f"{key}={_value(value)}" for key, value in attrs.items()] if isinstance(attrs, dict) else []
    more = [f"and {len(shown) - _MAX_ATTRS} more"] if len(shown) > _MAX_ATTRS else []
    return [*shown[:_MAX_ATTRS], *more]


def _value(value: Any) -> str:
    return f"({', '.join(map(_value, value))})" if isinstance(value, list | tuple) else str(value)


def _type(given: Any) -> str:
    if not isinstance(given, dict):
        return str(given)
    return f"{given.get('dtype', '?')}[{','.join(map(str, _list(given.get('shape'))))}]"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tidy(box: Box) -> Box:
    lines = tuple(line for line in map(scrub, box.lines) if line)
    return Box(box.key, scrub(box.name), lines, box.role)


def _none_kept(stage: str) -> str:
    """Why there is no flatbuffer: before its conversion has ended there is none, afterwards a death takes it along."""
    if stage in (Stage.BUILD, Stage.REFERENCE, Stage.CONVERT):
        return "No flatbuffer was kept: the finding dies or fails before there is one."
    return "No flatbuffer was kept. The script writes it anew each time, before the defect shows."
