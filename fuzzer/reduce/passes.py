"""The shrinking passes. Each yields candidates smaller than the case; invalid ones are skipped by the reducer.

To add a pass, write a generator from a case to cases and list it in `PASSES`, cheapest gains first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from fuzzer.case import Case, Conversion, Model, Node, Recipe
from fuzzer.case.model import MAX_INPUTS
from fuzzer.errors import CaseError
from fuzzer.ops import TensorType, Value


def _with_model(case: Case, model: Model) -> Case:
    return replace(case, model=model)


# --- structure --------------------------------------------------------------------------------------------


def single_output(case: Case) -> Iterator[Case]:
    """One output only, then every single output removed."""
    outputs = case.model.outputs
    if len(outputs) > 1:
        for name in outputs:
            yield _pruned(case, replace(case.model, outputs=(name,)))
        for name in outputs:
            yield _pruned(case, replace(case.model, outputs=tuple(o for o in outputs if o != name)))


def cut_tail(case: Case) -> Iterator[Case]:
    """Returns an inner value instead of everything after it, earliest first."""
    for i in range(len(case.model.nodes) - 1):
        yield _pruned(case, replace(case.model, outputs=(f"n{i}",)))


def cut_head(case: Case) -> Iterator[Case]:
    """Feeds a node from a fresh input instead of everything before it, last first."""
    model = case.model
    types = model.types
    for i in reversed(range(1, len(model.nodes))):
        for operand in dict.fromkeys(model.nodes[i].operands):
            if not operand.startswith("n"):
                continue
            fresh = f"x{len(model.inputs)}"
            nodes = tuple(
                replace(n, operands=tuple(fresh if o == operand else o for o in n.operands)) if k >= i else n
                for k, n in enumerate(model.nodes)
            )
            inputs = (*model.inputs, types[operand])
            yield _pruned(case, replace(model, inputs=inputs, nodes=nodes))


def bypass_node(case: Case) -> Iterator[Case]:
    """Takes one node out; its readers read one of its operands."""
    model = case.model
    for i in reversed(range(len(model.nodes))):
        for operand in dict.fromkeys(model.nodes[i].operands):
            gone = f"n{i}"
            nodes = tuple(
                replace(n, operands=tuple(operand if o == gone else o for o in n.operands)) for n in model.nodes
            )
            outputs = tuple(operand if o == gone else o for o in model.outputs)
            if any(o.startswith("x") and o not in model.outputs for o in outputs):
                continue
            yield _pruned(case, replace(model, nodes=nodes, outputs=outputs))


def bypass_adapter(case: Case) -> Iterator[Case]:
    """Takes one node out and gives an input the type of its result: what a reshape or a cast was there for."""
    model = case.model
    for i in reversed(range(len(model.nodes))):
        for operand in dict.fromkeys(model.nodes[i].operands):
            gone = f"n{i}"
            if gone in model.outputs and operand.startswith("x"):
                continue
            nodes = tuple(
                replace(n, operands=tuple(operand if o == gone else o for o in n.operands)) for n in model.nodes
            )
            outputs = tuple(operand if o == gone else o for o in model.outputs)
            for k, old in enumerate(model.inputs):
                if old != model.types[gone]:
                    inputs = (*model.inputs[:k], model.types[gone], *model.inputs[k + 1 :])
                    yield _pruned(case, replace(model, inputs=inputs, nodes=nodes, outputs=outputs))


def no_oddities(case: Case) -> Iterator[Case]:
    """No input among the outputs, no output twice, no input that nobody reads."""
    model = case.model
    nodes_only = tuple(o for o in model.outputs if o.startswith("n"))
    once = tuple(dict.fromkeys(model.outputs))
    for outputs in dict.fromkeys((tuple(dict.fromkeys(nodes_only)), nodes_only, once)):
        if outputs and outputs != model.outputs:
            yield _pruned(case, replace(model, outputs=outputs))
    yield _pruned(case, model)


def single_operand(case: Case) -> Iterator[Case]:
    """Drops the second operand of ops that take a constant instead, or uses the first twice."""
    for i, node in enumerate(case.model.nodes):
        if len(node.operands) < 2:
            continue
        if node.spec.arity[0] == 1:
            yield _edited(case, i, replace(node, operands=node.operands[:1]))
        yield _edited(case, i, replace(node, operands=(node.operands[0],) * len(node.operands)))


def _edited(case: Case, index: int, node: Node) -> Case:
    nodes = list(case.model.nodes)
    nodes[index] = node
    return _pruned(case, replace(case.model, nodes=tuple(nodes)))


def _pruned(case: Case, model: Model) -> Case:
    """Without nodes and inputs that no output needs, names counted anew, weights of absent slots dropped."""
    needed: set[str] = set(model.outputs)
    for i in reversed(range(len(model.nodes))):
        if f"n{i}" in needed:
            needed.update(model.nodes[i].operands)
    kept = [i for i in range(len(model.nodes)) if f"n{i}" in needed]
    inputs = [i for i in range(len(model.inputs)) if f"x{i}" in needed]
    if not inputs or len(inputs) > MAX_INPUTS:
        return case
    names = {f"n{old}": f"n{new}" for new, old in enumerate(kept)}
    names.update({f"x{old}": f"x{new}" for new, old in enumerate(inputs)})
    try:
        nodes = tuple(replace(model.nodes[i], operands=tuple(names[o] for o in model.nodes[i].operands)) for i in kept)
        outputs = tuple(names[o] for o in model.outputs)
    except KeyError:
        return case
    small = Model(tuple(model.inputs[i] for i in inputs), nodes, outputs, model.patterns)
    return _with_model(case, _without_spare_weights(small))


def _without_spare_weights(model: Model) -> Model:
    try:
        typed = model.typed
    except CaseError:
        return model
    nodes = []
    for t in typed:
        names = {slot.name for slot in t.slots}
        nodes.append(replace(t.node, weights={k: v for k, v in t.node.weights.items() if k in names}))
    return replace(model, nodes=tuple(nodes))


# --- sizes and attributes ---------------------------------------------------------------------------------


def shrink_inputs(case: Case) -> Iterator[Case]:
    """Every dimension of every input: to 1, to its half, by one."""
    for i, type_ in enumerate(case.model.inputs):
        for d, dim in enumerate(type_.shape):
            for smaller in dict.fromkeys((1, dim // 2, dim - 1)):
                if 1 <= smaller < dim:  # never to 0: a tensor without elements is another matter
                    shape = (*type_.shape[:d], smaller, *type_.shape[d + 1 :])
                    inputs = list(case.model.inputs)
                    # Inputs of one shape usually must stay of one shape.
                    for k, other in enumerate(inputs):
                        if k == i or other == type_:
                            inputs[k] = TensorType(shape, other.dtype)
                    yield _with_model(case, _without_spare_weights(replace(case.model, inputs=tuple(inputs))))


def plain_dtypes(case: Case) -> Iterator[Case]:
    """Every dtype of all inputs to float32, then of each; else to int32."""
    inputs = case.model.inputs
    for dtype in ("float32", "int32"):
        for old in dict.fromkeys(t.dtype for t in inputs):
            if old in ("float32", dtype):
                continue
            for each in (None, *(i for i, t in enumerate(inputs) if t.dtype == old)):
                moved = tuple(
                    TensorType(t.shape, dtype) if t.dtype == old and each in (None, i) else t
                    for i, t in enumerate(inputs)
                )
                yield _with_model(case, _without_spare_weights(replace(case.model, inputs=moved)))


def plain_attributes(case: Case) -> Iterator[Case]:
    """Every attribute: to its default; integers also to 1, their half and one less."""
    for i, node in enumerate(case.model.nodes):
        for key, domain in node.spec.attrs.items():
            for value in _smaller(node.attrs[key], domain.default):
                if domain.check(value) is None:
                    yield _edited(case, i, replace(node, attrs={**node.attrs, key: value}))


def _smaller(value: Value, default: Value) -> Iterator[Value]:
    if value == default:
        return
    yield default
    if isinstance(value, bool | str | float):
        return
    if isinstance(value, tuple):
        for i, v in enumerate(value):
            for smaller in dict.fromkeys((1, v // 2, v - 1)):
                if smaller < v:
                    yield (*value[:i], smaller, *value[i + 1 :])
        return
    for number in dict.fromkeys((1, value // 2, value - 1)):
        if number < value:
            yield number


# --- numbers ----------------------------------------------------------------------------------------------

_PLAIN = (
    Recipe("constant", 0, 0.0),
    Recipe("constant"),
    Recipe("normal"),
    Recipe("uniform"),
)


def plain_weights(case: Case) -> Iterator[Case]:
    """All weights plain at once, then each: constants first, then an unscaled recipe of the same seed."""
    for recipe in _PLAIN[1:]:
        nodes = tuple(replace(n, weights=dict.fromkeys(n.weights, recipe)) for n in case.model.nodes)
        yield _with_model(case, replace(case.model, nodes=nodes))
    for i, node in enumerate(case.model.nodes):
        for name, old in node.weights.items():
            plain = Recipe(old.distribution, old.seed, values=old.values)
            rounded = replace(old, scale=1.0, sparsity=0.0, clusters=0, pattern="random")
            for recipe in dict.fromkeys((*_PLAIN, plain, rounded, *_simpler(old))):
                if recipe != old:
                    yield _edited(case, i, replace(node, weights={**node.weights, name: recipe}))


def _simpler(old: Recipe) -> Iterator[Recipe]:
    """A recipe with one field plain."""
    if old.pattern != "random":
        yield replace(old, pattern="random")
    if old.distribution != "literal":
        yield replace(old, seed=0)
    for name, value in (("sparsity", 0.0), ("clusters", 0), ("scale", 1.0), ("offset", 0.0)):
        if getattr(old, name) != value:
            changes: dict[str, Any] = {name: value, **({"pattern": "random"} if name == "sparsity" else {})}
            yield replace(old, **changes)
    if len(old.values) > 1:
        yield replace(old, values=old.values[: len(old.values) // 2])
        yield replace(old, values=old.values[:1])
    elif old.values and old.values != (1.0,):
        yield replace(old, values=(1.0,))
    if old.distribution in ("specials", "zeros", "extremes", "huge", "denormal"):
        # One unusual number says more than a thousand drawn ones.
        for number in _NUMBERS[old.distribution]:
            yield Recipe("constant", 0, number)


_NUMBERS: dict[str, tuple[float, ...]] = {
    "specials": (-0.0,),
    "zeros": (-0.0,),
    "extremes": (2.0**117, -1.0),
    "huge": (1e6, 1e20),
    "denormal": (2.0**-127, 2.0**-20),
}
"""What a constant may say of a distribution: JSON holds neither infinities nor NaN."""


def plain_samples(case: Case) -> Iterator[Case]:
    """One sample only, then a plain one."""
    inference = case.inference
    if len(inference.inputs) > 1:
        for recipe in inference.inputs:
            yield replace(case, inference=replace(inference, inputs=(recipe,)))
        for i in range(len(inference.inputs)):
            rest = inference.inputs[:i] + inference.inputs[i + 1 :]
            yield replace(case, inference=replace(inference, inputs=rest))
    for i, old in enumerate(inference.inputs):
        plain = (Recipe("constant"), Recipe("uniform"), Recipe("normal"), replace(old, scale=1.0, offset=0.0))
        for recipe in dict.fromkeys((*plain, *_simpler(old))):
            if recipe != old:
                inputs = (*inference.inputs[:i], recipe, *inference.inputs[i + 1 :])
                yield replace(case, inference=replace(inference, inputs=inputs))


# --- conversion and inference -----------------------------------------------------------------------------


def plain_conversion(case: Case) -> Iterator[Case]:
    """The plain conversion, the plain road, a scheme of the guide, fewer switches; then each field plain."""
    plain = Conversion()
    yield replace(case, conversion=plain)
    yield replace(case, conversion=replace(plain, scheme=case.conversion.scheme).repaired())
    yield replace(case, conversion=case.conversion.over(plain.entry))
    yield replace(case, conversion=replace(case.conversion, scheme=case.conversion.judged).over(plain.entry))
    for name in case.conversion.switches:
        fewer = {k: v for k, v in case.conversion.switches.items() if k != name}
        yield replace(case, conversion=replace(case.conversion, switches=fewer))
    for name in Conversion.__dataclass_fields__:
        value = getattr(plain, name)
        if getattr(case.conversion, name) != value:
            moved: Conversion = replace(case.conversion, **{name: value})
            if moved.conflict() is None:
                yield replace(case, conversion=moved)


def few_runtimes(case: Case) -> Iterator[Case]:
    """No relation, one thread; then one runtime alone, then one beside the reference kernels."""
    inference = case.inference
    if inference.relation != "none":
        yield replace(case, inference=replace(inference, relation="none"))
    if inference.threads > 1:
        yield replace(case, inference=replace(inference, threads=1))
    if len(inference.runtimes) > 1:
        for name in inference.runtimes:
            yield replace(case, inference=replace(inference, runtimes=(name,)))
    if len(inference.runtimes) > 2:
        for name in inference.runtimes:
            if name != "tf-reference":
                yield replace(case, inference=replace(inference, runtimes=(name, "tf-reference")))


PASSES: tuple[Callable[[Case], Iterator[Case]], ...] = (
    no_oddities,
    single_output,
    cut_tail,
    cut_head,
    bypass_node,
    bypass_adapter,
    single_operand,
    plain_conversion,
    few_runtimes,
    plain_dtypes,
    shrink_inputs,
    plain_attributes,
    plain_weights,
    plain_samples,
)
