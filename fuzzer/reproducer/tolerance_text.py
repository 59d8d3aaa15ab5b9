"""Judging with one number an output (`fuzzer.oracles.confirm.tolerance`), as the Python text of a reproducer.

A model of one input sample and one output, as most are after reduction, needs no lists and no loops over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzzer.case import RUNTIMES, Case
from fuzzer.oracles.confirm.tolerance import EAGER
from fuzzer.oracles.verdict import TOLERANCE, Kind, Verdict
from fuzzer.reproducer import layout, run_text
from fuzzer.reproducer.judge_text import judged, worst
from fuzzer.reproducer.road_text import decorated, reference_call
from fuzzer.reproducer.run_text import fill

if TYPE_CHECKING:
    from fuzzer.reproducer.plan import Plan

_SLACK = 1.05
"""A tolerance is written with two digits, and never below what was measured."""


@dataclass(frozen=True)
class Tolerance:
    """The base (TensorFlow or a runtime), the error against it from which an output is wrong, and where it is from."""

    base: str
    errors: tuple[float, ...]
    why: str

    @property
    def text(self) -> str:
        """As Python: one number, or a tuple of them."""
        written = [f"{_SLACK * error:.2g}" for error in self.errors]
        return written[0] if len(written) == 1 else f"({', '.join(written)})"


def tolerance_of(case: Case, verdict: Verdict) -> Tolerance | None:
    """What the evidence says of one; None where it says nothing that can be used."""
    told = verdict.evidence.get(TOLERANCE)
    if verdict.kind is not Kind.VALUE or not isinstance(told, dict):
        return None
    errors, base = told.get("errors"), told.get("base")
    if not isinstance(errors, list) or len(errors) != len(case.model.outputs) or base not in (EAGER, *RUNTIMES):
        return None
    numbers = tuple(float(e) for e in errors if type(e) in (int, float) and 0 < e < float("inf"))
    return Tolerance(str(base), numbers, str(told.get("why", ""))) if len(numbers) == len(errors) else None


def by_tolerance(plan: Plan, tolerance: Tolerance) -> list[str]:
    """Everything from the interpreter to the exit status."""
    case, count = plan.case, len(tolerance.errors)
    why = layout.prose(tolerance.why[:1].upper() + tolerance.why[1:] + ".")
    lines = [*(f"# {line}" for line in why), *layout.assign("TOLERANCE", tolerance.text)]
    one = run_text.plain(case)
    return [
        *run_text.kernels(case, plan.litert),
        *(run_text.run_once(case, plan.litert) if one else run_text.run(case, plan.litert)),
        *(_of_one(case, tolerance, lines) if one else _of_many(case, tolerance, lines)),
        *run_text.answer(plan.shown, plan.guilty, "TOLERANCE" if count == 1 else 1.0),
    ]


# --- one result -------------------------------------------------------------------------------------------

_ONE = '''

def judge(runtime, actual):
    """Prints the element that is furthest off and returns how far."""
    error = np.abs(actual@wide@ - expected)
    error = np.where(np.isfinite(expected), np.nan_to_num(error, nan=np.inf), 0)
    at = tuple(map(int, np.unravel_index(np.argmax(error), error.shape)))
    print(f"{runtime:12} {expected[at]:14.8g} {actual[at]:14.8g} {error[at]:12.4g}   {at}")
    return error[at]


flatbuffer = convert()
@expected@
@tolerance@
print(f"{'':12} {'expected':>14} {'actual':>14} {'error':>12}   index")
'''


def _of_one(case: Case, tolerance: Tolerance, lines: list[str]) -> list[str]:
    floats = case.model.output_types[0].dtype == "float32" and case.conversion.io == "float32"
    eager = tolerance.base == EAGER
    expected = f"{_eager(case)}.numpy()" if eager else f'run("{tolerance.base}")'
    return fill(
        _ONE,
        wide="" if floats else ".astype(np.float64)",
        expected="\n".join(layout.assign("expected", expected)),
        tolerance="\n".join(lines),
    )


def _eager(case: Case) -> str:
    """A call of the model, whose weights are no arguments here."""
    return reference_call(case, decorated(case, truth=False))


# --- several samples or outputs ---------------------------------------------------------------------------

_APART = """y, v = y.astype(np.float64), v.astype(np.float64)
apart = np.where(np.isfinite(v), np.nan_to_num(np.abs(y - v), nan=np.inf), 0.0)"""
_UNIT = ", in tolerances"
_EAGER_ALONE = "expected = [y.numpy()@number@ for y in tf.nest.flatten(@call@)]"
_EAGER = """expected = []
for inputs in samples:
    expected += [y.numpy()@number@ for y in tf.nest.flatten(@call@)]"""


def _of_many(case: Case, tolerance: Tolerance, lines: list[str]) -> list[str]:
    count = len(tolerance.errors)
    expected = f'expected = run("{tolerance.base}")'
    if tolerance.base == EAGER:
        bools = any(t.dtype == "bool" for t in case.model.output_types)
        template = _EAGER_ALONE if run_text.alone(case) else _EAGER
        expected = template.replace("@number@", " * 1" if bools else "").replace("@call@", _eager(case))
    one = count == 1
    what = f"Prints the element that is furthest from what is expected, and returns how far{'' if one else _UNIT}."
    measured = _APART if one else f"{_APART}\napart /= TOLERANCE[o % {count}]"
    begun = "\n".join([expected, *lines])
    return judged(worst(case, what, measured), begun, f"expected|actual|{'error' if one else 'tolerances'}")
