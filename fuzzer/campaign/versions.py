"""Which releases are installed, found without importing them."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from fuzzer.errors import UserError

OLDEST_TENSORFLOW = (2, 19)
NEWEST_TESTED = (2, 21)


def installed() -> str:
    """`tensorflow 2.21.0, ai-edge-litert 2.3.0, python 3.11.7`."""
    packages = ", ".join(f"{package} {_version(package)}" for package in ("tensorflow", "ai-edge-litert"))
    return f"{packages}, python {platform.python_version()}"


def check() -> list[str]:
    """Warnings about the installed releases. Raises `UserError` when a campaign cannot run on them."""
    found = _version("tensorflow")
    if found == "missing":
        raise UserError(
            "TensorFlow is not installed; `./scripts/fuzz` does that, or: pip install 'tensorflow>=2.19,<2.22'"
        )
    for package in ("atheris", "ai-edge-litert", "tf-keras"):
        if _version(package) == "missing":
            raise UserError(f"{package} is not installed; `./scripts/fuzz` does that, or: pip install {package}")
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_TENSORFLOW:
        raise UserError(
            f"TensorFlow {found} is too old: this release runs on {_dotted(OLDEST_TENSORFLOW)} to "
            f"{_dotted(NEWEST_TESTED)}; pip install -U tensorflow"
        )
    if numbers > NEWEST_TESTED:
        return [f"TensorFlow {found} is newer than {_dotted(NEWEST_TESTED)}, the newest this release was tested with"]
    return []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
