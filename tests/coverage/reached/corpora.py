"""Small corpora with block tables of our own, for the coverage report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fuzzer.campaign.corpus import FEATURES, STATE, Line
from fuzzer.coverage import tables
from fuzzer.coverage.space import BlockSpace, Library

BLOCKS_FILE = "blocks.json"
CONVERTER = (
    # Name and blocks, in the order of the addresses; each has 16 bytes.
    ("mlir::TFL::LegalizeTFPass::runOnOperation", 4),
    ("mlir::TFL::LegalizeBucketize::matchAndRewrite", 3),
    ("llvm::function_ref<void ()>::callback_fn<mlir::TFL::LegalizeBucketize::matchAndRewrite::{lambda#1}>", 1),
    ("mlir::TFL::LegalizeSigmoidGrad::matchAndRewrite", 2),
    ("mlir::TFL::LegalizeAbs::~LegalizeAbs", 1),
    ("mlir::TFL::LegalizeAbs::matchAndRewrite", 2),
    ("mlir::TFL::DenseToSparsePass::runOnOperation", 5),
    ("mlir::Op<mlir::TFL::AddOp, mlir::OpTrait::ZeroRegions>::verifyInvariants", 2),
    ("mlir::TFL::AddOp::verify", 1),
    ("toco::tflite::Export", 2),
)  # fmt: skip
RUNTIME = (
    ("tflite::ops::builtin::conv::Eval<(tflite::ops::builtin::conv::KernelType)1>", 6),
    ("tflite::ops::builtin::bucketize::Eval", 4),
    ("tflite::ops::builtin::svdf::Eval", 3),
    ("tflite::ops::builtin::Register_CONV_2D", 1),
    ("tflite::xnnpack::Subgraph::VisitMaxPool2DNode", 2),
    ("xnn_f32_gemm_minmax_ukernel_4x8__sse", 2),
    ("google::protobuf::Arena::New", 2),
)
LIBRARIES = {"converter": CONVERTER, "runtime": RUNTIME}
INDIRECT = 1
"""The second block of each function of more than one is indirect."""


def table(parts: Sequence[tuple[str, int]]) -> tables.Table:
    functions = np.repeat(np.arange(len(parts)), [blocks for _, blocks in parts])
    indirect = np.concatenate([np.arange(blocks) == INDIRECT for _, blocks in parts])
    addresses = 0x1000 + 16 * np.arange(len(functions))
    return tables.Table(addresses.astype("<u8"), functions.astype("<u4"), indirect, [name for name, _ in parts])


def space(folder: Path) -> BlockSpace:
    """Two libraries, their tables in `folder`."""
    libraries = []
    for scope, parts in LIBRARIES.items():
        made = table(parts)
        path = folder / f"{scope}.blocks"
        path.write_bytes(tables._packed(made))
        libraries.append(Library(scope, f"/nowhere/{scope}.so", f"{scope:0<16}"[:16], str(path), len(made.addresses)))
    return BlockSpace(tuple(libraries))


def large(folder: Path, functions: int, blocks_each: int) -> BlockSpace:
    """One library of many functions, with namespaces, kernels and patterns in the proportions of the real ones."""
    forms = {
        0: "mlir::TFL::Pattern{i}::matchAndRewrite",
        1: "tflite::ops::builtin::kernel{k}::Eval<{i}>",
        2: "mlir::Op<mlir::TFL::Class{k}Op, mlir::OpTrait::Trait<{i}>>::verify",
    }
    names = [forms.get(i % 40, "tflite::part{k}::Function<{i}>::run").format(i=i, k=i % 700) for i in range(functions)]
    made = table([(name, blocks_each) for name in names])
    path = folder / "large.blocks"
    path.write_bytes(tables._packed(made))
    return BlockSpace((Library("converter", "/nowhere/large.so", "1" * 16, str(path), len(made.addresses)),))


def blocks_of(where: BlockSpace, scope: str, *names: str, first: int | None = None) -> list[int]:
    """The numbers of all blocks of some functions, or of their first ones."""
    numbers, at = [], where.firsts[[library.scope for library in where.libraries].index(scope)]
    for name, count in LIBRARIES[scope]:
        if any(wanted in name for wanted in names):
            numbers += range(at, at + (count if first is None else first))
        at += count
    return numbers


def write(folder: Path, lines: Sequence[Line], where: BlockSpace | None) -> Path:
    """A corpus of these lines; returns the file that names its libraries."""
    (folder / STATE).mkdir(parents=True)
    (folder / FEATURES).write_bytes(b"".join(line.to_bytes() for line in lines))
    path = folder / STATE / BLOCKS_FILE
    if where is not None:
        path.write_text(json.dumps({"libraries": where.to_json()}))
    return path


def usual(folder: Path) -> tuple[Path, BlockSpace]:
    """A corpus of four lines over an hour: three entries and a killer. Second: its libraries."""
    where = space(folder)
    lines = [
        Line("a", ["op:conv2d/float32", "flat:CONV_2D/FLOAT32"], pack(where, "converter", "LegalizeTFPass"), 1000.0),
        Line("b", ["op:conv2d/float32", "flat:BUCKETIZE/FLOAT32"], pack(where, "runtime", "conv::Eval"), 1030.0),
        Line("k", [], pack(where, "converter", "LegalizeAbs::~", "AddOp::verify"), 1060.0, died=True),
        # An hour later another campaign goes on; it shows nothing new but a feature.
        Line("c", ["msg:convert/no"], pack(where, "converter", "LegalizeTFPass"), 4660.0),
    ]
    write(folder / "corpus", lines, where)
    return folder / "corpus", where


def pack(where: BlockSpace, scope: str, *names: str) -> dict[str, str]:
    return where.pack(blocks_of(where, scope, *names))
