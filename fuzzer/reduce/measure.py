"""What "smaller" means: how much a reader of a case must be told."""

from __future__ import annotations

from fuzzer.case import ENTRIES, SCHEMES, Case, Conversion, Recipe
from fuzzer.reduce.passes.literals import MAX_LITERAL, told

Size = tuple[int, int, int, int, int]


def size(case: Case) -> Size:
    """Nodes, weight elements, value elements, settings that are not plain, length of the JSON: earlier ones decide."""
    typed = case.model.typed
    weights = sum(_numbers(t.node.weights.get(s.name), s.type.elements) for t in typed for s in t.slots)
    values = sum(t.type.elements for t in typed) + sum(t.elements for t in case.model.inputs)
    return len(typed), weights, values, _settings(case), len(case.canonical)


def _numbers(recipe: Recipe | None, elements: int) -> int:
    """Numbers a reader must know: one for a constant tensor, of a literal one those that differ."""
    if recipe is None or not recipe.values:
        return 1 if recipe is not None and recipe.distribution == "constant" else elements
    return min(elements, told(recipe.values))


def _settings(case: Case) -> int:
    """How much a reader must be told beside the graph: the road, attributes and by how far off, samples, threads."""
    inference = case.inference
    inputs = sum(t.elements for t in case.model.inputs)
    count = inference.threads + len(inference.runtimes) + len(inference.inputs) + (inference.relation != "none")
    count += len(case.model.inputs) + len(case.model.outputs) + _road(case.conversion)
    # A dtype that is not float32 has to be told; names of dtypes differ in length, which says nothing.
    count += sum(1 + (t.dtype != "int32") for t in case.model.inputs if t.dtype != "float32")
    recipes = [r for node in case.model.nodes for r in node.weights.values()]
    count += sum(_plainness(r) + bool(r.sparsity) for r in (*recipes, *inference.inputs))
    count += sum(_numbers(r, min(inputs, MAX_LITERAL)) for r in inference.inputs)
    for node in case.model.nodes:
        for key, domain in node.spec.attrs.items():
            value = node.attrs[key]
            if value != domain.default:
                numbers = value if isinstance(value, tuple) else (value,)
                count += 1 + sum(abs(n) for n in numbers if isinstance(n, int))
    return count


def _road(conversion: Conversion) -> int:
    """How far a conversion is from the plain one: roads and schemes are listed from plain to special."""
    plain = Conversion()
    others = [n for n in Conversion.__dataclass_fields__ if n not in ("entry", "scheme", "switches")]
    odd = sum(bool(getattr(conversion, name) != getattr(plain, name)) for name in others)
    return ENTRIES.index(conversion.entry) + SCHEMES.index(conversion.scheme) + len(conversion.switches) + odd


_PLAINNESS = {"constant": 0, "normal": 2, "uniform": 2, "boundary": 3}
"""How much a reader must be told of a distribution; of all others, more."""
FEW = 8
"""So many different literal numbers are plainer than any distribution."""


def _plainness(recipe: Recipe) -> int:
    if recipe.values:
        return 1 if told(recipe.values) <= FEW else 2
    return _PLAINNESS.get(recipe.distribution, 4)
