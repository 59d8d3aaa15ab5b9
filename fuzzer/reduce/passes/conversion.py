"""The fewest settings: the plain road, the plainest scheme, no switch that is not needed, the guilty runtime alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from fuzzer.case import ENTRIES, SCHEMES, Case, Conversion
from fuzzer.case.conversion import Switch

_FIELDS = tuple(Conversion.__dataclass_fields__)
_ROADS = ("concrete_function", "saved_model", "keras")
_SCHEMES = ("float32", "dynamic", "int8", "qat", "tfmot_qat")
"""One road and one scheme of each family: the others of it lead to the same defect or to none."""
MANY = 3
"""Settings off the plain road up to which each is put back on its own; of more, each is first tried alone."""


def plain_conversion(case: Case) -> Iterator[Case]:
    """The plain conversion, the plain road, a scheme of the guide, fewer switches; then each field plain."""
    plain, given = Conversion(), case.conversion
    yield _by(case, plain)
    yield _by(case, replace(plain, scheme=given.scheme).repaired())
    yield _by(case, given.over(plain.entry))
    yield _by(case, replace(given, scheme=given.judged).over(plain.entry))
    yield from (_by(case, replace(given, switches=fewer)) for fewer in _fewer(dict(given.switches)))
    # One setting that matters beside an otherwise plain road.
    for name in _odd(given) if len(_odd(given)) > MANY else ():
        yield _by(case, replace(plain, **{name: getattr(given, name)}).repaired())
    for name in _odd(given):
        yield from _moved(case, {name: getattr(plain, name)})


def plainer_road(case: Case) -> Iterator[Case]:
    """The roads and schemes before the present one, plainest first; schemes by the plain road too."""
    given = case.conversion
    for entry in ENTRIES[: ENTRIES.index(given.entry)]:
        if entry in _ROADS:
            yield _by(case, given.over(entry))
    for scheme in _SCHEMES:
        if SCHEMES.index(scheme) >= SCHEMES.index(given.scheme):
            break
        yield _by(case, replace(given, scheme=scheme).repaired())
        yield _by(case, replace(given, scheme=scheme, entry=Conversion().entry).repaired())


def plain_pair(case: Case) -> Iterator[Case]:
    """Two settings plain at once, where neither can be plain alone."""
    plain = Conversion()
    for one, two in combinations(_odd(case.conversion), 2):
        apart = (replace(case.conversion, **{name: getattr(plain, name)}) for name in (one, two))
        if any(moved.conflict() is not None for moved in apart):
            yield from _moved(case, {one: getattr(plain, one), two: getattr(plain, two)})


def few_runtimes(case: Case) -> Iterator[Case]:
    """No relation, one thread; then one runtime alone, then one beside the reference kernels, then one less."""
    inference = case.inference
    if inference.relation != "none":
        yield replace(case, inference=replace(inference, relation="none"))
    if inference.threads > 1:
        for threads in range(1, inference.threads):
            yield replace(case, inference=replace(inference, threads=threads))
    runtimes = inference.runtimes
    if len(runtimes) > 1:
        for name in runtimes:
            yield replace(case, inference=replace(inference, runtimes=(name,)))
    if len(runtimes) > 2:
        beside = [(name, "tf-reference") for name in runtimes if name != "tf-reference"]
        less = [runtimes[:i] + runtimes[i + 1 :] for i in range(len(runtimes))]
        for kept in (*beside, *combinations(runtimes, 2), *less):
            yield replace(case, inference=replace(inference, runtimes=kept))


def _by(case: Case, conversion: Conversion) -> Case:
    return replace(case, conversion=conversion)


def _odd(conversion: Conversion) -> tuple[str, ...]:
    """The fields that are not plain."""
    return tuple(name for name in _FIELDS if getattr(conversion, name) != getattr(Conversion(), name))


def _moved(case: Case, changes: dict[str, object]) -> Iterator[Case]:
    """The case with other settings, where they do not contradict the rest."""
    moved: Conversion = replace(case.conversion, **changes)  # type: ignore[arg-type]
    if moved.conflict() is None:
        yield _by(case, moved)


def _fewer(switches: dict[str, Switch]) -> Iterator[dict[str, Switch]]:
    """None, one alone, each half, all but one; then numbers nearer to nought."""
    names = sorted(switches)
    if not names:
        return
    half = len(names) // 2
    groups = [[], *([n] for n in names), names[:half], names[half:], *([m for m in names if m != n] for n in names)]
    for group in groups:
        yield {name: switches[name] for name in group}
    for name in names:
        value = switches[name]
        if isinstance(value, int) and not isinstance(value, bool):
            for smaller in dict.fromkeys((0, 1, value // 2)):
                yield {**switches, name: smaller}
