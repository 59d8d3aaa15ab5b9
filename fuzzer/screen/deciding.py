"""What a person decides of a finding: a state, a note, a duplicate of another. Journalled at once.

Several screens may be open: what another one has said meanwhile is never overwritten unseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzzer.findings.finding import Finding, State
from fuzzer.screen.source import UNREADABLE
from fuzzer.screen.text import one_line
from fuzzer.screen.triage_widgets import Ask, AskOriginal

if TYPE_CHECKING:
    from fuzzer.screen.triage import TriageApp

QUESTIONS = {
    State.KNOWN: "Known from where? (link or a few words)",
    State.REPORTED: "Reported where? (link)",
}
"""States that want a note, and how it is asked for."""


class Deciding:
    """The marks of the triage screen."""

    def __init__(self, app: TriageApp) -> None:
        self._app = app

    def mark(self, state: State) -> None:
        """Marks the selected finding; known and reported ask for a note first."""
        finding = self._app.selected
        if finding is None:
            self._app.say("there is no finding to mark")
        elif state in QUESTIONS:
            self._ask(finding, state, QUESTIONS[state])
        else:
            # The newest note, which another screen may have written since this one was drawn.
            self._save(finding, state, self._now(finding).note)

    def note(self) -> None:
        """Asks for a note and keeps the state."""
        if finding := self._app.selected:
            self._ask(finding, None, "Note")
        else:
            self._app.say("there is no finding to write a note on")

    def duplicate(self) -> None:
        """Asks which finding the selected one is a duplicate of."""
        finding = self._app.selected
        others = [f for f in self._app.findings if finding and f.id != finding.id and f.state != State.DUPLICATE]
        if finding is None or not others:
            self._app.say("there is no other finding this could be a duplicate of")
            return
        marked = finding

        def answered(original: str | None) -> None:
            if original is not None:
                self._save(marked, State.DUPLICATE, self._now(marked).note, original)

        self._app.push_screen(AskOriginal(finding, others), answered)

    def _ask(self, finding: Finding, wanted: State | None, question: str, typed: str | None = None) -> None:
        """Asks for a note to go with a state (None: with the one it is in), then saves both."""

        def answered(note: str | None) -> None:
            if note is None:
                return
            now = self._now(finding)
            state = wanted or _state(now)
            if said(now) != said(finding) and (now.state, now.note) != (state, note):
                there = f"{now.state}{f', {now.note!r}' if now.note else ''}"
                again = f"Another screen has just said: {there}. Enter: yours instead, Esc: leave that."
                self._app.reload()
                self._ask(now, wanted, one_line(again), note)
                return
            self._save(finding, state, note, now.duplicate_of if state is State.DUPLICATE else "")

        self._app.push_screen(Ask(question, finding.title, finding.note if typed is None else typed), answered)

    def _now(self, finding: Finding) -> Finding:
        """The finding as the journal has it this moment; as it was drawn where that can't be read."""
        try:
            return next((f for f in self._app.source.findings() if f.id == finding.id), finding)
        except UNREADABLE:
            return finding  # saving will say what is wrong

    def _save(self, finding: Finding, state: State, note: str, duplicate_of: str = "") -> None:
        try:
            self._app.source.mark(finding.id, state, note, duplicate_of)
        except UNREADABLE as broken:
            self._app.reload()
            self._app.say(f"not saved: {broken}")
            return
        what = f"duplicate of {duplicate_of}" if duplicate_of else state.value
        self._app.reload()
        self._app.say(f"saved as {what}: {finding.title}")


def _state(finding: Finding) -> State:
    """The state it is in; one that only a newer release knows can't be kept."""
    return State(finding.state) if finding.state in list(State) else State.NEW


def said(finding: Finding) -> tuple[str, str, str]:
    """Everything that a person says of a finding."""
    return finding.state, finding.note, finding.duplicate_of
