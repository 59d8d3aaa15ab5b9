"""The examiner: takes a suspicion from the inbox and makes a finding of it, or says why it is none.

Repeat in fresh processes, confirm, minimise, give it a title, write the reproducer and run it. Everything happens
in executors that may die; nothing here imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from fuzzer.case import RUNTIMES, Case
from fuzzer.examine import saving
from fuzzer.examine.answering import Answering
from fuzzer.examine.clock import StageClock
from fuzzer.examine.facets import explained_by, facets_of, related
from fuzzer.examine.ledger import Ledger
from fuzzer.examine.observing import Observation, Observer, is_same
from fuzzer.examine.saving import Sample
from fuzzer.execute import Executor, Limits
from fuzzer.findings import inbox
from fuzzer.findings.finding import GONE, NOT_RUN, SHOWN, Finding
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.merging import as_sample_of
from fuzzer.findings.store import FindingStore
from fuzzer.findings.titles import key_of, title_of
from fuzzer.oracles import DEATHS, Kind, Verdict
from fuzzer.oracles.verdict import SCRIPT_DIES, STEADY
from fuzzer.reduce import Budget, Second, reduce, size
from fuzzer.reproducer.script import reproducer

Stop = Callable[[], bool]
MAX_HANDED_ON = 3
"""Second defects that minimising one suspicion may add to the inbox."""
_FILING = "filing"
"""What an examiner claims while it decides under which title a sample goes, and writes its folder."""


@dataclass(frozen=True)
class Outcome:
    """What became of a suspicion: `new`, `better` (a smaller sample), `seen`, `dismissed`, `left` (no time) or `busy`.

    `busy`: another examiner minimises the same defect just now; nothing was journalled.
    """

    what: str
    finding: Finding | None
    why: str = ""
    unjudged: str = ""
    """Of a dismissal: what was in the way where nobody could judge it."""
    claimed: str = ""
    """Of `busy`: what the other has claimed in the ledger."""


class Examiner:
    """Examines suspicions one at a time. Not safe for use by several threads at once."""

    def __init__(
        self,
        zygote_path: str,
        store: FindingStore,
        versions: str,
        limits: Limits | None = None,
        reduce_seconds: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        scratch: Path | None = None,
        ledger: Ledger | None = None,
        clock: StageClock | None = None,
    ) -> None:
        """Several examiners of one folder share a `ledger`, and may share a `clock`."""
        self.store = store
        self.versions = versions
        self.doing = ""
        """What it is doing now, for the screen."""
        self._executor = Executor(zygote_path, limits, scratch)
        self._observer = Observer(self._executor)
        self._ledger = ledger or Ledger(store.findings(), store.accounts)
        self._clock = clock or StageClock()
        self._reduce_seconds = reduce_seconds
        self._now = now
        self._begun = 0.0

    def close(self) -> None:
        """Ends its executor."""
        self._executor.close()

    def observe(self, case: Case, goal: Verdict | None, fresh: bool = False, patient: bool = False) -> Observation:
        """Runs a case once and confirms what it shows; see `Observer.observe`."""
        return self._observer.observe(case, goal, fresh, patient)

    def examine(self, suspicion: Suspicion, stop: Stop = lambda: False) -> Outcome:
        """Turns a suspicion into a finding or dismisses it; the journal knows the outcome when this returns.

        `stop` cuts minimising short. Raises `ZygoteDiedError` and `OSError`; the suspicion is then untouched.
        """
        self._begun = monotonic()
        facets, scheme = facets_of(suspicion), suspicion.case.conversion.scheme
        if self._ledger.exhausted(suspicion):
            why = "how NaN and infinity propagate was looked at for each operator and runtime of it"
            self.store.dismiss(suspicion, why)
            return Outcome("dismissed", None, why)
        self.doing = f"repeating a {suspicion.verdict.kind.value if suspicion.verdict else 'case in flight'}"
        self._ledger.looked(facets)
        with self._clock.stage("confirm"):
            first = self.observe(suspicion.case, suspicion.verdict, patient=True)
        if first.verdict is None:
            self.store.dismiss(suspicion, first.why, self._spent())
            return Outcome("dismissed", None, first.why, first.unjudged)
        explained = explained_by(suspicion, first.verdict)
        self._ledger.explain(explained)
        key = key_of(first.verdict, scheme)
        outcome = self._known_or_settled(related(suspicion, first.verdict), first.verdict, key, stop)
        for verdict in first.unasked if outcome.what not in ("busy", "left") else ():
            # Of a case that was in flight: its driver died before it could save them.
            inbox.save(self.store.folder, replace(suspicion, verdict=verdict))
        if outcome.finding is not None:
            self._account(explained, outcome.finding)
        return outcome

    def _known_or_settled(self, suspicion: Suspicion, verdict: Verdict, key: str, stop: Stop) -> Outcome:
        with self._ledger.claim(key) as ours:
            known = self._ledger.known(key, title_of(verdict, suspicion.case), verdict, suspicion.case)
            if known is not None:
                return self._count(known, suspicion.case, "known title")
            if not ours:
                return Outcome("busy", None, "another examiner minimises one of its like", claimed=key)
            if stop():
                return Outcome("left", None, "no time left")
            self._ledger.examined(key)
            return self._settle(suspicion, verdict, key, stop)

    def _account(self, facets: Sequence[str], finding: Finding) -> None:
        """Remembers, also for later campaigns, what suspicions that end under a finding look like."""
        fresh = self._ledger.account(facets, finding.id)
        if fresh:
            self.store.account(finding.id, fresh)

    def adopt(self, suspicion: Suspicion, small: Case | None = None, complete: bool = False) -> Outcome:
        """Stores a case that was minimised elsewhere, whatever is known of its like.

        `small` is a smaller case of a suspicion that became a finding before, and is not counted once more. `complete`:
        minimising came to its end.
        """
        self._begun = monotonic()
        case = small if small is not None else suspicion.case
        first = self.observe(case, suspicion.verdict, fresh=True, patient=True)
        if first.verdict is None:
            return Outcome("dismissed", None, first.why)
        case = self._asking_the_guilty(case, first.verdict)
        times, final, log = self._observer.repeatability(case, first.verdict)
        if times == 0:
            return Outcome("dismissed", None, "not repeatable")
        key = key_of(first.verdict, case.conversion.scheme)
        told = self._told(case, final)
        return self._store(Sample(suspicion, case, told, key, times, complete, log, again=small is not None))

    # --- making a finding -------------------------------------------------------------------------------

    def _settle(self, suspicion: Suspicion, verdict: Verdict, key: str, stop: Stop) -> Outcome:
        self.doing = f"minimising: {verdict.message[:60]}"
        budget = Budget(self._reduce_seconds, stop=stop)
        with self._clock.stage("minimise"):
            answering = Answering(self._executor, verdict)
            reduction = reduce(suspicion.case, answering, budget, answering.record)
        self._hand_on(reduction.others, suspicion.case)
        self.doing = f"repeating the minimal case: {verdict.message[:50]}"
        with self._clock.stage("repeat"):
            case, complete = self._asking_the_guilty(reduction.case, verdict), reduction.complete
            times, final, log = self._observer.repeatability(case, verdict)
            if times == 0 or not is_same(final, verdict):
                # A smaller case that says it in a used process only is a smaller case of something else.
                again, told, its_log = self._observer.repeatability(suspicion.case, verdict)
                if times == 0 or (again and is_same(told, verdict)):
                    self._hand_on([Second(case, final)] if times else [], suspicion.case)
                    complete = complete and reduction.case == suspicion.case
                    case, times, final, log = suspicion.case, again, told, its_log
        if times == 0:
            self.store.dismiss(suspicion, "shown once, never again in fresh processes", self._spent())
            return Outcome("dismissed", None, "not repeatable")
        with self._clock.stage("cause"):
            final = self._told(case, final)
        return self._store(Sample(suspicion, case, final, key, times, complete, log))

    def _asking_the_guilty(self, case: Case, verdict: Verdict) -> Case:
        """A minimal case whose numbers are wrong, with a guilty runtime in the place of an innocent one.

        Whose numbers are wrong shows beside the others only, so confirming runs them all: whichever runtime a case
        asks for, the defect stays, and reduction keeps the first it tries.
        """
        asked = case.inference.runtimes
        if verdict.kind not in (Kind.VALUE, Kind.NAN_PROPAGATION) or verdict.runtime not in RUNTIMES:
            return case
        if len(asked) == 1 and asked[0] in verdict.runtimes:
            return case
        guilty = replace(case, inference=replace(case.inference, runtimes=(verdict.runtime,)))
        seen = self.observe(guilty, verdict).verdict
        return guilty if seen is not None and (seen.kind, seen.message) == (verdict.kind, verdict.message) else case

    def _hand_on(self, others: Sequence[Second], origin: Case) -> None:
        """Puts other defects that were met while minimising into the inbox, where nothing like them is known or waits.

        At most `MAX_HANDED_ON` of them: a case that breaks in many ways must not breed suspicions.
        """
        handed = 0
        for second in others:
            log = f"met while minimising {origin.id}"
            suspicion = Suspicion(second.case, second.verdict, self._stamp(), log)
            facets = facets_of(suspicion)
            if handed < MAX_HANDED_ON and self._ledger.interest(facets) == (False, 0) and second.case.id != origin.id:
                inbox.save(self.store.folder, suspicion)
                handed += 1

    def _told(self, case: Case, verdict: Verdict) -> Verdict:
        """The verdict of a minimal case with what can be told of its cause."""
        if verdict.kind in DEATHS:
            evidence = {**verdict.evidence, **self._observer.overflowing(case, verdict)}
            return replace(verdict, blame=self._observer.deadly_node(case, verdict), evidence=evidence)
        if verdict.blame == "converter" and verdict.kind in (Kind.VALUE, Kind.NAN_PROPAGATION):
            self.doing = "looking for the converter's pass"
            return self._observer.rewritten(case, verdict)
        return verdict

    def _store(self, sample: Sample) -> Outcome:
        with self._ledger.claim(_FILING, wait=True), self.store.filing():
            old, finding = self._place(sample)
            if old is not None and self._is_enough(old, sample) and old.shown:
                return self._seen(old, sample, "a smaller sample is known")
        self.doing = f"running the reproducer: {finding.title[:60]}"
        sample, exit_code = self._run_script(sample, finding.title, finding.id)
        with self._ledger.claim(_FILING, wait=True), self.store.filing():
            old, finding = self._place(sample)  # another examiner may have filed its like meanwhile
            script = reproducer(sample.case, sample.verdict, finding.title, self.versions)
            better = old is None or (not old.shown and exit_code == SHOWN)
            if old is not None and not better and self._is_enough(old, sample):
                return self._seen(old, sample, "a smaller sample is known")
            if old is not None and old.script_exit == SHOWN != exit_code:
                # However small: with it the finding would be off the main list, or harder to believe.
                return self._seen(old, sample, "the reproducer of the larger sample shows it")
            before = old.examined_s if old is not None else 0.0
            finding = replace(finding, script_exit=exit_code, examined_s=round(before + self._spent(), 3))
            with self._clock.stage("save"):
                self.store.add(
                    finding,
                    lambda folder: saving.fill_folder(folder, finding, sample, script, self._observer),
                    counted=not sample.again,
                )
            finding = self._ledger.filed(finding, counted=not sample.again)
        return Outcome("new" if old is None else "better", finding)

    def _place(self, sample: Sample) -> tuple[Finding | None, Finding]:
        """The finding that a sample belongs to, if there is one, and the record of the sample under its title."""
        finding = saving.finding_of(sample, self.versions)
        self._ledger.learn(self.store.findings())
        old = self._ledger.finding(finding.id) or self._ledger.twin(finding)
        if old is None:
            return None, finding
        if finding.id != old.id and finding.title not in old.alternatives:
            old = self._merge(old, finding, sample)
        return old, as_sample_of(old, finding)

    def _is_enough(self, old: Finding, sample: Sample) -> bool:
        """Whether the sample that a finding has is as small."""
        return saving.sample_size(self.store.folder / old.path) <= size(sample.case)

    def _merge(self, old: Finding, other: Finding, sample: Sample) -> Finding:
        """Keeps another title of a finding, and its sample. Counting is another matter: it is seen once."""
        script = reproducer(sample.case, sample.verdict, other.title, self.versions)
        self.store.add_alternative(
            old, other, lambda folder: saving.fill_folder(folder, other, sample, script, self._observer)
        )
        return self._ledger.merged(old, other)

    def _run_script(self, sample: Sample, title: str, id_: str) -> tuple[Sample, int]:
        """What the reproducer exits with, and the sample with what that tells of it.

        One that a signal killed is written anew, to watch itself: corrupt memory raises errors and kills by turns. So
        is one that found the same in memory which nobody wrote, each time: it looks whether that is wrong.
        """
        with self._clock.stage("script"):
            exits, shown = self._script_exits(sample, title)
            verdict, learnt = sample.verdict, ""
            if min(exits) < saving.ENDLESS and verdict.kind not in DEATHS:
                learnt = SCRIPT_DIES
            elif verdict.unsteady and exits[-1] == GONE:
                learnt = STEADY
            if learnt:
                told = {**verdict.evidence, learnt: True}
                sample = replace(sample, verdict=replace(verdict, evidence=told))
                exits, shown = self._script_exits(sample, title)
        if exits[-1] not in (SHOWN, NOT_RUN, saving.ENDLESS):
            self.store.unconfirmed(id_, sample.case.id, exits, shown)
        return sample, exits[-1]

    def _script_exits(self, sample: Sample, title: str) -> tuple[list[int], bool]:
        """Exit codes, and whether the case itself showed it between them.

        One that does not show the defect has a second try, as the case itself has. A script that exits 0 where nobody
        could look into it was a false alarm in five of six findings.
        """
        script = reproducer(sample.case, sample.verdict, title, self.versions)
        exits = [saving.run_script(script)]
        if exits[0] in (SHOWN, NOT_RUN, saving.ENDLESS):
            return exits, True
        shown = self.observe(sample.case, sample.verdict, fresh=True).verdict is not None
        return [*exits, saving.run_script(script)], shown

    def _seen(self, finding: Finding, sample: Sample, why: str) -> Outcome:
        """A sample that brings nothing: its suspicion is counted, unless it was before."""
        return Outcome("seen", finding, why) if sample.again else self._count(finding, sample.case, why)

    def _count(self, finding: Finding, case: Case, why: str) -> Outcome:
        seconds, stamp = self._spent(), self._stamp()
        self.store.seen(finding.id, case.id, stamp, seconds)
        return Outcome("seen", self._ledger.count(finding, stamp, seconds), why)

    def _spent(self) -> float:
        """Seconds since the suspicion in hand was taken up."""
        return monotonic() - self._begun

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="seconds")
