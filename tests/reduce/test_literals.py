"""Literal numbers: back from tensors, ever fewer, and recorded ones in the place of what made them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.build.literals import literal_of
from fuzzer.build.values import sample, samples_of, tensor, weight, weights_of
from fuzzer.case import DISTRIBUTIONS, Case, Inference, Model, Node, Recipe, decode
from fuzzer.ops import DTYPE_BYTES, TensorType, WeightSlot
from fuzzer.reduce import Budget, Literals, reduce
from fuzzer.reduce.passes.literals import common, fewer, told
from fuzzer.reduce.passes.recorded import recorded_operands

RECIPES = st.builds(
    Recipe,
    st.sampled_from([d for d in DISTRIBUTIONS if d != "literal"]),
    st.integers(0, 99),
    st.sampled_from([1.0, 0.1, 300.0]),
    st.sampled_from([0.0, -2.5]),
)


@settings(max_examples=300, deadline=None)
@given(RECIPES, st.sampled_from(sorted(DTYPE_BYTES)), st.sampled_from([(), (1,), (3, 2), (2, 0)]))
def test_a_literal_makes_the_very_tensor_or_is_none(recipe: Recipe, dtype: str, shape: tuple[int, ...]) -> None:
    type_ = TensorType(shape, dtype)
    made = tensor(recipe, type_)
    values = literal_of(made)
    if values is None:
        whole = made.dtype.kind in "iu" and made.size
        big = whole and (int(made.max()) > 1000 or int(made.min()) < -1000)
        odd = made.dtype.kind not in "iu" and made.dtype != object and not np.isfinite(made.astype(np.complex128)).all()
        huge = made.dtype == np.float64 and (np.abs(made) > 1e38).any()
        assert dtype == "string" or not made.size or big or odd or huge or dtype == "complex64"
    else:
        again = tensor(Recipe("literal", values=values), type_)
        assert again.dtype == made.dtype and again.tobytes() == made.tobytes()


@settings(max_examples=100, deadline=None)
@given(RECIPES, st.sampled_from([(0, 5), (-3, 4), (2, 3)]), st.sampled_from(["int32", "int64"]))
def test_an_index_is_told_from_its_low_end(recipe: Recipe, span: tuple[int, int], dtype: str) -> None:
    slot = WeightSlot("indices", TensorType((4,), dtype), span=span)
    made = weight(slot, recipe)
    values = literal_of(made, slot)
    assert values is not None
    assert weight(slot, Recipe("literal", values=values)).tolist() == made.tolist()


@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, 0.25, 3.14159, -7e20]), min_size=1, max_size=40).map(tuple))
def test_fewer_never_tells_more_and_comes_to_an_end(values: tuple[float, ...]) -> None:
    assert 1 <= told(values) <= len(values)
    for simpler in fewer(values):
        assert len(simpler) in (1, len(values))
        assert told(simpler) <= told(values) + 1  # what most are may become 0, of which there was one
    assert common((2.0,) * 3) == 2.0 and common((1.0, 2.0)) == 0.0


def dense(inputs: tuple[int, ...] = (1, 8)) -> Case:
    node = Node("dense", ("x0",), {"units": 3, "use_bias": False}, {"kernel": Recipe("normal", 5)})
    return Case(Model((TensorType(inputs, "float32"),), (node,), ("n0",)))


def test_one_weight_element_is_found() -> None:
    """The defect needs one number of the kernel, whatever the others are."""
    case = dense()
    wanted = weights_of(case)[0]["kernel"].max()
    result = reduce(case, lambda c: any(wanted in w for n in weights_of(c) for w in n.values()), Budget(60.0, 3000))
    (recipe,) = result.case.model.nodes[0].weights.values()
    assert recipe.distribution == "literal" and told(recipe.values) <= 2 and float(str(wanted)) in recipe.values


def test_one_sample_element_is_found() -> None:
    case = dense((1, 8))
    wanted = samples_of(case)[1][0].min()

    def holds(candidate: Case) -> bool:
        return any(
            x.shape == (1, 8) and x[0, 5] == samples_of(case)[1][0][0, 5] for s in samples_of(candidate) for x in s
        )

    (recipe,) = reduce(case, holds, Budget(60.0, 3000)).case.inference.inputs
    assert recipe.distribution == "literal" and recipe.values.count(0.0) == 7 and wanted is not None


# --- recorded ---------------------------------------------------------------------------------------------


def chain() -> Case:
    nodes = (
        Node("exp", ("x0",)),
        Node("tanh", ("n0",)),
        Node("broadcast_add", ("n1", "x1"), {"const_rank": 1, "const_mask": 0, "const_wide": 1, "swap": False}),
        Node("relu", ("n2",)),
    )
    types = (TensorType((2, 3), "float32"), TensorType((1, 3), "float32"))
    return Case(Model(types, nodes, ("n3",)), inference=Inference(inputs=(Recipe("normal", 1), Recipe("normal", 2))))


def numbers_of(case: Case) -> Literals:
    """What NumPy makes of the values of `chain`, whole or what is left of it."""
    functions = {"exp": np.exp, "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}
    made: dict[str, list[tuple[float, ...] | None]] = {f"n{i}": [] for i in range(len(case.model.nodes))}
    for given_ in samples_of(case):
        values = {f"x{i}": x for i, x in enumerate(given_)}
        for i, (node, weights) in enumerate(zip(case.model.nodes, weights_of(case), strict=True)):
            first = values[node.operands[0]]
            second = values[node.operands[1]] if len(node.operands) > 1 else weights.get("const")
            values[f"n{i}"] = (
                first + second if len(node.operands) > 1 or weights else functions[node.op](first)
            ).astype(np.float32)
            made[f"n{i}"].append(literal_of(values[f"n{i}"]))
    return {name: tuple(samples) for name, samples in made.items()}


def test_recorded_numbers_take_the_place_of_what_made_them() -> None:
    """A node sees the very numbers it saw before: as the only input, and as a constant."""
    case, proposed = chain(), []
    for small in recorded_operands(numbers_of)(case):
        assert decode(small.canonical) == small and small.model.typed
        proposed.append([n.op for n in small.model.nodes])
        if proposed[-1] == ["relu"]:
            assert [s[0].tolist() for s in samples_of(small)] == [
                np.array(v, np.float32).reshape(2, 3).tolist()
                for v in numbers_of(case)["n2"]  # type: ignore[arg-type]
            ]
        if len(proposed[-1]) == 4 and len(small.inference.inputs) == 1:
            (const,) = weights_of(small)[2].values()
            assert const.shape == (1, 3)
            assert const.tolist() in [sample(case.model.inputs[1], r, 1).tolist() for r in case.inference.inputs]
    assert ["relu"] in proposed and ["exp", "tanh", "broadcast_add", "relu"] in proposed


@pytest.mark.parametrize("workers", [1, 2])
def test_a_defect_of_exact_numbers_is_cut_free_by_recording(workers: int) -> None:
    """Fresh inputs never show it again; recorded ones do."""
    case = chain()
    exact = numbers_of(case)["n2"][0]

    def holds(candidate: Case) -> bool:
        last = candidate.model.nodes[-1]
        seen = dict(numbers_of(candidate))
        for i in range(len(candidate.model.inputs)):
            seen[f"x{i}"] = tuple(literal_of(s[i]) for s in samples_of(candidate))
        return last.op == "relu" and exact in seen[last.operands[0]]

    predicates = [holds] * workers
    assert len(reduce(case, predicates, Budget(60.0, 3000)).case.model.nodes) > 1
    result = reduce(case, predicates, Budget(60.0, 3000), numbers_of)
    assert [n.op for n in result.case.model.nodes] == ["relu"] and result.complete
