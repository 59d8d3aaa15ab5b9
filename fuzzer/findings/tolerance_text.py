"""Judging with one number an output (`fuzzer.oracles.confirm.tolerance`), as the Python text of a reproducer.

A model of one input sample and one output, as most are after reduction, needs no lists and no loops over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fuzzer.case import RUNTIMES, Case
from fuzzer.findings import layout, run_text
from fuzzer.findings.kernel_text import fitted
from fuzzer.findings.road_text import reference_call
from fuzzer.findings.run_text import fill
from fuzzer.oracles.confirm.tolerance import EAGER
from fuzzer.oracles.verdict import TOLERANCE, Kind, Verdict

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


def by_tolerance(case: Case, tolerance: Tolerance, shown: Sequence[str], guilty: Sequence[str]) -> list[str]:
    """Everything from the interpreter to the exit status."""
    why = layout.prose(tolerance.why[:1].upper() + tolerance.why[1:] + ".")
    lines = [f"# {line}" for line in why]
    if _single(case):
        return _of_one(case, tolerance, shown, guilty, lines)
    return _of_many(case, tolerance, shown, guilty, lines)


def _single(case: Case) -> bool:
    """Whether there is one result to judge, of plain numbers."""
    numbers = case.model.output_types[0].dtype not in ("string", "bool", "complex64")
    some = case.model.output_types[0].elements > 0
    return len(case.model.outputs) == 1 == len(case.inference.inputs) and numbers and some


# --- one result -------------------------------------------------------------------------------------------

_COMPARE = """
print(f"{'':12} {'expected':>14} {'actual':>14} {'error':>12}   at")
found = {}
for runtime in @runtimes@:
    try:
        actual = run(runtime)
    except (RuntimeError, ValueError) as error:
        print(f"{runtime:12} fails: {error}")
        continue
    error = np.abs(@actual@ - @expected@)
    error[np.isnan(error) & np.isfinite(expected)] = np.inf
    at = np.unravel_index(np.nanargmax(error), error.shape)
    found[runtime] = error[at]
    index = tuple(map(int, at))
    print(f"{runtime:12} {expected[at]:14.8g} {actual[at]:14.8g} {error[at]:12.3g}   {index}")
if not found:
    sys.exit(2)
@defect@
print("The defect is there." if defect else "The defect is gone.")
sys.exit(1 if defect else 0)
"""


def _of_one(case: Case, tolerance: Tolerance, shown: Sequence[str], guilty: Sequence[str], why: list[str]) -> list[str]:
    floats = case.model.output_types[0].dtype == "float32" and case.conversion.io == "float32"
    wide = "" if floats else ".astype(np.float64)"
    body = [
        '"""The result under a runtime."""',
        *_interpreter(case, shown),
        *run_text.allocate(case),
        *run_text.feed(case),
        "interpreter.invoke()",
        'return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])',
    ]
    expected = f'run("{tolerance.base}")'
    if tolerance.base == EAGER:
        expected = f"{reference_call(case)}.numpy()"
    return [
        "",
        "",
        "def run(runtime):",
        *(f"    {line}" for line in body),
        "",
        "",
        "inputs = samples[0]",
        "flatbuffer = convert()",
        *layout.assign("expected", expected),
        *why,
        *layout.assign("TOLERANCE", tolerance.text),
        *fill(
            _COMPARE.lstrip("\n"),
            runtimes=run_text.names(shown),
            actual=f"actual{wide}",
            expected=f"expected{wide}",
            defect="\n".join(run_text.defect(guilty, "TOLERANCE")),
        ),
    ]


def _interpreter(case: Case, shown: Sequence[str]) -> list[str]:
    """`interpreter = ...` for any of the runtimes that are shown."""
    threads = case.inference.threads
    names = {name: resolver or "AUTO" for name, resolver in run_text.RESOLVERS.items() if name in shown}
    table = [f'    "{name}": "{resolver}",' for name, resolver in names.items()]
    chosen = [
        "resolvers = {",
        *table,
        "}",
        "interpreter = tf.lite.Interpreter(",
        "    model_content=flatbuffer,",
        f"    num_threads={threads},",
        "    experimental_op_resolver_type=tf.lite.experimental.OpResolverType[resolvers[runtime]],",
        ")",
    ]
    if "litert" not in shown:
        return chosen
    litert = f"    interpreter = LiteRtInterpreter(model_content=flatbuffer, num_threads={threads})"
    made = chosen[len(table) + 2 :]
    return [*chosen[: len(table) + 2], 'if runtime == "litert":', litert, "else:", *(f"    {line}" for line in made)]


# --- several samples or outputs ---------------------------------------------------------------------------

_JUDGE = '''

def judge(name, outputs):
    """Prints the element that is furthest from what is expected, and returns how far@unit@."""
    worst = (-1.0, 0, ())
    for o, (y, v) in enumerate(zip(outputs, expected)):
@guard@        y, v = y.astype(np.float64), v.astype(np.float64)
        apart = np.where(np.isfinite(v), np.nan_to_num(np.abs(y - v), nan=np.inf), 0.0)
@divided@        at = tuple(map(int, np.unravel_index(np.argmax(apart), apart.shape)))
        worst = max(worst, (float(apart[at]), o, at))
    apart, o, at = worst
    want, got = expected[o][at], outputs[o][at]
    print(f"{name:12} {want:14.8g} {got:14.8g} {apart:12.3g}   {o}, {at}")
    return apart


flatbuffer = convert()
@expected@
@why@
@tolerance@
print(f"{'':12} {'expected':>14} {'actual':>14} {'@head@':>12}   result, index")
'''
_EAGER = """expected = []
for inputs in samples:
    expected += [y.numpy()@number@ for y in tf.nest.flatten(@call@)]"""


def _of_many(
    case: Case, tolerance: Tolerance, shown: Sequence[str], guilty: Sequence[str], why: list[str]
) -> list[str]:
    count = len(tolerance.errors)
    expected = f'expected = run("{tolerance.base}", flatbuffer)'
    if tolerance.base == EAGER:
        bools = any(t.dtype == "bool" for t in case.model.output_types)
        expected = _EAGER.replace("@number@", " * 1" if bools else "").replace("@call@", reference_call(case))
    judge = fill(
        fitted(_JUDGE, case),
        unit="" if count == 1 else ", in tolerances",
        divided="" if count == 1 else f"        apart /= TOLERANCE[o % {count}]\n",
        head="error" if count == 1 else "tolerances",
        expected=expected,
        why="\n".join(why),
        tolerance="\n".join(layout.assign("TOLERANCE", tolerance.text)),
    )
    return [
        *run_text.interpreter_of(case, "litert" in shown),
        *run_text.run(case),
        *judge,
        *run_text.answer(shown, guilty, "TOLERANCE" if count == 1 else 1.0),
    ]
