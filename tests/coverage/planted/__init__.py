"""Libraries whose blocks are known, and the compiler's call that makes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from fuzzer.native.build import compilers

HERE = Path(__file__).parent


def compiled(target: Path, *arguments: str | Path) -> Path:
    """A shared library of what `arguments` name: sources and options."""
    command = [*compilers()[0], "-shared", "-fPIC", "-Wl,-Bsymbolic", "-o", target, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def flow(folder: Path) -> Path:
    """`flow.S`, compiled."""
    return compiled(folder / "flow.so", "-nostdlib", HERE / "flow.S")


def assembly(target: Path, text: str) -> Path:
    """A library of assembly text."""
    source = target.with_suffix(".s")
    source.write_text(text + '\n.section .note.GNU-stack, "", @progbits\n')
    return compiled(target, "-nostdlib", source)
