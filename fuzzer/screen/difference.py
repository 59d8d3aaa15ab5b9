"""What a finding's runtimes gave and what was expected, element by element, from its `tensors.npz`."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fuzzer.screen.text import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "tensors.npz"
REFERENCE = "tensorflow"
"""Whose outputs the others are held against; `sample0_<runtime>_y0` is how the file names an output."""
MAX_BYTES = 16 * 2**20
"""Of all arrays, unpacked. The screen draws on one thread: more would make it stutter."""
MAX_ELEMENTS = 12
MAX_TABLES = 6
_BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)
"""What NumPy and zipfile raise for a damaged file, and for one that was made to be hostile."""


@dataclass(frozen=True)
class Output:
    """One output of one sample: the reference's value and those of the runtimes."""

    sample: int
    place: int
    expected: NDArray[Any]
    actual: dict[str, NDArray[Any]]


def differences(folder: Path) -> RenderableType | None:
    """A table an output that differs, worst elements first; None where nothing is stored that does. Never raises."""
    path = folder / FILE
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            return Text(f"{FILE} is too large to be shown here ({size:,} bytes).", style="dim")
        tables = [table for output in _outputs(path) if (table := _table(output)) is not None]
    except FileNotFoundError:
        return None
    except _BROKEN as broken:
        return Text(f"{FILE} is damaged: {one_line(str(broken) or type(broken).__name__)} ({path}).", style="yellow")
    if not tables:
        return None
    rest = [Text(f"and {len(tables) - MAX_TABLES} more outputs", style="dim")] if len(tables) > MAX_TABLES else []
    return Group(*tables[:MAX_TABLES], *rest)


def _outputs(path: Path) -> Iterator[Output]:
    import numpy as np

    with np.load(path, allow_pickle=False) as stored:
        names = [n for n in stored.files if "_y" in n and n.startswith("sample")]
        for name in sorted(n for n in names if f"_{REFERENCE}_y" in n):
            sample, place = name.split("_")[0], name.rsplit("_y", 1)[1]
            others = {n.removeprefix(f"{sample}_").rsplit("_y", 1)[0]: n for n in names if _same(n, sample, place)}
            loaded = {runtime: _numbers(stored, n) for runtime, n in others.items()}
            expected = loaded.pop(REFERENCE)
            actual = {runtime: array for runtime, array in loaded.items() if array is not None}
            if expected is not None:
                yield Output(int(sample.removeprefix("sample")), int(place), np.asarray(expected), actual)


def _numbers(stored: Any, name: str) -> NDArray[Any] | None:
    """An array of the file; None for strings, which NumPy stores as pickles: those are never read."""
    try:
        array: NDArray[Any] = stored[name]
    except ValueError as refused:
        if "allow_pickle" in str(refused):
            return None
        raise
    return array


def _same(name: str, sample: str, place: str) -> bool:
    return name.startswith(f"{sample}_") and name.endswith(f"_y{place}")


def _table(output: Output) -> RenderableType | None:
    """The elements that differ most in any runtime; None where nothing differs."""
    import numpy as np

    expected = output.expected
    title = f"sample {output.sample}, output {output.place}: {expected.dtype} {list(expected.shape)}"
    shapes = {r: a for r, a in output.actual.items() if (a.shape, a.dtype) != (expected.shape, expected.dtype)}
    alike = {r: a for r, a in output.actual.items() if a.shape == expected.shape}
    said = [f"{r} gives {a.dtype} {list(a.shape)}" for r, a in shapes.items()]
    errors = {r: _error(expected, a) for r, a in alike.items()}
    worst = np.zeros(expected.shape)
    for error in errors.values():
        worst = np.maximum(worst, error)
    places = [int(i) for i in np.argsort(-worst, axis=None, kind="stable")[:MAX_ELEMENTS] if worst.flat[i] > 0]
    if not places and not said:
        return None
    head = Text(one_line(f"{title}; {'; '.join(said)}" if said else title), style="dim")
    if not places:
        return head
    table = Table(box=None, pad_edge=False, header_style="dim underline", padding=(0, 2, 0, 0))
    for name in ("element", REFERENCE, *alike, "error"):
        table.add_column(one_line(name), justify="left" if name == "element" else "right", no_wrap=True)
    for i in places:
        index = tuple(int(k) for k in np.unravel_index(i, expected.shape))
        cells = [
            _cell(array.flat[i], error.flat[i]) for array, error in zip(alike.values(), errors.values(), strict=True)
        ]
        label = ",".join(map(str, index)) or "scalar"
        table.add_row(Text(label), Text(_number(expected.flat[i])), *cells, Text(_number(worst.flat[i])))
    count = int((worst > 0).sum())
    more = f"{count} of {expected.size} elements differ" + (
        f", the {len(places)} worst are shown" * (count > len(places))
    )
    return Group(head, table, Text(more, style="dim"))


def _error(expected: NDArray[Any], actual: NDArray[Any]) -> NDArray[Any]:
    """Absolute differences, float64; infinite where only one of the two is a number, or where texts differ."""
    import numpy as np

    if expected.dtype.kind not in "biufc" or actual.dtype.kind not in "biufc":
        return np.where(expected == actual, 0.0, np.inf)
    wide = np.complex128 if "c" in (expected.dtype.kind, actual.dtype.kind) else np.float64
    left, right = expected.astype(wide), actual.astype(wide)
    with np.errstate(all="ignore"):
        error = np.abs(left - right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


def _cell(value: Any, error: Any) -> Text:
    return Text(_number(value), "bold red" if error > 0 else "green")


def _number(value: Any) -> str:
    """Nine digits tell any two float32 apart."""
    if isinstance(value, bytes):
        return one_line(repr(value))
    if hasattr(value, "dtype") and value.dtype.kind in "fc":
        return f"{value:.9g}"
    return one_line(str(value))
