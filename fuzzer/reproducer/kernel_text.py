"""Judging kernels against the reference kernels on one flatbuffer, as the Python text of a reproducer."""

from __future__ import annotations

from collections.abc import Sequence

from fuzzer.case import Case
from fuzzer.oracles.value import SUSPICIOUS_RELATIVE, SUSPICIOUS_STEPS
from fuzzer.oracles.verdict import Kind, Verdict
from fuzzer.reproducer.judge_text import count, judged, worst
from fuzzer.reproducer.run_text import allocate, details, fill

_STEP_OF = '''

def step_of(output):
    """A quantisation step of an output: the scale of what its DEQUANTIZE reads."""
    interpreter = tf.lite.Interpreter(
        model_content=flatbuffer, experimental_op_resolver_type=KERNELS["tf-builtin"]
    )
    interpreter.allocate_tensors()
    details = @details@
    index = details[output]["index"]
    scales = {d["index"]: d["quantization"][0] for d in interpreter.get_tensor_details()}
    for op in interpreter._get_ops_details():
        if op["op_name"] == "DEQUANTIZE" and index in op["outputs"]:
            return scales[op["inputs"][0]]
    return 0.0
'''
_APART = """y, v = y.astype(np.float64), v.astype(np.float64)
fine = np.isfinite(y) & np.isfinite(v)
@size@apart = np.where(fine, np.abs(y - v)@over@, 0.0)"""
_CHANNEL = """scale = np.abs(np.where(fine, v, 0)).max(axis=tuple(range(v.ndim - 1)), keepdims=True)
size = np.maximum(scale, max(scale.max() * 1e-6, 1e-30))"""
_PARTS, _STEPS = "parts of the channel's maximum", "quantisation steps"
_HEADS = {_PARTS: "expected|actual|difference", _STEPS: "expected|actual|steps apart"}
_ODD = "odd = (np.isnan(y) != np.isnan(v)) | (np.isinf(y) != np.isinf(v))"
LIMITS = {**{scheme: SUSPICIOUS_RELATIVE[scheme] for scheme in ("float16", "dynamic")}, **SUSPICIOUS_STEPS}
"""From where the campaign looks at a difference between kernels (`fuzzer.oracles.value`): quantisation steps
for the integer schemes, else a part of the largest value of the channel."""
RELATIVE = {scheme: SUSPICIOUS_RELATIVE[scheme] for scheme in SUSPICIOUS_STEPS}


_BY_REFERENCE = """try:
    expected = run("tf-reference")
except (RuntimeError, ValueError):  # an operator that has no reference kernel
    expected = run("tf-builtin")"""


def based_on(guilty: Sequence[str]) -> tuple[str, str]:
    """What is right where `guilty` runtimes are not: its name, and the lines that leave its result in `expected`."""
    if "tf-reference" not in guilty:
        return "the reference kernels", _BY_REFERENCE
    other = next((r for r in ("tf-builtin", "tf-xnnpack") if r not in guilty), "tf-builtin")
    return f"{other}, which is right", f'expected = run("{other}")'


def between_kernels(case: Case, verdict: Verdict, guilty: Sequence[str]) -> list[str]:
    """Everything from `judge` to the expected values, for values that differ between kernels.

    What is expected is the result of the reference kernels, or of others where the reference kernels are `guilty`.
    """
    base, expected = based_on(guilty)
    if verdict.kind is Kind.NAN_PROPAGATION:
        what = "Counts the elements that are NaN or infinite on one side only."
        return judged(count(case, what, _ODD, "differ"), expected)
    unit, size = _unit_and_size(case)
    judge = worst(case, f"Prints what differs most from {base}.\n\n    In {unit}.\n    ", _apart(size))
    if not (case.conversion.integer and case.conversion.io == "float32"):
        return judged(judge, expected, _HEADS[unit])
    steps = f"steps = [step_of(output) for output in range({len(case.model.outputs)})]"
    return [*_step_of(case), *judged(judge, f"{expected}\n{steps}", _HEADS[unit])]


def _unit_and_size(case: Case) -> tuple[str, str]:
    """What differences are measured in: its name, and the lines that make `size`; empty where that is one."""
    conversion = case.conversion
    if not conversion.integer:
        return _PARTS, _CHANNEL
    channel = f"{_CHANNEL} * {RELATIVE[conversion.judged] / LIMITS[conversion.judged]!r}"
    if conversion.io == "float32":
        return _STEPS, f"size = steps[o % len(steps)]\nif not size:\n{_indented(channel)}"
    if all(t.dtype == "float32" for t in case.model.output_types):
        return _STEPS, ""
    return _STEPS, f'if outputs[o].dtype.kind == "f":\n{_indented(channel)}\nelse:\n    size = 1'


def _apart(size: str) -> str:
    return _APART.replace("@size@", f"{size}\n" if size else "").replace("@over@", " / size" if size else "")


def _step_of(case: Case) -> list[str]:
    """The function `step_of`, outputs in the model's order."""
    made = "interpreter.get_output_details()"
    functions = fill(_STEP_OF, details=made)
    if case.conversion.resized:
        at = next(i for i, line in enumerate(functions) if "allocate_tensors" in line)
        functions[at : at + 1] = [f"    {line}" for line in allocate(case)]
    if len(case.model.outputs) > 1 and case.conversion.has_signature:
        at = next(i for i, line in enumerate(functions) if made in line)
        functions[at : at + 1] = [f"    {line}" for line in details(case)]
    return functions


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
