"""Judging the one result of one sample, as the Python text of a reproducer: the short form of most value findings.

The long forms (`kernel_text`, `truth_text`, `model_error_text`) do the same for several samples, several outputs and
outputs that are no real numbers. Divisors and limits are theirs, so both forms come to the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from fuzzer.case import Case
from fuzzer.oracles.verdict import MODEL_ERROR, NOISE, SPECIAL_OPERANDS, STEP, Kind
from fuzzer.reproducer import layout
from fuzzer.reproducer.kernel_text import LIMITS, RELATIVE, based_on
from fuzzer.reproducer.model_text import needs_real
from fuzzer.reproducer.plan import Element, Plan
from fuzzer.reproducer.road_text import decorated, reference_call
from fuzzer.reproducer.run_text import fill
from fuzzer.reproducer.truth_text import own_dtype

_JUDGE = '''

def judge(runtime, actual):
    """The largest difference, in @unit@."""
@difference@
    at = tuple(map(int, np.unravel_index(np.argmax(difference), difference.shape)))
    want, got, apart = expected[at], actual[at], difference[at]
    print(f"{runtime:12} {want:14.8g} {got:14.8g} {apart:12.4g}   {at}")
    return apart
'''
_FLOATS = """    fine = np.isfinite(actual) & np.isfinite(expected)
    difference = np.where(fine, np.abs(actual@wide@ - expected), 0) / @size@"""
_INTEGERS = """    difference = np.abs(actual.astype(np.float64) - expected)@over@"""
_HEAD = """print(f"{'':12} {'expected':>14} {'actual':>14} {'difference':>12}   index")"""
_EVALUATE = '''

def evaluate(dtype):
    """TensorFlow itself, op by op, with all floating-point numbers in `dtype`."""
'''
_BOUND = """# A sound kernel may be off by TensorFlow's own error, or by 1e-5 of the largest value.
largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
bound = np.maximum(np.maximum(np.abs(tensorflow - expected), 1e-5 * largest), 1e-30)"""
_CHANNEL = """largest = np.abs(np.where(np.isfinite(expected), expected, 0))
@max@size = np.maximum(largest, max(largest.max() * 1e-6, 1e-30))@times@"""
_STEP = '''

def quantisation_step():
    """The scale of what the DEQUANTIZE before the output reads."""
    interpreter = tf.lite.Interpreter(model_content=flatbuffer)
    output = interpreter.get_output_details()[0]["index"]
    scales = {d["index"]: d["quantization"][0] for d in interpreter.get_tensor_details()}
    for op in interpreter._get_ops_details():
        if op["op_name"] == "DEQUANTIZE" and output in op["outputs"]:
            return scales[op["inputs"][0]]
    return 0.0
'''
_NOT_FINITE = '''

def judge(runtime, actual):
    """How often @what@."""
@wrong@
    places = np.argwhere(wrong)
    print(f"{runtime:12} {len(places)} of {actual.size} elements are wrong")
    for at in map(tuple, places[:3].tolist()):
        print(f"    at {at}: expected {expected[at]:.8g}, actual {actual[at]:.8g}")
    return len(places)
'''


def judging(plan: Plan) -> list[str]:
    """Everything between the functions `convert` and `run` and the answer."""
    if plan.truth:
        return _against_truth(plan)
    if plan.modelled:
        return _against_model(plan)
    return _between_kernels(plan)


def _evaluate(case: Case, output: int = 0) -> list[str]:
    """The function `evaluate`: the model in TensorFlow, weights first."""
    chosen = f"[{output}]" if len(case.model.outputs) > 1 else ""
    weights = [f"{t.name}_{s.name}" for t in case.model.typed for s in t.slots]
    names = [*weights, *(f"x{i}" for i in range(len(case.model.inputs)))]
    real = ", real=dtype" if needs_real(case) else ""
    if len(names) == 1:
        return [*fill(_EVALUATE), f"    return model(tf.constant({_cast(case, names[0])}){real}){chosen}.numpy()"]
    listed, cast = ", ".join(names), _cast(case, "v")
    lines = layout.assign("values", f"[{cast} for v in ({listed})]", 4)
    if len(lines) > 1:
        lines = [*layout.assign("values", f"[{listed}]", 4), f"    values = [{cast} for v in values]"]
    return [*fill(_EVALUATE), *lines, f"    return model(*map(tf.constant, values){real}){chosen}.numpy()"]


def _cast(case: Case, name: str) -> str:
    """A weight or an input in `dtype`, where it is a floating-point number."""
    if own_dtype(case) is not None:
        return f"{name}.astype(dtype)"
    bfloat16 = any(t.dtype == "bfloat16" for t in case.model.types.values())
    kinds = 'in "fV"' if bfloat16 else '== "f"'  # "V" is what NumPy says of bfloat16
    return f"{name}.astype(dtype) if dtype and {name}.dtype.kind {kinds} else {name}"


def _judge(case: Case, unit: str, size: str, wide: bool) -> list[str]:
    """The function `judge`: `size` is what a difference is measured in; results are `wide` already or not."""
    integer = case.conversion.io != "float32" or not case.model.output_types[0].dtype.startswith(("float", "bfloat"))
    if integer and not wide:
        difference = _INTEGERS.replace("@over@", f" / {size}" if size != "1" else "")
    else:
        difference = _FLOATS.replace("@size@", size).replace("@wide@", "" if wide else ".astype(np.float64)")
    return fill(_JUDGE, unit=unit, difference=difference)


def _plain(case: Case) -> str:
    """TensorFlow's own result, as an expression."""
    own = own_dtype(case)
    return f"evaluate({layout.string(own)})" if own else "evaluate(None)"


