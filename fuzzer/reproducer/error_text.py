"""Errors, wrong signatures and wrong scales, as the Python text of a reproducer."""

from __future__ import annotations

from fuzzer.oracles.verdict import Kind
from fuzzer.reproducer import layout, run_text
from fuzzer.reproducer.fragment import recognition
from fuzzer.reproducer.plan import Plan

_DTYPES = {"string": "object"}
"""What NumPy calls a dtype, where that is another name."""
_SHORT = 60
"""Characters of a message that are looked for where they are read; longer ones get a name."""
NAMES = {
    "litert": "LiteRT's interpreter",
    "tf-xnnpack": "tf.lite.Interpreter",
    "tf-builtin": "tf.lite.Interpreter without XNNPACK",
    "tf-reference": "tf.lite.Interpreter with reference kernels",
}
"""What a runtime is called in a sentence."""
_TOLD = """except @caught@ as error:
    message = f"{type(error).__name__}: {error}"
    print("actual:  ", message)
    if @test@:
        print("The defect is there.")
        sys.exit(1)
    print("Another error than the one this script is about.")
    sys.exit(2)
print("actual:   no error")
print("The defect is gone.")
"""


def error(plan: Plan) -> list[str]:
    """An error that should not be: from the conversion, or from the interpreter."""
    message = str(plan.verdict.evidence.get("message") or plan.verdict.message)
    runtime = NAMES.get(plan.guilty[0], plan.guilty[0])
    if plan.verdict.kind is Kind.CONVERTER_ERROR:
        expected, before, tried, caught = "the model is converted", [], ["convert()"], "Exception"
    else:
        invoke = plan.verdict.kind is Kind.INVOKE_ERROR
        expected = f"{runtime} runs the model" if invoke else f"{runtime} prepares the model"
        before = ["flatbuffer = convert()"]
        tried, caught = to_interpreter(plan, invoke), "(RuntimeError, ValueError, NotImplementedError)"
    return reported(message, expected, before, tried, caught)


def reported(message: str, expected: str, before: list[str], tried: list[str], caught: str) -> list[str]:
    """Lines that try something and exit: 1 for an error that says what `message` says, 2 for another one."""
    said, test = recognition(message)
    known, named = layout.string(said), []
    if len(known) > _SHORT:
        known, named = "DEFECT", layout.assign("DEFECT", known)
    told = run_text.fill(_TOLD.replace("@caught@", caught).replace("@test@", test))
    told = [line.replace("@known@", known) if "@known@" in line else line for line in told]
    first = f'print("expected: {expected}")'
    return ["", "", *named, *before, first, "try:", *(f"    {line}" for line in tried), *told]


def to_interpreter(plan: Plan, invoke: bool, guard: list[str] | None = None) -> list[str]:
    """Lines that allocate, and invoke when asked to, on the guilty runtime; `guard` goes before the last step."""
    made = run_text.interpreter(plan.guilty[0], plan.case.inference.threads)
    lines = [*made, *run_text.allocate(plan.case)]
    return [*lines, *(guard or []), *run_text.invoke(plan.case)] if invoke else [*(guard or []), *lines]


_SCALES = """

flatbuffer = convert()
interpreter = tf.lite.Interpreter(
    model_content=flatbuffer,
    experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
)
defect = False
print("expected: scales above zero")
for detail in interpreter.get_tensor_details():
    scales = detail["quantization_parameters"]["scales"]
    if not np.all((scales > 0) & np.isfinite(scales)):
        defect = True
        print("actual:  ", detail["name"], scales[:8])
print("The defect is there." if defect else "The defect is gone.")
sys.exit(1 if defect else 0)
"""


def scales() -> list[str]:
    """Scales that are no number above zero."""
    return run_text.fill(_SCALES)


_SIGNATURE = """print("expected:", expected)
print("declared:", declared)
print("actual:  ", actual)
defect = actual != expected or declared != [shape for shape, _ in expected]
print("The defect is there." if defect else "The defect is gone.")
sys.exit(1 if defect else 0)
"""


def signature(plan: Plan) -> list[str]:
    """The number, the shapes and the dtypes of the outputs, declared and as they come."""
    case = plan.case
    quantised = case.conversion.io != "float32"
    want = [
        (t.shape, case.conversion.io if quantised and t.dtype == "float32" else _DTYPES.get(t.dtype, t.dtype))
        for t in case.model.output_types
    ]
    listing = ["details = interpreter.get_output_details()"]
    if plan.verdict.kind is not Kind.OUTPUT_COUNT:
        listing = run_text.details(case)
    declared = [*listing, 'declared = [tuple(map(int, detail["shape"])) for detail in details]']
    return [
        "",
        "",
        *layout.assign("expected", repr(want)),
        "flatbuffer = convert()",
        *run_text.interpreter(plan.guilty[0], case.inference.threads),
        *run_text.allocate(case),
        *([] if case.conversion.resized else declared),
        *([] if run_text.alone(case) else ["inputs = samples[0]"]),
        *run_text.feed(case),
        "interpreter.invoke()",
        *(declared if case.conversion.resized else []),
        "outputs = []",
        *run_text.read(case),
        "actual = [(y.shape, y.dtype.name) for y in outputs]",
        *run_text.fill(_SIGNATURE),
    ]
