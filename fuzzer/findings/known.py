"""Known behaviour: documented entries that hide a title and say why.

`known.toml` says what an entry consists of. To add one, add it there; to hide titles of one's own, write a file of the
same form and give it to `run`, `status` or `triage` with `--known`. An entry hides only on releases that it names: what
a newer release does is looked at again.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from fuzzer.errors import UserError
from fuzzer.findings.finding import Finding

FILE = Path(__file__).with_name("known.toml")
_FOUND = ("title", "kind", "stage", "message", "blame", "quantisation", "entry")
"""Fields in which an expression must be found."""
_EACH = ("ops", "runtimes")
"""Lists each item of which an expression must match whole."""
_SAID = ("id", "version", "since", "reason", "link", "versions")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Known:
    """One entry."""

    id: str
    version: int
    since: str
    reason: str
    link: str
    versions: tuple[Requirement, ...]
    condition: Mapping[str, re.Pattern[str]]

    def fits(self, finding: Finding) -> bool:
        """Whether a finding is of this behaviour, on a release that the entry names."""
        if not self._released(finding.versions):
            return False
        for name, pattern in self.condition.items():
            value = getattr(finding, name)
            if name in _EACH:
                if not value or not all(pattern.fullmatch(item) for item in value):
                    return False
            elif not pattern.search(value):
                return False
        return True

    def _released(self, text: str) -> bool:
        """Whether the releases that a finding was seen on (`tensorflow 2.21.0, ...`) are the entry's."""
        installed = dict(pair.split(" ", 1) for pair in text.split(", ") if " " in pair)
        for wanted in self.versions:
            try:
                if wanted.name not in installed or Version(installed[wanted.name]) not in wanted.specifier:
                    return False
            except InvalidVersion:
                return False
        return True


@cache
def shipped() -> tuple[Known, ...]:
    """The entries of this release."""
    return read(FILE)


def load(extra: Path | None = None) -> tuple[Known, ...]:
    """The entries of this release and of a file of the user's. Raises `UserError` for a file that is no such list."""
    return _distinct((*shipped(), *(read(extra) if extra is not None else ())))


def read(path: Path) -> tuple[Known, ...]:
    """The entries of a file. Raises `UserError` naming the entry and what is wrong with it."""
    try:
        tree = tomllib.loads(path.read_text())
    except OSError as refused:
        raise UserError(f"{path} cannot be read: {refused.strerror}") from refused
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise UserError(f"{path} is no TOML: {broken}") from broken
    entries = tree.get("known")
    if not isinstance(entries, list) or set(tree) != {"known"}:
        raise UserError(f"{path} holds no list of known behaviour: write `[[known]]` above each entry")
    return _distinct(_entry(path, i, entry) for i, entry in enumerate(entries, 1))


def _distinct(entries: Iterable[Known]) -> tuple[Known, ...]:
    found: dict[str, Known] = {}
    for entry in entries:
        if entry.id in found:
            raise UserError(f"known behaviour {entry.id!r} is listed twice; give one of them another id")
        found[entry.id] = entry
    return tuple(found.values())


def _entry(path: Path, number: int, tree: Any) -> Known:
    where = f"{path}, entry {number}"
    if not isinstance(tree, dict):
        raise UserError(f"{where} is no table")
    where += f" ({tree['id']})" if isinstance(tree.get("id"), str) else ""
    odd = set(tree) - {*_SAID, *_FOUND, *_EACH}
    if odd:
        raise UserError(f"{where} has {', '.join(sorted(odd))}, which no entry has")
    missing = [name for name in _SAID if not tree.get(name)]
    if missing:
        raise UserError(f"{where} lacks {', '.join(missing)}")
    if not isinstance(tree["version"], int) or not _DATE.fullmatch(str(tree["since"])):
        raise UserError(f"{where}: version is a number, since a date like 2026-01-31")
    if not str(tree["link"]).startswith("https://"):
        raise UserError(f"{where}: link is an address that begins with https://")
    condition = {name: tree[name] for name in (*_FOUND, *_EACH) if name in tree}
    if not condition:
        raise UserError(f"{where} has no condition and would hide everything")
    try:
        patterns = {name: re.compile(str(text)) for name, text in condition.items()}
        versions = tuple(Requirement(str(text)) for text in _listed(where, tree["versions"]))
    except (re.error, InvalidRequirement) as broken:
        raise UserError(f"{where}: {broken}") from broken
    since, reason, link = (str(tree[name]).strip() for name in ("since", "reason", "link"))
    return Known(str(tree["id"]), tree["version"], since, reason, link, versions, patterns)


def _listed(where: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise UserError(f'{where}: versions is a list, such as ["tensorflow>=2.19,<2.22"]')
    return value
