"""Counts what was reached, by scope, kernel, pass, namespace, feature family and time. Pure functions of `Evidence`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.campaign.corpus import Line
from fuzzer.coverage.features import FAMILIES
from fuzzer.coverage.reached.evidence import Evidence, Module
from fuzzer.coverage.reached.names import Function, functions

PAUSE_S = 120.0
"""A longer time between two lines is a pause between campaigns and cut out."""
MAX_POINTS = 400
"""Points of the growth that are kept; the last is always among them."""
BLOCKS = "blocks"
"""Native blocks as one more family of features."""


@dataclass(frozen=True)
class Tally:
    """What was reached of what there is. `indirect` blocks are among `blocks`; figures in the literature lack them."""

    functions: int = 0
    functions_reached: int = 0
    blocks: int = 0
    blocks_reached: int = 0
    indirect: int = 0
    indirect_reached: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    @property
    def counts(self) -> tuple[int, ...]:
        """All figures, in the order of the fields."""
        return (
            self.functions,
            self.functions_reached,
            self.blocks,
            self.blocks_reached,
            self.indirect,
            self.indirect_reached,
        )

    @property
    def missing(self) -> int:
        """Blocks that were never reached."""
        return self.blocks - self.blocks_reached

    @property
    def plain(self) -> tuple[int, int]:
        """Blocks without indirect ones: reached, all."""
        return self.blocks_reached - self.indirect_reached, self.blocks - self.indirect


@dataclass(frozen=True)
class ScopeRow:
    """One library under coverage."""

    scope: str
    module: str
    tally: Tally


@dataclass(frozen=True)
class Pattern:
    """One rewrite pattern: `tally` is that of its functions, `tried` whether its `matchAndRewrite` ever ran."""

    scope: str
    owner: str
    name: str
    tried: bool
    tally: Tally


@dataclass(frozen=True)
class Group:
    """The functions that belong together: a kernel, a pass with its patterns, a namespace..."""

    scope: str
    kind: str
    name: str
    tally: Tally
    patterns: int = 0
    patterns_tried: int = 0
    run: bool | None = None
    """Of a pass: whether its `runOnOperation` was reached."""
    missing: tuple[str, ...] = ()
    """Functions that were never reached; for kernels and passes only."""


@dataclass(frozen=True)
class Family:
    """One family of features, or the native blocks."""

    name: str
    meaning: str
    count: int
    entries: int
    """Entries of the corpus that were the first to show one of it."""
    share: float
    """The same, of all entries."""


@dataclass(frozen=True)
class Point:
    """What was known after `seconds` of campaigns."""

    seconds: float
    entries: int
    features: int
    blocks: dict[str, int]
    """By scope."""


@dataclass(frozen=True)
class Unreached:
    """Something with a name that was never reached, and what would lead there."""

    kind: str
    """`kernel`, `pattern`, `pass` or `node`."""
    name: str
    owner: str
    """The pass of a pattern; the scopes in which a kernel or node was not reached."""
    blocks: int
    ops: tuple[str, ...]
    needs: str
    open: bool
    """Whether the generator can go there today."""
    seen: bool = False
    """Of a kernel: whether its operator is in flatbuffers of the corpus already."""


@dataclass(frozen=True)
class Report:
    """Everything that the verb shows."""

    corpus: str
    entries: int
    died: int
    """Lines of cases that killed their executor; they have no case file."""
    seconds: float
    undated: int
    scopes: tuple[ScopeRow, ...] = ()
    groups: tuple[Group, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    growth: tuple[Point, ...] = ()
    families: tuple[Family, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    problems: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Named:
    """A module with its functions: arrays have one entry a function."""

    module: Module
    functions: list[Function]
    tallies: NDArray[np.int64]
    """i64[functions, 4]: blocks, reached blocks, indirect, reached indirect."""


def named(module: Module) -> Named:
    """Looks up what the functions of a module are, and counts their blocks. Functions without blocks are left out."""
    table, reached = module.table, module.reached
    index = np.asarray(table.functions, np.int64)
    size = len(table.names)
    indirect = np.asarray(table.indirect, bool)
    columns = [np.bincount(index[mask], minlength=size) for mask in _masks(reached, indirect)]
    tallies = np.stack(columns, axis=1)
    present, at = np.unique(index, return_index=True)
    order = np.argsort(np.asarray(table.addresses)[at], kind="stable")
    present, at = present[order], at[order]
    addresses = np.asarray(table.addresses)[at].tolist()
    found = functions([table.names[i] for i in present.tolist()], addresses)
    return Named(module, found, tallies[present])


def _masks(reached: NDArray[np.bool_], indirect: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], ...]:
    return np.ones_like(reached), reached, indirect, reached & indirect


def tally(rows: NDArray[np.int64]) -> Tally:
    """The tally of some functions, i64[n, 4]."""
    blocks, reached, indirect, indirect_reached = (int(total) for total in rows.sum(axis=0))
    return Tally(len(rows), int((rows[:, 1] > 0).sum()), blocks, reached, indirect, indirect_reached)


def scope_row(of: Named) -> ScopeRow:
    """The whole module."""
    return ScopeRow(of.module.library.scope, of.module.library.module, tally(of.tallies))


def patterns_of(of: Named) -> list[Pattern]:
    """The rewrite patterns of a module, in no order."""
    members: dict[tuple[str, str], list[int]] = {}
    for i, function in enumerate(of.functions):
        if function.place.pattern:
            members.setdefault((function.place.group, function.place.pattern), []).append(i)
    found = []
    for (owner, name), at in members.items():
        # Patterns are made and destroyed whenever their pass runs: what counts is that they were tried.
        tried = any(of.tallies[i, 1] > 0 for i in at if of.functions[i].name.endswith("::matchAndRewrite"))
        found.append(Pattern(of.module.library.scope, owner, name, tried, tally(of.tallies[at])))
    return found


def groups_of(of: Named, patterns: Iterable[Pattern]) -> list[Group]:
    """The groups of a module, most missing blocks first."""
    by_owner: dict[str, list[Pattern]] = {}
    for pattern in patterns:
        by_owner.setdefault(pattern.owner, []).append(pattern)
    members: dict[tuple[str, str], list[int]] = {}
    for i, function in enumerate(of.functions):
        members.setdefault((function.place.kind, function.place.group), []).append(i)
    found = []
    for (kind, name), at in members.items():
        theirs = by_owner.get(name, []) if kind == "pass" else []
        unreached = [of.functions[i].name for i in at if of.tallies[i, 1] == 0] if kind in ("kernel", "pass") else []
        runs = [int(of.tallies[i, 1]) for i in at if of.functions[i].name == f"{name}::runOnOperation"]
        found.append(
            Group(
                of.module.library.scope,
                kind,
                name,
                tally(of.tallies[at]),
                len(theirs),
                sum(pattern.tried for pattern in theirs),
                any(runs) if runs else None,
                tuple(dict.fromkeys(unreached)),
            )
        )
    return sorted(found, key=lambda group: (-group.tally.missing, group.name))


def families(evidence: Evidence) -> list[Family]:
    """The families of features with what each brought, and the native blocks as one more; most first."""
    seen: set[str] = set()
    counts: dict[str, int] = dict.fromkeys(FAMILIES, 0)
    entries: dict[str, set[str]] = {}
    for line in evidence.lines:
        fresh = [feature for feature in line.features if feature not in seen]
        seen.update(fresh)
        for feature in fresh:
            name = feature.partition(":")[0]
            counts[name] = counts.get(name, 0) + 1
            if not line.died:
                entries.setdefault(name, set()).add(line.case)
    all_entries = max(1, len({line.case for line in evidence.lines if not line.died}))
    found = [_family(name, FAMILIES.get(name, "of another release"), counts, entries, all_entries) for name in counts]
    if evidence.modules:
        firsts = np.concatenate([module.first_line[module.reached] for module in evidence.modules])
        native = {evidence.lines[i].case for i in np.unique(firsts).tolist() if not evidence.lines[i].died}
        found.append(_family(BLOCKS, "native basic blocks", {BLOCKS: len(firsts)}, {BLOCKS: native}, all_entries))
    return sorted(found, key=lambda family: (-family.count, family.name))


def _family(name: str, meaning: str, counts: dict[str, int], entries: dict[str, set[str]], of: int) -> Family:
    showed = len(entries.get(name, ()))
    return Family(name, meaning, counts[name], showed, round(showed / of, 4))


def growth(evidence: Evidence) -> list[Point]:
    """How coverage grew with the time of the campaigns. Lines without a time are there from the start."""
    clock = clock_of(evidence.lines)
    by_scope = {module.library.scope: np.zeros(len(clock), np.int64) for module in evidence.modules}
    for module in evidence.modules:  # a scope can be in several libraries
        by_scope[module.library.scope] += np.bincount(module.first_line[module.reached], minlength=len(clock))
    totals = {scope: np.cumsum(fresh) for scope, fresh in by_scope.items()}
    features, entries = _growing(evidence.lines)
    chosen = sorted({*np.linspace(0, len(clock) - 1, min(MAX_POINTS, len(clock))).astype(int).tolist()})
    return [
        Point(round(clock[i], 1), entries[i], features[i], {scope: int(total[i]) for scope, total in totals.items()})
        for i in chosen
    ]


def _growing(lines: Sequence[Line]) -> tuple[list[int], list[int]]:
    """Distinct features and entries after each line."""
    features: list[int] = []
    entries: list[int] = []
    seen: set[str] = set()
    cases: set[str] = set()
    for line in lines:
        seen.update(line.features)
        if not line.died:
            cases.add(line.case)
        features.append(len(seen))
        entries.append(len(cases))
    return features, entries


def clock_of(lines: Sequence[Line]) -> list[float]:
    """Seconds of campaigns at each line. Pauses are cut out."""
    clock: list[float] = []
    now, last = 0.0, None
    for line in lines:
        if line.at is not None:
            gap = line.at - last if last is not None else 0.0
            now += gap if 0 <= gap <= PAUSE_S else 0.0
            last = line.at
        clock.append(now)
    return clock
