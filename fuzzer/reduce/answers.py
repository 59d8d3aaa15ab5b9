"""What a candidate showed, and a memory of it that outlives the process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fuzzer.case import Case
from fuzzer.disk import write_atomic
from fuzzer.oracles.verdict import Verdict
from fuzzer.reduce.passes import Literals

SCHEMA = 1


@dataclass(frozen=True)
class Answer:
    """Whether a candidate shows the defect, and what else it shows where it shows another one."""

    holds: bool
    other: Verdict | None = None


Predicate = Callable[[Case], "bool | Answer"]
"""Runs a candidate. Called from one thread at a time."""


class Memory:
    """Answers by case id, for one defect. What it knows is never executed again."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        self._values: dict[str, Literals] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def answer(self, id_: str) -> Answer | None:
        """What is known of a case."""
        return self._answers.get(id_)

    def values(self, id_: str) -> Literals | None:
        """The recorded values of a case."""
        return self._values.get(id_)

    def keep(self, id_: str, answer: Answer) -> None:
        """Remembers an answer."""
        self._answers[id_] = answer

    def keep_values(self, id_: str, values: Literals) -> None:
        """Remembers recorded values."""
        self._values[id_] = values

    def close(self) -> None:
        """Nothing is written any more."""


class DiskMemory(Memory):
    """A memory in a file: a first line that says of what, then one line an answer, appended as they come.

    A file about something else, or of another schema, is started afresh; a line that was cut short by a crash is
    dropped. Raises `OSError` when the disk refuses.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        super().__init__()
        self.path = path
        head = json.dumps({"schema": SCHEMA, **about}, sort_keys=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._read(head)
        if whole is None:
            write_atomic(path, head + "\n")
        self._file: BinaryIO = path.open("ab")
        if whole is False:
            self._file.write(b"\n")  # what follows a line cut short is a line of its own

    def _read(self, head: str) -> bool | None:
        """Whether the last line is whole; None where the file is missing or about something else."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        first, *rest = data.split(b"\n")
        if first.decode(errors="replace") != head or not rest:
            return None
        for line in rest:
            try:
                self._learn(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # cut short or damaged: that candidate is run again
        return not rest[-1]

    def _learn(self, tree: dict[str, Any]) -> None:
        id_ = str(tree["case"])
        if "values" in tree:
            self._values[id_] = {
                str(name): tuple(None if v is None else tuple(map(float, v)) for v in samples)
                for name, samples in tree["values"].items()
            }
        else:
            other = Verdict.from_json(tree["other"]) if tree.get("other") else None
            self._answers[id_] = Answer(bool(tree["holds"]), other)

    def keep(self, id_: str, answer: Answer) -> None:
        super().keep(id_, answer)
        other = {"other": answer.other.to_json()} if answer.other is not None else {}
        self._append({"case": id_, "holds": answer.holds, **other})

    def keep_values(self, id_: str, values: Literals) -> None:
        super().keep_values(id_, values)
        self._append({"case": id_, "values": values})

    def _append(self, tree: dict[str, Any]) -> None:
        self._file.write(json.dumps(tree, sort_keys=True).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Makes what was written survive a power cut, and closes the file."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
