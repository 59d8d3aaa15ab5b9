"""What has a name and was never reached (kernels, passes, rewrite patterns, XNNPACK nodes), and what leads there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from fuzzer.coverage.reached.report import Group, Pattern, Unreached
from fuzzer.coverage.reached.roads import KERNEL_OPERATORS, NOTHING, Road, Roads

_GENERATED = re.compile(r"GeneratedConvert\d+$")
"""Patterns without a name of their own, numbered by LLVM's TableGen."""


def operators_of(groups: Iterable[Group]) -> set[str]:
    """TFLite operators that the libraries know: classes of the converter's dialect, and kernels."""
    classes = {g.name.rpartition("::")[2].removesuffix("Op") for g in groups if g.kind == "operator"}
    return classes | {name for operators in KERNEL_OPERATORS.values() for name in operators}


def seen_operators(features: Iterable[str]) -> set[str]:
    """TFLite operators in the flatbuffers of a corpus, by its features (`flat:ADD/FLOAT32`)."""
    return {feature.removeprefix("flat:").partition("/")[0] for feature in features if feature.startswith("flat:")}


def unreached(
    groups: Sequence[Group], patterns: Sequence[Pattern], roads: Roads, seen: set[str]
) -> tuple[Unreached, ...]:
    """Everything with a name and none of its functions reached; where we can go first, then by size."""
    found = [
        *_whole("kernel", groups, lambda name: roads.kernel(name.rpartition("::")[2]), seen),
        *_whole("node", groups, roads.node, seen),
        *_passes(groups, roads),
        *_patterns(patterns, roads, {group.name for group in groups if group.run}),
    ]
    return tuple(sorted(found, key=lambda item: (item.kind, not item.open, -item.blocks, item.name)))


def _whole(kind: str, groups: Sequence[Group], road: Callable[[str], Road], seen: set[str]) -> Iterable[Unreached]:
    by_name: dict[str, list[Group]] = {}
    for group in groups:
        if group.kind == kind:
            by_name.setdefault(group.name, []).append(group)
    for name, places in by_name.items():
        dark = [group for group in places if group.tally.functions_reached == 0]
        if not dark:
            continue
        way = road(name)
        short = name.rpartition("::")[2]
        operators = KERNEL_OPERATORS.get(short, (short.upper(),))
        where = " and ".join(sorted({group.scope for group in dark}))
        yield Unreached(
            kind,
            name,
            where,
            sum(group.tally.blocks for group in dark),
            way.ops,
            way.needs,
            way.open,
            kind == "kernel" and not seen.isdisjoint(operators),
        )


def _passes(groups: Sequence[Group], roads: Roads) -> Iterable[Unreached]:
    for group in groups:
        if group.kind == "pass" and group.run is False:
            way = roads.converter_pass(group.name)
            yield Unreached("pass", group.name, group.scope, group.tally.blocks, way.ops, way.needs, way.open)


def _patterns(patterns: Sequence[Pattern], roads: Roads, run: set[str]) -> Iterable[Unreached]:
    for pattern in patterns:
        if not pattern.tried and not _GENERATED.match(pattern.name):
            way = roads.pattern(pattern.owner, pattern.name, pattern.owner in run)
            yield Unreached("pattern", pattern.name, pattern.owner, pattern.tally.blocks, way.ops, way.needs, way.open)


def by_reason(items: Iterable[Unreached]) -> Mapping[str, list[Unreached]]:
    """Those without a road, by what is in the way, most first."""
    found: dict[str, list[Unreached]] = {}
    for item in items:
        if not item.open:
            found.setdefault(NOTHING if item.needs.startswith(NOTHING) else item.needs, []).append(item)
    return dict(sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])))
