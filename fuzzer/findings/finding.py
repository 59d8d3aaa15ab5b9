"""A finding: one title, what is known of it, and where its sample lies."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

_MOST = 2**63 - 1
"""The largest whole number of a Parquet file."""
LOOKS_FLAKY = "it looks flaky"
"""What a replay says of a finding that its first run does not show; the screen makes it stand out."""


class State(StrEnum):
    """What a person said of a finding. The spelling is stored; never change one."""

    NEW = "new"
    KNOWN = "known"
    REPORTED = "reported"
    DUPLICATE = "duplicate"
    FIXED = "fixed"
    FLAKY = "flaky"


SHOWN, GONE, NOT_RUN = 1, 0, -1
"""Exit codes of a reproducer (`fuzzer.reproducer.script`) that shows its defect or not, and what stands for none."""


@dataclass(frozen=True)
class Finding:
    """One row of the index. `id` is derived from the title, so the same title is the same finding anywhere."""

    id: str
    title: str
    kind: str
    stage: str
    message: str
    ops: tuple[str, ...]
    patterns: tuple[str, ...]
    dtypes: tuple[str, ...]
    quantisation: str
    entry: str
    runtimes: tuple[str, ...]
    blame: str
    severity: float
    unit: str
    versions: str
    """`tensorflow 2.21.0, ai-edge-litert 2.3.0, python 3.11.7`."""
    first_seen: str
    """ISO 8601, UTC, whole seconds."""
    last_seen: str
    count: int
    """Suspicions that ended under this title."""
    reproduced: int
    repeats: int
    """Repeatability: `reproduced` of `repeats` runs in fresh processes."""
    minimised: bool
    nodes: int
    case: str
    """Id of the minimised case."""
    found_as: str
    """Id of the case as it was found."""
    path: str
    """Folder of the finding, relative to the crashes folder."""
    key: str = ""
    """What equals before minimising for equal defects; bounds the work spent on one defect."""
    script_exit: int = NOT_RUN
    """Exit code of `repro.py` in a process of its own when the finding was made: 1 is "still there"; -1 not run."""
    examined_s: float = 0.0
    """Seconds that suspicions which ended under this title took to examine, in all."""
    state: str = State.NEW.value
    note: str = ""
    duplicate_of: str = ""
    special_operands: bool = False
    """NaN, infinity or -0 goes into the operator to blame: a matter of propagation, off the main lists by default."""
    ulp: float = 0.0
    """Largest error in units in the last place of the output's largest value; 0 where none was measured."""
    first_bad: str = ""
    """Oldest release seen with the defect, `tensorflow 2.18.0`; empty where it was not bisected."""
    last_good: str = ""
    """Newest release without it before `first_bad`; empty where none was seen."""
    last_bad: str = ""
    """Newest release with it; empty unless `first_good` is known."""
    first_good: str = ""
    """The release that mended it; empty where none was seen."""
    cause: str = ""
    """What equals for minimal cases of one defect under several titles, see `fuzzer.findings.merging`."""
    alternatives: tuple[str, ...] = ()
    """Other titles that it came up under, first seen first: it is found by their ids too."""
    other_causes: tuple[str, ...] = ()
    """The causes of those titles, and their keys below."""
    other_keys: tuple[str, ...] = ()
    marked_at: str = ""
    """When a person last said something of it: ISO 8601, UTC; empty where nobody did."""
    replayed: str = ""
    """What the last replay of its sample came to: `reproduced`, `changed`, `gone`; empty where none was run."""
    replayed_at: str = ""
    """When: ISO 8601, UTC."""
    replay_said: str = ""
    """A sentence of the replay on how often and what was seen."""

    @property
    def shown(self) -> bool:
        """Whether its reproducer showed it when the finding was made, or nobody asked (`script_exit`)."""
        return self.script_exit in (SHOWN, NOT_RUN)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(tree: dict[str, Any]) -> Finding:
        """Reads what `to_json` wrote; fields of newer versions are ignored. Raises `KeyError`, `TypeError`."""
        known = {k: v for k, v in tree.items() if k in Finding.__dataclass_fields__}
        for key, value in known.items():
            kind = str(Finding.__dataclass_fields__[key].type)
            if kind.startswith("tuple"):
                if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                    raise TypeError(f"{key} is a list of strings")
                known[key] = tuple(value)
            elif kind == "float" and type(value) in (int, float):
                known[key] = float(value)
            elif type(value).__name__ != kind or (kind == "int" and abs(value) > _MOST):
                raise TypeError(f"{key} is of type {kind}")
        return Finding(**known)

    def marked(self, state: State, note: str = "", duplicate_of: str = "", at: str = "") -> Finding:
        """The same finding in another state."""
        return replace(self, state=state.value, note=note, duplicate_of=duplicate_of, marked_at=at)

    def told_as(self, old: Finding, counted: bool = True) -> Finding:
        """A finding of a newer sample with all that was said, replayed, bisected and counted of the older one.

        `counted`: the suspicion that brought it is one more.
        Whoever made the sample looked at the older one some time before: others have counted and merged since.
        """
        known = replace(
            self,
            count=old.count + counted,
            first_seen=min(old.first_seen, self.first_seen),
            last_seen=max(old.last_seen, self.last_seen),
            examined_s=max(old.examined_s, self.examined_s),
            alternatives=_joined(old.alternatives, self.alternatives),
            other_causes=_joined(old.other_causes, self.other_causes),
            other_keys=_joined(old.other_keys, self.other_keys),
        )
        return replace(known, **{name: getattr(old, name) for name in _LATER})

    def merged(self, other: Finding) -> Finding:
        """The same finding, which came up under another title; what that one was recognised by is remembered."""
        return replace(
            self,
            alternatives=_with(self.alternatives, other.title, self.title),
            other_causes=_with(self.other_causes, other.cause, self.cause),
            other_keys=_with(self.other_keys, other.key, self.key),
        )

    def bisected(self, last_good: str, first_bad: str, last_bad: str, first_good: str) -> Finding:
        """The same finding with the releases around its defect, each as `tensorflow 2.18.0`."""
        return replace(self, last_good=last_good, first_bad=first_bad, last_bad=last_bad, first_good=first_good)


def _with(known: tuple[str, ...], text: str, own: str) -> tuple[str, ...]:
    """A list with one more text, where it is neither there nor empty nor the finding's own."""
    return known if not text or text == own or text in known else (*known, text)


def _joined(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Both lists, each text once, those of the old one first."""
    return tuple(dict.fromkeys((*old, *new)))


_LATER = (
    "state", "note", "duplicate_of", "marked_at", "replayed", "replayed_at", "replay_said",
    "first_bad", "last_good", "last_bad", "first_good",
)  # fmt: skip
"""What events of their own say of a finding; the event that brings a better sample knows nothing of them."""
