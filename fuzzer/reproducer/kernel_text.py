"""Judging kernels against the reference kernels on one flatbuffer, as the Python text of a reproducer."""

from __future__ import annotations

from collections.abc import Sequence

from fuzzer.case import Case
from fuzzer.oracles.value import SUSPICIOUS_RELATIVE, SUSPICIOUS_STEPS
from fuzzer.oracles.verdict import Kind, Verdict
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
_JUDGE_KERNELS = '''

def judge(name, outputs):
    """Prints what differs most from @base@.

    In @unit@.
    """
    worst = (-1.0, 0, ())
    for o, (y, v) in enumerate(zip(outputs, expected)):
@guard@        y, v = y.astype(np.float64), v.astype(np.float64)
        fine = np.isfinite(y) & np.isfinite(v)
@size@
        apart = np.where(fine, np.abs(y - v) / size, 0.0)
        at = tuple(map(int, np.unravel_index(np.argmax(apart), apart.shape)))
        worst = max(worst, (float(apart[at]), o, at))
    apart, o, at = worst
    want, got = expected[o][at], outputs[o][at]
    print(f"{name:12} {want:14.8g} {got:14.8g} {apart:12.4g}   {o}, {at}")
    return apart


flatbuffer = convert()
@expected@
@steps@print(f"{'':12} {'expected':>14} {'actual':>14} {'@head@':>12}   result, index")
'''
_CHANNEL = """        scale = np.abs(np.where(fine, v, 0)).max(axis=tuple(range(v.ndim - 1)), keepdims=True)
        size = np.maximum(scale, max(scale.max() * 1e-6, 1e-30))@times@"""
_JUDGE_NAN = '''

def judge(name, outputs):
    """Counts the elements that are NaN or infinite on one side only."""
    count, example = 0, ""
    for o, (y, v) in enumerate(zip(outputs, expected)):
@guard@        odd = (np.isnan(y) != np.isnan(v)) | (np.isinf(y) != np.isinf(v))
        for at in np.argwhere(odd):
            at = tuple(map(int, at))
            example = example or f"output {o} at {at}: expected {v[at]}, actual {y[at]}"
            count += 1
    print(f"{name:12} {count} elements differ   {example}")
    return count


flatbuffer = convert()
@expected@
'''
_NO_SIZE = "        size = 1"
LIMITS = {**{scheme: SUSPICIOUS_RELATIVE[scheme] for scheme in ("float16", "dynamic")}, **SUSPICIOUS_STEPS}
"""From where the campaign looks at a difference between kernels (`fuzzer.oracles.value`): quantisation steps
for the integer schemes, else a part of the largest value of the channel."""
RELATIVE = {scheme: SUSPICIOUS_RELATIVE[scheme] for scheme in SUSPICIOUS_STEPS}


def fitted(template: str, case: Case) -> str:
    """A judge for the dtypes of the outputs: `@guard@` makes them numbers that compare; most cases need none."""
    types = case.model.output_types
    dtypes = {t.dtype for t in types}
    text = ""
    if not all(t.elements for t in types):
        text += "        if not y.size:\n            continue\n"
    if "string" in dtypes:
        text += "        if y.dtype == object:\n            y, v = np.where(y == v, 1.0, 0.0), np.ones(v.shape)\n"
    if "complex64" in dtypes:
        text += '        if y.dtype.kind == "c":\n            y, v = abs(v) + abs(y - v), abs(v)\n'
    if dtypes & {"string", "bool", "complex64"}:
        template = template.replace("{want:14.8g} {got:14.8g}", "{want!s:>14} {got!s:>14}")
        apart = "float(abs(got - want))" if dtypes == {"complex64"} else "float(got != want)"
        template = template.replace("abs(float(got) - float(want))", apart)
    return template.replace("@guard@", text)


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
    conversion = case.conversion
    base, expected = based_on(guilty)
    kernels = fitted(_JUDGE_KERNELS, case).replace("@base@", base).replace("@expected@", expected)
    if verdict.kind is Kind.NAN_PROPAGATION:
        return fill(fitted(_JUDGE_NAN, case).replace("@expected@", expected))
    if not conversion.integer:
        unit = "parts of the channel's maximum"
        size = _CHANNEL.replace("@times@", "")
        return fill(kernels, unit=unit, size=size, steps="", head="difference")
    steps, functions = "", []
    if conversion.io != "float32":
        integers = all(t.dtype == "float32" for t in case.model.output_types)
        if integers:
            size = _NO_SIZE
        else:
            times = f" * {RELATIVE[conversion.judged] / LIMITS[conversion.judged]!r}"
            size = '        if outputs[o].dtype.kind == "f":\n' + _indented(_CHANNEL.replace("@times@", times))
            size += "\n        else:\n            size = 1"
    else:
        times = f" * {RELATIVE[conversion.judged] / LIMITS[conversion.judged]!r}"
        size = "        size = steps[o % len(steps)]\n        if not size:\n" + _indented(
            _CHANNEL.replace("@times@", times)
        )
        functions = _step_of(case)
        steps = f"steps = [step_of(output) for output in range({len(case.model.outputs)})]\n"
    lines = fill(kernels, unit="quantisation steps", size=size, steps=steps, head="steps apart")
    if size == _NO_SIZE:
        lines = [line.replace(" / size", "") for line in lines if line != _NO_SIZE]
    return [*functions, *lines]


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
