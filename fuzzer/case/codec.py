"""Cases as canonical JSON, and back.

Decoding is total: any bytes give a valid case or a `CaseError` that names the field and what was expected.
Nothing in a case is ever evaluated, imported or used as a path.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from keyword import iskeyword
from typing import Any, TypeVar

from fuzzer.case.case import MAX_THREADS, RELATIONS, RUNTIMES, SCHEMA, Case, Inference
from fuzzer.case.conversion import (
    DYNAMIC,
    ENTRIES,
    MAX_SWITCHES,
    OP_SETS,
    OPTIMIZATIONS,
    QAT_BITS,
    REPRESENTATIVE,
    SCHEMES,
    Conversion,
    Switch,
)
from fuzzer.case.model import INPUT_DTYPES, MAX_INPUTS, MAX_NODES, MAX_OUTPUTS, MAX_RANK, Model, Node
from fuzzer.case.recipe import DISTRIBUTIONS, MAX_LITERALS, PRUNINGS, Recipe
from fuzzer.errors import CaseError
from fuzzer.ops import TensorType, Value, registry

MAX_BYTES = 1 << 16
"""A case file is at most 64 KiB; also libFuzzer's `-max_len`."""
MAX_SEED = 2**31 - 1
MAX_MAGNITUDE = 1e30
MIN_RANGE, MAX_RANGE = 1e-3, 1e6
MAX_NAME = 96

T = TypeVar("T")


