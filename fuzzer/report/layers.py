"""Lays a graph out in layers, from top to bottom: which node in which layer, in which order, and where.

The steps are those of K. Sugiyama, S. Tagawa and M. Toda (*Methods for Visual Understanding of Hierarchical System
Structures*, IEEE Trans. SMC 11(2), 1981): layers by longest path, invisible nodes where an edge passes a layer, order
by barycentres, then places as near to the neighbours as the order allows. Graphs here have dozens of nodes, so nothing
is fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 12
"""Passes over the layers; small graphs settle after three or four."""


@dataclass(frozen=True)
class Placed:
    """Where everything is, in pixels: centres of nodes, and per edge the centres it passes, its ends included."""

    centres: dict[str, tuple[float, float]]
    routes: dict[tuple[str, str], list[tuple[float, float]]]
    width: float
    height: float


def place(
    sizes: Mapping[str, tuple[float, float]],
    edges: Sequence[tuple[str, str]],
    gap: tuple[float, float] = (26.0, 42.0),
) -> Placed:
    """Places nodes of some sizes (width, height). `edges` go from earlier to later nodes in the order of `sizes`.

    An edge that does not is left out, so that a damaged graph (a cycle, an unknown node) is still drawn.
    """
    order = {name: i for i, name in enumerate(sizes)}
    sound = [e for e in dict.fromkeys(edges) if e[0] in order and e[1] in order and order[e[0]] < order[e[1]]]
    layer = _layers(sizes, sound)
    chains, rows = _chains(layer, sound)
    links = [pair for chain in chains.values() for pair in pairwise(chain)]
    _sort(rows, links)
    widths = {name: size[0] for name, size in sizes.items()}
    x = _across(rows, links, widths, gap[0])
    heights = [max((sizes[n][1] for n in row if n in sizes), default=0.0) for row in rows]
    y, tops = 0.0, []
    for height in heights:
        tops.append(y + height / 2)
        y += height + gap[1]
    left = min((x[n] - widths[n] / 2 for n in sizes), default=0.0)
    where = {n: (x[n] - left, tops[i]) for i, row in enumerate(rows) for n in row}
    right = max((where[n][0] + widths[n] / 2 for n in sizes), default=0.0)
    return Placed(
        {n: where[n] for n in sizes},
        {edge: [where[n] for n in chain] for edge, chain in chains.items()},
        right,
        max(0.0, y - gap[1]),
    )


def _layers(names: Mapping[str, object], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest path from a source; sources move down to just above their first reader."""
    layer = dict.fromkeys(names, 0)
    for name in names:  # in order, so every reader comes after what it reads
        layer[name] = max((layer[a] + 1 for a, b in edges if b == name), default=0)
    for name in names:
        if not any(b == name for _, b in edges):
            readers = [layer[b] for a, b in edges if a == name]
            layer[name] = min(readers) - 1 if readers else layer[name]
    return layer


def _chains(
    layer: Mapping[str, int], edges: Sequence[tuple[str, str]]
) -> tuple[dict[tuple[str, str], list[str]], list[list[str]]]:
    """Per edge the nodes it passes, invisible ones included, and the rows."""
    rows: list[list[str]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name, at in layer.items():
        rows[at].append(name)
    chains = {}
    for a, b in edges:
        between = [f"\0{a}\0{b}\0{at}" for at in range(layer[a] + 1, layer[b])]
        for at, name in enumerate(between, layer[a] + 1):
            rows[at].append(name)
        chains[a, b] = [a, *between, b]
    return chains, rows


def _sort(rows: list[list[str]], links: Sequence[tuple[str, str]]) -> None:
    """Orders every row by the mean place of what it is linked to, downwards and upwards in turn."""
    up: dict[str, list[str]] = {}
    down: dict[str, list[str]] = {}
    for a, b in links:
        up.setdefault(b, []).append(a)
        down.setdefault(a, []).append(b)
    for sweep in range(SWEEPS):
        near = up if sweep % 2 == 0 else down
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            at = {n: i for other in rows for i, n in enumerate(other)}
            key = {n: _mean([float(at[m]) for m in near.get(n, [])], float(at[n])) for n in row}
            row.sort(key=key.__getitem__)  # stable: what has no neighbour stays


def _across(
    rows: Sequence[Sequence[str]], links: Sequence[tuple[str, str]], widths: Mapping[str, float], gap: float
) -> dict[str, float]:
    """The x of every centre: near the mean of its neighbours, and no two nodes of a row closer than `gap`."""
    near: dict[str, list[str]] = {}
    for a, b in links:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    x: dict[str, float] = {}
    for row in rows:
        x.update(_apart(row, dict.fromkeys(row, 0.0), widths, gap))
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = {n: _mean([x[m] for m in near.get(n, [])], x[n]) for n in row}
            x.update(_apart(row, wanted, widths, gap))
    return x


def _apart(
    row: Sequence[str], wanted: Mapping[str, float], widths: Mapping[str, float], gap: float
) -> dict[str, float]:
    """Moves the nodes of a row apart where they overlap, keeping their order and their common mean."""
    placed: list[float] = []
    for i, name in enumerate(row):
        least = placed[-1] + _room(row[i - 1], name, widths, gap) if i else wanted[name]
        placed.append(max(wanted[name], least))
    shift = _mean([wanted[n] - at for n, at in zip(row, placed, strict=True)], 0.0)
    return {n: at + shift for n, at in zip(row, placed, strict=True)}


def _room(left: str, right: str, widths: Mapping[str, float], gap: float) -> float:
    return (widths.get(left, 0.0) + widths.get(right, 0.0)) / 2 + gap


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
