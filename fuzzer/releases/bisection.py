"""Finds the release that brought a finding in or mended it, by running its `repro.py` under others.

Every answer is kept, by the text of the script: what was interrupted goes on where it ended, and asking again is free.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from fuzzer.disk import write_json
from fuzzer.errors import UserError
from fuzzer.findings.finding import Finding
from fuzzer.releases import environment
from fuzzer.releases.catalogue import ask
from fuzzer.releases.environment import CannotInstall, Wanted
from fuzzer.releases.script import Outcome, imports, run
from fuzzer.releases.search import Answer, Boundaries, boundaries, changes, next_release

TENSORFLOW, LITERT = "tensorflow", "ai-edge-litert"
DISTRIBUTIONS = {TENSORFLOW: "tensorflow-cpu", LITERT: "ai-edge-litert"}
"""What is installed for each package. `tensorflow-cpu` is `tensorflow` without CUDA, at half the size
(https://www.tensorflow.org/install/pip)."""
DEFAULT_BOUNDS = {TENSORFLOW: "2.16..", LITERT: "1.0.."}
"""2.16 is the first TensorFlow with Keras 3, the first that reproducers are written for; LiteRT begins with 1.0."""
ANSWERS = "answers"
SCHEMA = 1
"""Of the kept answers."""


@dataclass(frozen=True)
class Step:
    """One release and what it said. `python` is empty where none that fits is here."""

    version: str
    python: str
    outcome: Outcome
    kept: bool = False
    """Whether this is an answer of an earlier call."""


@dataclass(frozen=True)
class Plan:
    """What is about to be done: the releases, oldest first, and what they cost."""

    package: str
    order: tuple[str, ...]
    kept: int
    """Answers of earlier calls."""
    to_install: int
    """Releases that may have to be installed; 0 when all that is asked is known."""
    unsupported: tuple[tuple[str, str], ...]
    """Releases that no Python here can run, and what they need."""
    free_mb: int
    folder: Path
    note: str
    """Why the list of releases is not the index' own answer of now; empty when it is."""


@dataclass(frozen=True)
class Bisection:
    """All answers, and what they say."""

    package: str
    order: tuple[str, ...]
    steps: tuple[Step, ...]
    found: Boundaries
    changes: int
    """How often the answer changes over the releases; more than two: not one defect's life."""

    @property
    def answered(self) -> bool:
        """Whether any release said anything."""
        return any(step.outcome.answer is not Answer.CANNOT for step in self.steps)


class Bisector:
    """One finding over the releases of one package. Raises `UserError` when that cannot be begun."""

    def __init__(self, finding: Finding, script: str, package: str = "", bounds: str = "", again: bool = False) -> None:
        try:
            self._imports = imports(script)
        except (SyntaxError, ValueError) as broken:
            raise UserError(f"{finding.path}/repro.py is no Python ({broken}); minimise the finding anew") from broken
        self._script = script
        self.package = package or package_of(finding, self._imports)
        if self.package == LITERT and "ai_edge_litert" not in self._imports:
            raise UserError(f"{finding.id} does not run LiteRT: bisect it over tensorflow")
        self._found = {name: version_in(finding.versions, name) for name in (TENSORFLOW, LITERT)}
        self._folder = environment.folder()
        distribution = DISTRIBUTIONS[self.package]
        self._catalogue = ask(distribution, self._folder, environment.cached(self._folder, distribution))
        self.order = tuple(self._catalogue.chosen(bounds or DEFAULT_BOUNDS[self.package]))
        kept = self._kept()
        self._beyond = {v: step for v, step in kept.items() if v not in self.order}
        """What is known of releases outside the bounds: it counts for what is stored."""
        self._steps = {} if again else {v: step for v, step in kept.items() if v in self.order}

    def plan(self, everything: bool = False) -> Plan:
        """What lies ahead, before anything is installed. Releases that no Python here supports are answered at once."""
        kept = len(self._steps)
        wanted = {v: self._wanted(v) for v in self.order if v not in self._steps}
        unsupported = []
        for version, release in wanted.items():
            if not environment.python_of(self._folder, release):
                why = environment.needs_python(release.pythons)
                unsupported.append((version, why))
                self._steps[version] = Step(version, "", Outcome(Answer.CANNOT, why, False))
        untried = [w for v, w in wanted.items() if v not in self._steps]
        missing = [w for w in untried if not self._here(w) and not environment.ready(self._folder, w)]
        return Plan(
            self.package,
            self.order,
            kept,
            len(missing) if self._next(everything) else 0,
            tuple(unsupported),
            environment.free_mb(self._folder),
            self._folder,
            self._catalogue.note,
        )

    def steps(self, everything: bool = False, told: Callable[[str, str], None] | None = None) -> Iterator[Step]:
        """Tries release after release until all is known; what was known is not told again.

        `told(version, doing)` hears what takes long.
        """
        while version := self._next(everything):
            step = self._try(version, told or (lambda *_: None))
            self._steps[version] = step
            if step.outcome.lasting:
                self._keep()
            yield step

    def result(self) -> Bisection:
        """What is known so far, by this call and earlier ones: a narrower question undoes no wider answer."""
        order = self._catalogue.chosen("0..")
        answers = {v: step.outcome.answer for v, step in {**self._beyond, **self._steps}.items()}
        found = boundaries(order, answers, self._found[self.package])
        steps = tuple(self._steps[v] for v in self.order if v in self._steps)
        return Bisection(self.package, self.order, steps, found, changes(order, answers))

    # --- one release ------------------------------------------------------------------------------------

    def _next(self, everything: bool) -> str:
        answers = {v: step.outcome.answer for v, step in self._steps.items()}
        return next_release(self.order, answers, self._found[self.package], everything)

    def _try(self, version: str, told: Callable[[str, str], None]) -> Step:
        wanted = self._wanted(version)
        python = environment.python_of(self._folder, wanted)
        if not python:
            return Step(version, "", Outcome(Answer.CANNOT, environment.needs_python(wanted.pythons), False))
        if self._here(wanted):
            told(version, "running")
            return Step(version, python, run(Path(sys.executable), self._script))
        try:
            if not environment.ready(self._folder, wanted):
                told(version, "installing")
            path = environment.environment(self._folder, wanted)
        except CannotInstall as why:
            return Step(version, python, Outcome(Answer.CANNOT, str(why), False))
        told(version, "running")
        return Step(version, python, run(path, self._script))

    def _here(self, wanted: Wanted) -> bool:
        """Whether this very environment is that release (under either name of TensorFlow)."""
        alone = [requirement.partition("==")[0] for requirement in wanted.alone]
        named = [r.replace("tensorflow-cpu", "tensorflow") for r in (wanted.requirement, *wanted.others)]
        return environment.installed_here([*named, *alone])

    def _wanted(self, version: str) -> Wanted:
        """The requirements of a release: its own version, the other package as the finding had it, and helpers."""
        others, alone = [], []
        tensorflow = version if self.package == TENSORFLOW else self._found[TENSORFLOW]
        if self.package == LITERT and "tensorflow" in self._imports:
            others.append(f"tensorflow-cpu=={tensorflow}" if tensorflow else "tensorflow-cpu")
        if self.package == TENSORFLOW and "ai_edge_litert" in self._imports:
            others.append("ai-edge-litert")  # the newest that goes with this TensorFlow's NumPy
        if self._imports & {"tf_keras", "tensorflow_model_optimization"}:
            minor = ".".join(tensorflow.split(".")[:2])
            alone.append(f"tf-keras=={minor}.*" if minor else "tf-keras")
        if "tensorflow_model_optimization" in self._imports:
            others.append("tensorflow-model-optimization")
        pythons = self._catalogue.releases[version]
        return Wanted(DISTRIBUTIONS[self.package], version, pythons, tuple(others), tuple(alone))

    # --- kept answers -----------------------------------------------------------------------------------

    @property
    def _file(self) -> Path:
        digest = hashlib.sha256(self._script.encode()).hexdigest()[:24]
        return self._folder / ANSWERS / f"{digest}-{self.package}.json"

    def _kept(self) -> dict[str, Step]:
        try:
            tree = json.loads(self._file.read_bytes())
            if int(tree["schema"]) > SCHEMA:
                return {}
            return {
                str(v): Step(str(v), str(python), Outcome(Answer(answer), str(why)), True)
                for v, (answer, why, python) in tree["answers"].items()
                if v in self._catalogue.releases
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # none, or damaged: it is asked again

    def _keep(self) -> None:
        lasting = {**self._kept(), **{v: s for v, s in self._steps.items() if s.outcome.lasting}}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            answers = {v: [s.outcome.answer.value, s.outcome.why, s.python] for v, s in lasting.items()}
            write_json(self._file, {"schema": SCHEMA, "answers": answers})
        except OSError:
            return  # a full disk costs the next call some time, not this one its answer


def bisect(finding: Finding, script: str, package: str = "", bounds: str = "", everything: bool = False) -> Bisection:
    """All at once, for callers without a screen. Raises `UserError`."""
    bisector = Bisector(finding, script, package, bounds)
    for _ in bisector.steps(everything):
        pass
    return bisector.result()


def package_of(finding: Finding, imported: set[str]) -> str:
    """The package at fault: LiteRT where it alone is blamed, else TensorFlow."""
    litert = finding.runtimes == ("litert",) and "ai_edge_litert" in imported
    return LITERT if litert else TENSORFLOW


def version_in(versions: str, package: str) -> str:
    """The version of a package in `tensorflow 2.21.0, ai-edge-litert 2.3.0, python 3.11.7`; empty when it has none."""
    found = re.search(rf"(?:^|, ){re.escape(package)} (\S+?)(?:,|$)", versions)
    try:
        return str(Version(found[1])) if found else ""
    except InvalidVersion:
        return ""


def sentence(bisection: Bisection) -> str:
    """What was found, in one sentence."""
    at, package = bisection.found, bisection.package
    if not bisection.answered:
        return "no release could run the script; the reasons are above"
    if not at.first_bad:
        return f"no release that could run it shows the defect: {_span(bisection.steps)}"
    parts = [
        f"brought in by {package} {at.first_bad} ({at.last_good} is good)"
        if at.last_good
        else f"already in {package} {at.first_bad}, the oldest tried that can run it",
        f"mended in {at.first_good} ({at.last_bad} is the last with it)"
        if at.first_good
        else "not mended in what was tried",
    ]
    if bisection.changes > 2 or (bisection.changes == 2 and not (at.last_good and at.first_good)):
        parts.append("the answers change more than once to and fro: --all tries every release")
    return "; ".join(parts)


def _span(steps: Sequence[Step]) -> str:
    told = [s.version for s in steps if s.outcome.answer is not Answer.CANNOT]
    return ", ".join(told)
