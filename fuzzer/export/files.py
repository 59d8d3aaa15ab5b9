"""A folder of exported tests: which files there are ours to replace, and what goes into them.

A manifest in the folder holds the digest of every file as it was written. Only what still has that digest is replaced:
files of others, and ours that somebody edited, are left alone and named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzzer.disk import write_atomic, write_json
from fuzzer.errors import UserError
from fuzzer.export.pytest_text import NoTestError, regression_test, test_name
from fuzzer.findings.finding import Finding

MANIFEST = ".exported-tests.json"
SCHEMA = 1
"""Of the manifest."""

CONFTEST = '''"""What all tests of this folder share: kernels of the CPU, and the releases in the head of the report."""

import importlib.metadata
import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")


def pytest_report_header():
    found = []
    for package in ("tensorflow", "ai-edge-litert", "tf-keras", "numpy"):
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
'''
"""A file of its own so that tests stay one thing each; a test that is taken alone does without."""
_README = """# Regression tests

One file a defect, each standing alone: TensorFlow and NumPy; LiteRT, tf-keras or tensorflow-model-optimization where
the defect is about them; and pytest. A test fails while its defect is there and passes once it is mended. What kills
the process runs in a process of its own, with a time limit. `conftest.py` keeps the tests on the CPU and is no
precondition: any file can be dropped into another tree.

    pip install pytest tensorflow ai-edge-litert
    pytest .

Tests of crashes and of broken memory run in processes of their own. Should a change turn another defect into a crash,
`pytest -n 1` (pytest-xdist) goes on after it.

Each file begins with its defect's title. "This test cannot tell" means that something failed which it is not about.
"""


@dataclass(frozen=True)
class Exported:
    """What an export did."""

    written: tuple[Path, ...]
    """New or replaced."""
    same: int
    """Files that were already as they should be."""
    kept: tuple[Path, ...]
    """Files that are not ours, or were edited, and therefore stay."""
    left_out: tuple[tuple[Finding, str], ...]
    """Findings without a test, and why."""


def export(crashes: Path, findings: Sequence[Finding], folder: Path) -> Exported:
    """Writes a test for each finding into `folder`. Raises `UserError` when that cannot be written."""
    texts, left_out = _texts(crashes, findings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write(folder, texts, left_out)
    except OSError as refused:
        reason = f"{folder} cannot be written ({refused.strerror}); what is there already is whole"
        raise UserError(f"{reason}. Name another folder, or make room") from refused


def _texts(crashes: Path, findings: Sequence[Finding]) -> tuple[dict[str, str], list[tuple[Finding, str]]]:
    """File names and texts, and what could not be told."""
    texts: dict[str, str] = {}
    left_out = []
    for finding in findings:
        try:
            script = (crashes / finding.path / "repro.py").read_text()
            name = f"test_{test_name(finding.title)}_{test_name(finding.id)}.py"
            texts[name] = regression_test(script, finding)
        except OSError as missing:
            left_out.append((finding, f"its repro.py cannot be read ({missing.strerror})"))
        except UnicodeDecodeError:
            left_out.append((finding, "its repro.py is no text"))
        except NoTestError as none:
            left_out.append((finding, str(none)))
    if texts:
        texts["conftest.py"] = CONFTEST
        texts["README.md"] = _README
    return texts, left_out


def _write(folder: Path, texts: Mapping[str, str], left_out: Sequence[tuple[Finding, str]]) -> Exported:
    ours = _manifest(folder)
    new, kept, same = [], [], 0
    for name, text in texts.items():
        path = folder / name
        now = _digest(path.read_bytes()) if path.is_file() and not path.is_symlink() else ""
        if now == _digest(text.encode()):
            same += 1
        elif path.is_symlink() or (path.exists() and now not in ours.get(name, ())):
            kept.append(path)
        else:
            new.append(path)
    # Both digests until all is written: however that ends, what is there is known to be ours.
    digests = {path.name: [_digest(texts[path.name].encode())] for path in new}
    if new:
        between = {name: [*ours.get(name, ()), *digest] for name, digest in digests.items()}
        write_json(folder / MANIFEST, {"schema": SCHEMA, "files": {**ours, **between}})
        for path in new:
            write_atomic(path, texts[path.name], sync=False)
        write_json(folder / MANIFEST, {"schema": SCHEMA, "files": {**ours, **digests}})
    return Exported(tuple(new), same, tuple(kept), tuple(left_out))


def _manifest(folder: Path) -> dict[str, list[str]]:
    """The digests of what was written here; none when there is no manifest that can be read."""
    try:
        tree = json.loads((folder / MANIFEST).read_bytes())
        files = tree["files"] if tree["schema"] <= SCHEMA else {}
        return {str(name): [str(digest) for digest in digests] for name, digests in files.items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # nothing is known to be ours, so nothing is replaced


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
