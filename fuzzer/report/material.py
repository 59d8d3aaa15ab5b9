"""What a report is made of: the finding's row, and whatever its folder holds.

A folder may be half-written, edited by hand or made by a newer release. What cannot be read is left out and said in one
sentence; only a folder that is not there at all is an error.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.case import Case, decode
from fuzzer.errors import CaseError, UserError
from fuzzer.examine import kernels as kernels_file
from fuzzer.findings.finding import Finding
from fuzzer.oracles.death import STACK
from fuzzer.oracles.verdict import Verdict

MAX_TEXT_BYTES = 1 << 20
"""Of a text file; of a log its end, which is where a process died."""
MAX_MODEL_BYTES = 64 << 20
MAX_TENSOR_BYTES = 256 << 20
"""Of all arrays together, unpacked."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Output:
    """An output as one kernel declares it: its shape, and its quantisation (scale 0.0 for none)."""

    shape: tuple[int, ...] = ()

    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Kernel:
    """What one runtime made of the minimal case when it was saved. `failure` is empty where it gave outputs."""

    failure: str = ""
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True)
class Material:
    """Everything a report may draw on; what is not there is empty."""

    finding: Finding
    case: Case | None = None
    """The minimised case, or as it was found where there is no minimised one."""
    tree: dict[str, Any] = field(default_factory=dict)
    """The JSON of that case, also where this release cannot run it."""
    verdict: Verdict | None = None
    script: str = ""
    log: str = ""
    stack: tuple[str, ...] = ()
    content: bytes = b""
    """The flatbuffer."""
    tensors: dict[str, Array] = field(default_factory=dict)
    """`sample0_x0`, `sample0_tensorflow_y0`, `sample0_litert_y0`: inputs, TensorFlow's outputs, a runtime's."""
    kernels: dict[str, Kernel] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read(crashes: Path, finding: Finding) -> Material:
    """Reads a finding's folder. Raises `UserError` when the folder is not there."""
    folder = crashes / finding.path
    if not folder.is_dir():
        raise UserError(
            f"the folder {folder} of this finding is gone; its line in the journal is kept. Restore the folder, or run "
            "a campaign again: it is written anew when the defect is met"
        )
    return read_folder(folder, finding)


def read_folder(folder: Path, finding: Finding) -> Material:
    """Reads a folder of a finding that is there."""
    reader = _Reader(folder)
    verdict = reader.verdict()
    tree, case = reader.case()
    log = reader.text("log.txt", tail=True)
    stack = tuple(reader.text("stack.txt", quiet=True).splitlines())
    if not stack and verdict is not None and isinstance(verdict.evidence.get(STACK), list):
        stack = tuple(map(str, verdict.evidence[STACK]))
    return Material(
        finding,
        case,
        tree,
        verdict,
        reader.text("repro.py"),
        log,
        stack,
        reader.model(),
        reader.tensors(),
        reader.kernels(),
        tuple(reader.problems),
    )


class _Reader:
    """Reads the files of one folder and collects what was wrong with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []

    def text(self, name: str, *, tail: bool = False, quiet: bool = False) -> str:
        """A text file as far as `MAX_TEXT_BYTES`; `quiet` where a finding need not have it."""
        try:
            with (self.folder / name).open("rb") as stream:
                size = stream.seek(0, 2)
                stream.seek(max(0, size - MAX_TEXT_BYTES) if tail else 0)
                raw = stream.read(MAX_TEXT_BYTES)
        except FileNotFoundError:
            if not quiet:
                self.problems.append(f"{name} is missing")
            return ""
        except OSError as refused:
            self.problems.append(f"{name} cannot be read ({refused.strerror})")
            return ""
        if size > MAX_TEXT_BYTES and not quiet:
            self.problems.append(f"of {name} the {'last' if tail else 'first'} {MAX_TEXT_BYTES:,} bytes are shown")
        return raw.decode("utf-8", "replace")

    def json(self, name: str, *, quiet: bool = False) -> dict[str, Any]:
        """The object in a file; empty where there is none."""
        text = self.text(name, quiet=quiet)
        if not text:
            return {}
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError) as broken:
            self.problems.append(f"{name} is damaged ({str(broken)[:80]})")
            return {}
        if not isinstance(tree, dict):
            self.problems.append(f"{name} is damaged (expected an object)")
            return {}
        return tree

    def verdict(self) -> Verdict | None:
        tree = self.json("verdict.json")
        if not tree:
            return None
        try:
            return Verdict.from_json(tree)
        except (KeyError, TypeError, ValueError) as broken:
            self.problems.append(f"verdict.json cannot be read by this release ({str(broken)[:80]})")
            return None

    def case(self) -> tuple[dict[str, Any], Case | None]:
        for name in ("minimal.json", "case.json"):
            tree = self.json(name)
            if not tree:
                continue
            try:
                case = decode(json.dumps(tree))
                _ = case.model.types
            except (CaseError, RecursionError) as invalid:
                self.problems.append(f"{name} cannot be read by this release ({str(invalid)[:120]})")
                return tree, None
            return tree, case
        return {}, None

    def model(self) -> bytes:
        path = self.folder / "model.tflite"
        try:
            size = path.stat().st_size
            if size > MAX_MODEL_BYTES:
                self.problems.append(f"model.tflite is too large to be drawn ({size:,} bytes)")
                return b""
            return path.read_bytes()
        except FileNotFoundError:
            return b""  # what dies or fails in the converter has none
        except OSError as refused:
            self.problems.append(f"model.tflite cannot be read ({refused.strerror})")
            return b""

    def tensors(self) -> dict[str, Array]:
        path = self.folder / "tensors.npz"
        try:
            with zipfile.ZipFile(path) as packed:
                size = sum(entry.file_size for entry in packed.infolist())
            if size > MAX_TENSOR_BYTES:
                self.problems.append(f"tensors.npz is too large to be shown ({size:,} bytes unpacked)")
                return {}
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files if _readable(arrays, name)}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as broken:
            self.problems.append(f"tensors.npz cannot be read ({str(broken)[:80] or type(broken).__name__})")
            return {}

    def kernels(self) -> dict[str, Kernel]:
        tree = self.json(kernels_file.FILE, quiet=True)
        if not tree:
            return {}
        try:
            if tree["schema"] > kernels_file.SCHEMA:
                raise ValueError("written by a newer release")
            return {str(name): _kernel(entry) for name, entry in tree["kernels"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as broken:
            self.problems.append(f"{kernels_file.FILE} cannot be read by this release ({str(broken)[:80]})")
            return {}


def _readable(arrays: Any, name: str) -> bool:
    """Whether an array holds numbers; strings are stored as objects, which are not loaded: they could be code."""
    try:
        return bool(arrays[name].dtype.kind in "biufc")
    except ValueError:
        return False


def _kernel(entry: dict[str, Any]) -> Kernel:
    outputs = tuple(
        Output(tuple(map(int, o["shape"])), float(o["scale"]), int(o["zero_point"])) for o in entry["outputs"]
    )
    return Kernel(str(entry["failure"]), outputs)
