"""The system that a report speaks of: operating system, processor, and the releases of a finding."""

from __future__ import annotations

import platform
import re
from functools import cache
from pathlib import Path

PACKAGES = {"tensorflow": "TensorFlow", "ai-edge-litert": "LiteRT (ai-edge-litert)", "python": "Python"}
"""The names in `Finding.versions`, and as a reader knows them."""


def versions(text: str) -> dict[str, str]:
    """`tensorflow 2.21.0, python 3.11.7` as a dictionary; what is not of this form is left out."""
    return dict(re.findall(r"([\w-]+) (\d[\w.+-]*)", text))


@cache
def distribution() -> str:
    """The operating system: `Ubuntu 22.04.4 LTS, x86_64`."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME") or platform.system()
    except OSError:
        name = platform.system()
    return f"{name}, {platform.machine()}"


@cache
def processor() -> str:
    """The processor's model and the vector extensions that kernels are chosen by; empty where it is not known."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.M)
    has = set(flags[1].split()) if flags else set()
    # XNNPACK chooses its micro-kernels by these (xnnpack/src/configs/hardware-config.c).
    found = [name for name in ("sse4_1", "avx", "f16c", "fma", "avx2", "avx512f", "avx512_vnni") if name in has]
    return ", ".join(filter(None, [model[1].strip() if model else "", " ".join(found)]))
