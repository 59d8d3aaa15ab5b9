"""A package index in a folder, with releases of a `tensorflow` that is a few bytes: pip and venv are the real ones."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

SCRIPT = '''
"""A reproducer in miniature."""
import os
import sys


def cannot_tell(*error):
    sys.__excepthook__(*error)
    os._exit(2)


sys.excepthook = cannot_tell
import tensorflow as tf

print("tensorflow", tf.__version__, flush=True)
defect = tf.answer()
print("The defect is there." if defect else "The defect is gone.")
sys.exit(1 if defect else 0)
'''
GOOD, BAD, BROKEN = "def answer(): return False", "def answer(): return True", "missing = 1"


def wheel(index: Path, distribution: str, version: str, code: str, tag: str = "py3-none-any") -> None:
    """Adds a release to the index: a wheel (PEP 427) that holds one package of `code`."""
    folder = index / distribution
    folder.mkdir(parents=True, exist_ok=True)
    plain = distribution.replace("-", "_")
    module = "tensorflow" if distribution == "tensorflow-cpu" else plain
    info = f"{plain}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": f'__version__ = "{version}"\n{code}\n',
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
    with zipfile.ZipFile(folder / f"{plain}-{version}-{tag}.whl", "w") as file:
        for name, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            file.writestr(name, text)
    links = "".join(f'<a href="{path.name}">{path.name}</a>\n' for path in sorted(folder.glob("*.whl")))
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")


def releases(index: Path, codes: Mapping[str, str]) -> None:
    """Releases of `tensorflow-cpu` by version."""
    for version, code in codes.items():
        wheel(index, "tensorflow-cpu", version, code)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
