"""Reading flatbuffers, evaluating them by index and by name, refusing what is not computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzzer import reference
from fuzzer.errors import UserError
from fuzzer.reference import registry
from fuzzer.reference.graph import read, unpack_int4
from tests.reference.builder import Operand, build, pack, tensor


def _layer() -> bytes:
    weights = Operand("int4", (2, 3), (0.5, 0.25), 0, 0).constant(np.array([[-8, 7, 1], [0, -1, 2]], np.int8))
    bias = Operand("int32", (2,)).constant(np.array([5, -5], np.int32))
    return build(
        "FULLY_CONNECTED",
        [tensor("int8", (1, 3), 0.5, 1), weights, bias],
        [tensor("int8", (1, 2), 0.5, -1)],
        "FullyConnectedOptions",
        9,
        fusedActivationFunction=1,
    )


def test_tensors_and_nodes() -> None:
    graph = read(_layer())
    weights = graph.tensors[1]
    assert (weights.dtype, weights.stored, weights.scales, weights.axis) == ("int8", "INT4", (0.5, 0.25), 0)
    assert weights.data is not None and weights.data.tolist() == [[-8, 7, 1], [0, -1, 2]]
    assert (graph.inputs, graph.outputs) == ((0,), (3,))
    (node,) = graph.nodes
    assert (node.op, node.options.fusedActivationFunction) == ("FULLY_CONNECTED", 1)
    assert [t.name if t else None for t in node.inputs] == ["i0", "i1", "i2"]
    assert graph.tensors[0].zero_points == (1,)


def test_four_bit_codes_of_odd_length() -> None:
    assert unpack_int4(np.array([0x8F, 0x07], np.uint8), 3).tolist() == [-1, -8, 7]


def test_run_gives_every_tensor_by_name() -> None:
    found = reference.run(_layer(), {"i0": np.array([[1, 3, -1]], np.int8)})
    assert set(found) == {"i0", "i1", "i2", "o0"}
    # Row 0: 2 * 7 - 2 * 1 + 5 = 17, times 0.5 * 0.5 / 0.5; row 1 is negative: RELU leaves the zero point.
    assert found["o0"].tolist() == [[9 - 1, -1]]
    assert found["o0"].dtype == np.int8


def _edited(content: bytes, edit: Any) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    edit(model, schema)
    return pack(model)


def test_a_constant_behind_the_flatbuffer() -> None:
    content = _layer()

    def move(model: Any, _: Any) -> None:
        buffer = model.buffers[model.subgraphs[0].tensors[2].buffer]
        buffer.data, buffer.offset, buffer.size = None, 100_000, 8

    moved = _edited(content, move).ljust(100_000, b"\0") + np.array([5, -5], np.int32).tobytes()
    feeds = {0: np.array([[1, 3, -1]], np.int8)}
    assert reference.evaluate(moved, feeds)[3].tolist() == reference.evaluate(content, feeds)[3].tolist()


def test_a_shared_name_keeps_both_values() -> None:
    content = _edited(_layer(), lambda model, _: setattr(model.subgraphs[0].tensors[3], "name", b"i2"))
    found = reference.run(content, {"i0": np.array([[1, 3, -1]], np.int8)})
    assert found["i2"].tolist() == [5, -5] and found["i2#3"].tolist() == [[8, -1]]


def test_a_sparse_constant_is_refused_where_it_is_used() -> None:
    def sparse(model: Any, schema: Any) -> None:
        model.subgraphs[0].tensors[1].sparsity = schema.SparsityParametersT()

    content = _edited(_layer(), sparse)
    assert read(content).tensors[1].unreadable
    with pytest.raises(reference.UnsupportedError, match=r"FULLY_CONNECTED.*stored sparse"):
        reference.run(content, {"i0": np.zeros((1, 3), np.int8)})


def test_what_has_no_kernel_is_refused_by_name() -> None:
    floating = build(
        "CONV_3D", [tensor("float32", (1,) * 5), tensor("float32", (1,) * 5)], [tensor("float32", (1,) * 5)]
    )
    assert reference.refusal(floating, 0) == "no kernel in the reference"
    assert not reference.supported(floating, 0) and reference.supported(_layer(), 0)


def test_inputs_must_match() -> None:
    with pytest.raises(UserError, match="i0"):
        reference.run(_layer(), {"x": np.zeros((1, 3), np.int8)})
    with pytest.raises(UserError, match="int8"):
        reference.run(_layer(), {"i0": np.zeros((1, 3), np.float32)})
    with pytest.raises(UserError, match="TFL3"):
        reference.run(b"not a model", {})


def test_a_missing_value_is_refused() -> None:
    with pytest.raises(reference.UnsupportedError, match="neither fed"):
        reference.evaluate(_layer(), {})


def test_every_kernel_module_is_listed_and_no_operator_twice() -> None:
    folder = Path(str(registry.__file__)).parent
    defining = {p.stem for p in folder.glob("*.py") if "\nKERNELS" in p.read_text(encoding="utf-8")}
    assert defining == set(registry.MODULES)
    assert len(registry.kernels()) > 15
    with pytest.raises(registry.DuplicateKernelError, match="pooling"):
        registry.gather(("pooling", "pooling"))
