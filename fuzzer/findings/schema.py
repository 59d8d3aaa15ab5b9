"""What is stored of a finding: the version of the record, how older ones are read, and what each column means.

The journal's lines and the index' rows hold the same record, so one number counts for both. Raise `VERSION` when an
older release would read a record wrongly or lose part of it by writing it back, and add the step that leads there to
`UPGRADES`. Older records are upgraded as they are read (the journal's lines stay as they are, the index is written anew
from them); newer ones are refused with a sentence, never guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

VERSION = 3
"""1: the first. 2: what bisection found (`first_bad`, `last_good`, `last_bad`, `first_good`, the event `bisected`).
3: titles that were merged (`cause`, `alternatives`, `other_causes`, `other_keys`, the event `alternative`), what
replays found (`replayed`, `replayed_at`, `replay_said`, the event `replayed`), and `marked_at`."""


def _to_2(tree: dict[str, Any]) -> dict[str, Any]:
    """Nothing was bisected before version 2."""
    return {"first_bad": "", "last_good": "", "last_bad": "", "first_good": "", **tree}


def _to_3(tree: dict[str, Any]) -> dict[str, Any]:
    """Before version 3 the title alone told defects apart, and replays were not journalled."""
    told = {"marked_at": "", "replayed": "", "replayed_at": "", "replay_said": ""}
    return {**told, "cause": "", "alternatives": [], "other_causes": [], "other_keys": [], **tree}


UPGRADES: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _to_2, 2: _to_3}
"""The step from each version to the next."""


def upgraded(tree: dict[str, Any], version: int) -> dict[str, Any]:
    """A record of an older version as one of `VERSION`. Raises `ValueError` for a version there never was."""
    if not 1 <= version <= VERSION:
        raise ValueError(f"no record of version {version}")
    for step in range(version, VERSION):
        tree = UPGRADES[step](tree)
    return tree


COLUMNS: Mapping[str, str] = {
    "id": "derived from the title: the same title is the same finding anywhere",
    "title": "one line a defect",
    "kind": "crash, hang, value, converter-error, ...",
    "stage": "where it showed: build, reference, convert, allocate, invoke, compare, metamorphic",
    "message": "the title without kind and stage",
    "ops": "ops of the minimised model",
    "patterns": "fused patterns that the case was drawn from",
    "dtypes": "dtypes of the minimised model's values",
    "quantisation": "scheme of the conversion: float32, float16, dynamic, int8, int16x8, qat, ...",
    "entry": "road into the converter",
    "runtimes": "runtimes at fault, worst first",
    "blame": "operator, pass or party at fault; empty where unknown",
    "severity": "how bad, in `unit`",
    "unit": "of severity: x bound, steps, error, SIGSEGV, ...",
    "versions": "releases it was found with: tensorflow 2.21.0, ai-edge-litert 2.3.0, python 3.11.7",
    "first_seen": "ISO 8601, UTC, whole seconds",
    "last_seen": "as first_seen",
    "count": "suspicions that ended under this title",
    "reproduced": "runs in fresh processes that showed it, of `repeats`",
    "repeats": "runs in fresh processes",
    "minimised": "whether minimising came to a fixed point",
    "nodes": "nodes of the minimised model",
    "case": "id of the minimised case",
    "found_as": "id of the case as it was found",
    "path": "folder of the finding, relative to the folder of findings",
    "key": "what equals before minimising for equal defects",
    "script_exit": "exit code of repro.py when the finding was made: 1 defect there, 0 gone, 2 unsure, -1 not run",
    "examined_s": "seconds that examining took, over all suspicions of this title",
    "state": "what a person said: new, known, reported, duplicate, fixed, ...",
    "note": "what a person wrote",
    "duplicate_of": "id of the finding that this one is a duplicate of",
    "special_operands": "NaN, infinity or -0 goes into the operator to blame",
    "ulp": "largest error in units in the last place of the output's largest value; 0 where none was measured",
    "first_bad": "oldest release seen with the defect (tensorflow 2.18.0), by `bisect`; empty where not bisected",
    "last_good": "newest release without it before first_bad; empty where none was seen",
    "last_bad": "newest release with it; empty unless first_good is known",
    "first_good": "release that mended it; empty where none was seen",
    "marked_at": "when a person last said something of it, as first_seen; empty where nobody did",
    "replayed": "what the last replay came to: reproduced, changed, gone; empty where none was run",
    "replayed_at": "when, as first_seen",
    "replay_said": "how often the replay showed it, and what it saw",
    "cause": "what equals for minimal cases of one defect under several titles; empty where only the title tells",
    "alternatives": "other titles that it came up under",
    "other_causes": "causes of the alternatives, where they differ",
    "other_keys": "keys of the alternatives, where they differ",
}
"""Every column of the index and what it means, in its order; the Parquet file carries these sentences too."""