def encode(case: Case) -> bytes:
    """The canonical JSON of a case."""
    return json.dumps(to_json(case), sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def pretty(case: Case) -> str:
    """The same JSON, indented for people."""
    return json.dumps(to_json(case), sort_keys=True, indent=2, allow_nan=False) + "\n"


def decode(data: bytes | str) -> Case:
    """The case in `data`. Raises `CaseError` for anything else, whatever the bytes are."""
    if len(data) > MAX_BYTES * 4:
        raise CaseError("", f"at most {MAX_BYTES * 4} bytes", len(data))
    try:
        tree = json.loads(data, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except CaseError:
        raise
    except (ValueError, RecursionError) as broken:
        raise CaseError("", "JSON", str(broken)) from broken
    return from_json(tree)


# --- writing ----------------------------------------------------------------------------------------------


def to_json(case: Case) -> dict[str, Any]:
    """The case as plain JSON values. Fields at their default are left out, so files stay short."""
    model, inference = case.model, case.inference
    plain, plain_inference = Conversion(), Inference()
    conversion = {
        name: getattr(case.conversion, name)
        for name in Conversion.__dataclass_fields__
        if getattr(case.conversion, name) != getattr(plain, name)
    }
    if "switches" in conversion:
        conversion["switches"] = dict(conversion["switches"])
    return {
        "schema": SCHEMA,
        "model": {
            "inputs": [_type_json(t) for t in model.inputs],
            "nodes": [_node_json(node) for node in model.nodes],
            "outputs": list(model.outputs),
            "patterns": list(model.patterns),
        },
        "conversion": conversion,
        "inference": {
            "runtimes": list(inference.runtimes),
            "inputs": [recipe_json(r) for r in inference.inputs],
            "threads": inference.threads,
            # Absent where there is none, so that cases from before there were relations keep their ids.
            **({"relation": inference.relation} if inference.relation != plain_inference.relation else {}),
        },
    }


def recipe_json(recipe: Recipe) -> dict[str, Any]:
    """A recipe without its default fields."""
    full = {
        "distribution": recipe.distribution,
        "seed": recipe.seed,
        "scale": recipe.scale,
        "offset": recipe.offset,
        "sparsity": recipe.sparsity,
        "clusters": recipe.clusters,
        "values": list(recipe.values),
        "pattern": recipe.pattern,
    }
    plain = {"seed": 0, "scale": 1.0, "offset": 0.0, "sparsity": 0.0, "clusters": 0, "values": [], "pattern": "random"}
    return {k: v for k, v in full.items() if k == "distribution" or v != plain[k]}


def _type_json(type_: TensorType) -> dict[str, Any]:
    return {"shape": list(type_.shape), "dtype": type_.dtype}


def _node_json(node: Node) -> dict[str, Any]:
    tree: dict[str, Any] = {"op": node.op, "operands": list(node.operands)}
    if node.attrs:
        tree["attrs"] = {k: _plain(v) for k, v in node.attrs.items()}
    if node.weights:
        tree["weights"] = {k: recipe_json(r) for k, r in node.weights.items()}
    return tree


def _plain(value: Value) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


# --- reading ----------------------------------------------------------------------------------------------


def from_json(tree: object) -> Case:
    """The case in a JSON tree. Raises `CaseError`."""
    top = _object(tree, "", {"schema", "model", "conversion", "inference"})
    schema = _integer(top.get("schema"), "schema", 0, 1 << 31)
    if schema > SCHEMA:
        raise CaseError(
            "schema", f"{SCHEMA} or older (this case was written by a newer version; update the fuzzer)", schema
        )
    if schema != SCHEMA:
        raise CaseError("schema", str(SCHEMA), schema)
    case = Case(
        _model(top.get("model")),
        _conversion(top.get("conversion", {})),
        _inference(top.get("inference", {})),
    )
    case.model.typed  # noqa: B018  (inference is the last part of validation; it raises)
    return case


def _model(tree: object) -> Model:
    top = _object(tree, "model", {"inputs", "nodes", "outputs", "patterns"})
    inputs = _list(top.get("inputs"), "model.inputs", 1, MAX_INPUTS, _tensor_type)
    nodes = _list(top.get("nodes"), "model.nodes", 0, MAX_NODES, _node)
    outputs = _list(top.get("outputs"), "model.outputs", 1, MAX_OUTPUTS, _name)
    patterns = _list(top.get("patterns", []), "model.patterns", 0, MAX_NODES, _name)
    return Model(inputs, nodes, outputs, patterns)


def _tensor_type(tree: object, field: str) -> TensorType:
    top = _object(tree, field, {"shape", "dtype"})
    shape = _list(top.get("shape"), f"{field}.shape", 0, MAX_RANK, lambda v, f: _integer(v, f, 0, 1 << 31))
    return TensorType(shape, _choice(top.get("dtype"), f"{field}.dtype", INPUT_DTYPES))


def _node(tree: object, field: str) -> Node:
    top = _object(tree, field, {"op", "operands", "attrs", "weights"})
    name = top.get("op")
    ops = registry()
    if not isinstance(name, str) or name not in ops:
        near = get_close_matches(str(name), ops, 3)
        hint = f" ({' or '.join(near)}?)" if near else ""
        raise CaseError(f"{field}.op", f"one of the {len(ops)} ops{hint}; an op of a plugin needs --plugin FILE", name)
    spec = ops[name]
    operands = _list(top.get("operands"), f"{field}.operands", spec.arity[0], spec.arity[1], _name)
    given = _object(top.get("attrs", {}), f"{field}.attrs", set(spec.attrs))
    attrs: dict[str, Value] = {}
    for key, domain in spec.attrs.items():
        if key not in given:
            raise CaseError(f"{field}.attrs.{key}", "a value", None)
        value = tuple(given[key]) if isinstance(given[key], list) else given[key]
        if isinstance(domain.default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value) if abs(value) < MAX_MAGNITUDE else value
        if (expected := domain.check(value)) is not None:
            raise CaseError(f"{field}.attrs.{key}", expected, given[key])
        attrs[key] = value
    weights = _object(top.get("weights", {}), f"{field}.weights", None)
    return Node(
        name, operands, attrs, {k: _recipe(v, f"{field}.weights.{k}") for k, v in weights.items() if _slot(k, field)}
    )


def _slot(name: str, field: str) -> bool:
    if not name.isidentifier() or len(name) > 32:
        raise CaseError(f"{field}.weights", "weight names that are identifiers", name)
    return True


def _conversion(tree: object) -> Conversion:
    top = _object(tree, "conversion", set(Conversion.__dataclass_fields__))
    choices = {
        "entry": ENTRIES,
        "optimizations": OPTIMIZATIONS,
        "scheme": SCHEMES,
        "op_set": OP_SETS,
        "representative": REPRESENTATIVE,
        "dynamic": DYNAMIC,
        "io": ("float32", "int8", "uint8", "int16"),
    }
    fields: dict[str, Any] = {}
    for key, value in top.items():
        where = f"conversion.{key}"
        if key in choices:
            fields[key] = _choice(value, where, choices[key])
        elif key == "calibration":
            fields[key] = _integer(value, where, 1, 64)
        elif key == "qat_bits":
            fields[key] = _integer(value, where, min(QAT_BITS), max(QAT_BITS))
            if fields[key] not in QAT_BITS:
                raise CaseError(where, f"one of {', '.join(map(str, QAT_BITS))}", value)
        elif key == "ranges":
            fields[key] = _number(value, where, MIN_RANGE, MAX_RANGE)
        elif key == "switches":
            fields[key] = _switches(value, where)
        else:
            fields[key] = _boolean(value, where)
    conversion = Conversion(**fields)
    if (conflict := conversion.conflict()) is not None:
        raise CaseError(f"conversion.{conflict[0]}", conflict[1], conflict[2])
    return conversion


def _switches(tree: object, field: str) -> dict[str, Switch]:
    """Switches of the converter: any identifier may be asked for, only those it has are ever set."""
    top = _object(tree, field, None)
    if len(top) > MAX_SWITCHES:
        raise CaseError(field, f"at most {MAX_SWITCHES} switches", len(top))
    made: dict[str, Switch] = {}
    for name, value in top.items():
        if (
            not name.isascii()
            or not name.isidentifier()
            or len(name) > MAX_NAME
            or name.startswith("__")
            or iskeyword(name)
        ):
            raise CaseError(field, f"names of switches: identifiers of at most {MAX_NAME} letters", name)
        where = f"{field}.{name}"
        if isinstance(value, bool):
            made[name] = value
        elif isinstance(value, int):
            made[name] = _integer(value, where, -MAX_SEED, MAX_SEED)
        else:
            if not isinstance(value, str) or not value.isascii() or not value.isidentifier() or len(value) > MAX_NAME:
                raise CaseError(where, "true, false, an integer, or a word of letters, digits and underscores", value)
            made[name] = value
    return made


def _inference(tree: object) -> Inference:
    top = _object(tree, "inference", {"runtimes", "inputs", "threads", "relation"})
    plain = Inference()
    runtimes = plain.runtimes
    if "runtimes" in top:
        runtimes = _list(top["runtimes"], "inference.runtimes", 1, len(RUNTIMES), lambda v, f: _choice(v, f, RUNTIMES))
        if len(set(runtimes)) != len(runtimes):
            raise CaseError("inference.runtimes", "each runtime once", list(runtimes))
    inputs = _list(top["inputs"], "inference.inputs", 1, 16, _recipe) if "inputs" in top else plain.inputs
    threads = _integer(top.get("threads", 1), "inference.threads", 1, MAX_THREADS)
    relation = _choice(top.get("relation", plain.relation), "inference.relation", RELATIONS)
    return Inference(runtimes, inputs, threads, relation)


def _recipe(tree: object, field: str) -> Recipe:
    top = _object(tree, field, set(Recipe.__dataclass_fields__))
    values = _list(top.get("values", []), f"{field}.values", 0, MAX_LITERALS, lambda v, f: _number(v, f, -1e38, 1e38))
    distribution = _choice(top.get("distribution", "normal"), f"{field}.distribution", DISTRIBUTIONS)
    if (distribution == "literal") != bool(values):
        raise CaseError(f"{field}.values", "numbers exactly when the distribution is 'literal'", list(values))
    return Recipe(
        distribution,
        _integer(top.get("seed", 0), f"{field}.seed", 0, MAX_SEED),
        _number(top.get("scale", 1.0), f"{field}.scale", -MAX_MAGNITUDE, MAX_MAGNITUDE),
        _number(top.get("offset", 0.0), f"{field}.offset", -MAX_MAGNITUDE, MAX_MAGNITUDE),
        _number(top.get("sparsity", 0.0), f"{field}.sparsity", 0.0, 1.0),
        _integer(top.get("clusters", 0), f"{field}.clusters", 0, 256),
        values,
        _choice(top.get("pattern", "random"), f"{field}.pattern", PRUNINGS),
    )


# --- small readers ----------------------------------------------------------------------------------------


def _object(tree: object, field: str, keys: set[str] | None) -> Mapping[str, Any]:
    if not isinstance(tree, dict):
        raise CaseError(field, "an object", tree)
    if keys is not None:
        for key in tree:
            if key not in keys:
                raise CaseError(f"{field}.{key}".strip("."), f"one of the fields {', '.join(sorted(keys))}", key)
    return tree


def _list(tree: object, field: str, low: int, high: int, each: Callable[[object, str], T]) -> tuple[T, ...]:
    if not isinstance(tree, list) or not low <= len(tree) <= high:
        raise CaseError(field, f"a list of {low} to {high} items", tree)
    return tuple(each(item, f"{field}[{i}]") for i, item in enumerate(tree))


def _integer(value: object, field: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise CaseError(field, f"an integer from {low} to {high}", value)
    return value


def _number(value: object, field: str, low: float, high: float) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not isinstance(value, int | float) or not low <= value <= high or math.isnan(value):
        raise CaseError(field, f"a number from {low:g} to {high:g}", value)
    return float(value)


def _boolean(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise CaseError(field, "true or false", value)
    return value


def _choice(value: object, field: str, values: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in values:
        raise CaseError(field, f"one of {', '.join(values)}", value)
    return value


def _name(value: object, field: str) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.replace("_", "a").isalnum() or len(value) > 64:
        raise CaseError(field, "a name of letters, digits and underscores", value)
    return value


def _no_constant(text: str) -> Any:
    raise CaseError("", "finite numbers", text)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise CaseError("", "each field once", sorted(k for k, _ in pairs))
    return tree