_CONVERTED = ("", "", "flatbuffer = convert()")
_TRUTH = (*_CONVERTED, 'expected = evaluate("float64")')


def _against_truth(plan: Plan) -> list[str]:
    case, plain = plan.case, _plain(plan.case)
    if plan.verdict.kind is not Kind.NAN_PROPAGATION:
        if plan.element is not None:
            return _at_element(plan, plan.element)
        judged = [*_judge(case, "bounds", "bound", False), *_TRUTH, f"tensorflow = {plain}", *_BOUND.splitlines()]
        return [*_evaluate(case), *judged, _HEAD, 'judge("TensorFlow", tensorflow)']
    if plan.verdict.evidence.get(SPECIAL_OPERANDS):
        judge = _not_finite("NaN or an infinity is not what it is in TensorFlow", _SPECIAL)
        return [*_evaluate(case), *judge, *_CONVERTED, f"expected = {plain}"]
    judge = _not_finite("a result is not finite and should be", ("sound & ~np.isfinite(actual)",))
    far = _FAR.get(case.model.output_types[0].dtype, 3e35)
    sound = layout.assign("sound", f"np.isfinite({plain}) & (np.abs(expected) < {far!r})")
    return [*_evaluate(case), *judge, *_TRUTH, "# Finite in TensorFlow too, and far from overflow.", *sound]


_ELEMENT = '''

def judge(runtime, actual):
    """How far the element is off that was found to be wrong."""
    want, got = float(expected[at]), float(actual[at])
    print(f"{runtime:12} {want:14.8g} {got:14.8g} {abs(got - want):12.4g}")
    return abs(got - want)


flatbuffer = convert()
expected = evaluate("float64")
at = @at@
print(f"{'':12} {'expected':>14} {'actual':>14} {'difference':>12}")
judge("TensorFlow", @plain@)
# Rounding every weight, input and intermediate value moves the element by less than
# the @tolerance@ from which it counts as wrong.
'''


def _at_element(plan: Plan, element: Element) -> list[str]:
    """One element against the truth, where how far the model carries roundings was measured by the campaign."""
    values = {"at": repr(element.at), "plain": _plain(plan.case), "tolerance": f"{element.tolerance:g}"}
    return [*_evaluate(plan.case, element.output), *fill(_ELEMENT, **values)]


_SPECIAL = (
    "np.isnan(actual) != np.isnan(expected)",
    "(np.isinf(actual) | np.isinf(expected)) & (actual != expected)",
)
_FAR = {"float16": 65.0}
"""A thousandth of the largest number of a dtype, as in `truth_text`."""


def _not_finite(what: str, wrong: Sequence[str]) -> list[str]:
    """The function `judge` that counts: what is told of the elements, and by which tests they are found."""
    first, *more = wrong
    tests = [f"    wrong = {first}", *(f"    wrong |= {test}" for test in more)]
    return fill(_NOT_FINITE, what=what, wrong="\n".join(tests))


def _against_model(plan: Plan) -> list[str]:
    case, evidence = plan.case, plan.verdict.evidence
    made = reference_call(case, decorated(case, plan.as_arguments))
    noise, error = (f"{float(evidence[key]):.2g}" for key in (NOISE, MODEL_ERROR))
    step = f"{float(evidence.get(STEP, 1e-30)):.3g}"
    return [
        *_judge(case, "parts of the output's largest value", "largest", True),
        *[*_CONVERTED, *layout.assign("expected", f"{made}.numpy()")],
        f"largest = max(np.abs(expected[np.isfinite(expected)]).max(initial=0), {step})",
        f'print("Rounding accounts for about {noise} of the largest value; {error} was found.")',
        _HEAD,
    ]


def _between_kernels(plan: Plan) -> list[str]:
    case = plan.case
    base, expected = based_on(plan.guilty)
    if plan.verdict.kind is Kind.NAN_PROPAGATION:
        wrong = ("np.isnan(actual) != np.isnan(expected)", "np.isinf(actual) != np.isinf(expected)")
        judge = _not_finite(f"NaN or an infinity is on one side only: here, or in {base}", wrong)
        return [*judge, *_CONVERTED, *expected.splitlines()]
    unit, functions, size = _measure(case)
    judge = _judge(case, unit, "size" if size else "1", False)
    return [*functions, *judge, *_CONVERTED, *expected.splitlines(), *size, _HEAD]


def _measure(case: Case) -> tuple[str, list[str], list[str]]:
    """In what kernels differ: its name, the function that finds it, and the lines that define `size`, if any."""
    conversion, of = case.conversion, case.model.output_types[0]
    integer = conversion.integer and conversion.io != "float32"
    if integer and (of.dtype == "float32" or not of.dtype.startswith(("float", "bfloat"))):
        return "quantisation steps", [], []
    rank = len(of.shape)
    axes = f"largest = largest.max(axis={tuple(range(rank - 1))!r}, keepdims=True)\n" if rank > 1 else ""
    channel = _CHANNEL.replace("@max@", axes)
    if not conversion.integer:
        return "parts of the channel's largest value", [], channel.replace("@times@", "").splitlines()
    share = RELATIVE[conversion.judged] / LIMITS[conversion.judged]
    lines = channel.replace("@times@", f" * {share!r}").splitlines()
    if integer:
        return "quantisation steps", [], lines
    return (
        "quantisation steps",
        fill(_STEP),
        ["size = quantisation_step()", "if not size:", *(f"    {x}" for x in lines)],
    )
