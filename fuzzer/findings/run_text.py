"""Running a flatbuffer, as the Python text of a reproducer.

Every piece is a template of ours in which `@name@` is replaced by numbers and names of ours only.
"""

from __future__ import annotations

from collections.abc import Sequence

from fuzzer.case import Case
from fuzzer.case.conversion import KERAS_ENTRIES, TFMOT
from fuzzer.findings import layout

RESOLVERS = {
    "tf-xnnpack": "",
    "tf-builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "tf-reference": "BUILTIN_REF",
}
"""`tf.lite.experimental.OpResolverType` of each runtime of TensorFlow."""


def fill(template: str, **values: object) -> list[str]:
    """The lines of a template, its `@name@` replaced."""
    for key, value in values.items():
        template = template.replace(f"@{key}@", str(value))
    return template.rstrip().splitlines()


# --- running ----------------------------------------------------------------------------------------------


def interpreter(runtime: str, threads: int) -> list[str]:
    """`interpreter = ...` for one runtime."""
    if runtime == "litert":
        return [f"interpreter = LiteRtInterpreter(model_content=flatbuffer, num_threads={threads})"]
    if not RESOLVERS[runtime]:
        return [f"interpreter = tf.lite.Interpreter(model_content=flatbuffer, num_threads={threads})"]
    return [
        f"resolver = tf.lite.experimental.OpResolverType.{RESOLVERS[runtime]}",
        "interpreter = tf.lite.Interpreter(",
        f"    model_content=flatbuffer, num_threads={threads}, experimental_op_resolver_type=resolver",
        ")",
    ]


_INTERPRETER_OF = '''

def interpreter_of(runtime, flatbuffer):
    """@what@"""@litert@
    resolvers = tf.lite.experimental.OpResolverType
    resolver = {
        "tf-xnnpack": resolvers.AUTO,
        "tf-builtin": resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        "tf-reference": resolvers.BUILTIN_REF,
    }[runtime]
    return tf.lite.Interpreter(
        model_content=flatbuffer, num_threads=@threads@, experimental_op_resolver_type=resolver
    )
'''
_LITERT = """
    if runtime == "litert":
        return LiteRtInterpreter(model_content=flatbuffer, num_threads=@threads@)"""


def interpreter_of(case: Case, litert: bool) -> list[str]:
    """The function `interpreter_of`: one interpreter for each runtime's name."""
    what = "LiteRT's interpreter, or TensorFlow's with" if litert else "`tf.lite.Interpreter` with"
    what += " XNNPACK, optimised or reference kernels."
    chosen = _LITERT if litert else ""
    return fill(_INTERPRETER_OF.replace("@litert@", chosen), what=what, threads=case.inference.threads)


def integer_inputs(case: Case) -> bool:
    """Whether inputs may be quantised in the flatbuffer: asked for, or a trace of training for quantisation."""
    trained = case.conversion.scheme in ("qat", *TFMOT) or any(
        "qat" in n.op or "quant" in n.op for n in case.model.nodes
    )
    return case.conversion.io != "float32" or trained


def feed(case: Case) -> list[str]:
    """Lines that set the inputs of `interpreter` from `inputs`."""
    lines = ["for detail in interpreter.get_input_details():"]
    if len(case.model.inputs) == 1:
        if not integer_inputs(case):
            return [*lines, '    interpreter.set_tensor(detail["index"], inputs[0])']
        lines.append("    value = inputs[0]")
    else:
        # Inputs come in an order of the converter's: their names say which is which.
        lines.append('    value = inputs[int(re.findall(r"x(\\d+)", detail["name"])[-1])]')
    if integer_inputs(case):
        lines += [
            '    scale, zero_point = detail["quantization"]',
            '    if scale and value.dtype.kind == "f":',
            '        limits = np.iinfo(detail["dtype"])',
            "        value = np.rint(value.astype(np.float64) / scale) + zero_point",
            '        value = np.clip(value, limits.min, limits.max).astype(detail["dtype"])',
        ]
    return [*lines, '    interpreter.set_tensor(detail["index"], value)']


def details(case: Case) -> list[str]:
    """`details = ...`: the outputs in the model's order."""
    lines = ["details = interpreter.get_output_details()"]
    if len(case.model.outputs) > 1 and case.conversion.has_signature:
        lines += [
            "# Signatures name the outputs in the model's order; the flatbuffer has an order of its own.",
            'signature = next(iter(interpreter._get_full_signature_list().values()))["outputs"]',
            'details = {detail["index"]: detail for detail in details}',
            "details = [details[signature[key]] for key in sorted(signature)]",
        ]
    return lines


def allocate(case: Case) -> list[str]:
    """Lines that allocate the tensors of `interpreter`; inputs get their shapes where the flatbuffer has none."""
    if not case.conversion.resized:
        return ["interpreter.allocate_tensors()"]
    shapes = [t.shape for t in case.model.inputs]
    if len(shapes) == 1:
        shape, lines = repr(shapes[0]), []
    else:
        shape, lines = "shape", [f'    shape = {shapes!r}[int(re.findall(r"x(\\d+)", detail["name"])[-1])]']
    return [
        "for detail in interpreter.get_input_details():",
        *lines,
        f'    interpreter.resize_tensor_input(detail["index"], {shape})',
        "interpreter.allocate_tensors()",
    ]


def invoke(case: Case) -> list[str]:
    """Lines that run every sample on `interpreter`, without reading results."""
    return [
        "for inputs in samples:",
        *(f"    {line}" for line in [*_reset(case), *feed(case), "interpreter.invoke()"]),
    ]


def _reset(case: Case) -> list[str]:
    stateful = len(case.inference.inputs) > 1 or case.conversion.entry in KERAS_ENTRIES
    return ["interpreter.reset_all_variables()"] if stateful else []


def read(case: Case) -> list[str]:
    """Lines that add the outputs to `outputs`; the Python layer cannot read tensors without elements."""
    if all(t.elements for t in case.model.output_types):
        return ['outputs += [interpreter.get_tensor(detail["index"]) for detail in details]']
    return [
        "for detail in details:",
        '    if detail["shape"].all():',
        '        outputs.append(interpreter.get_tensor(detail["index"]))',
        "    else:",
        '        outputs.append(np.zeros(detail["shape"], detail["dtype"]))',
    ]


def run(case: Case) -> list[str]:
    """The function `run`: the outputs of all samples in one list."""
    body = [
        '"""The outputs under a runtime, of all samples in one list."""',
        "interpreter = interpreter_of(runtime, flatbuffer)",
        *allocate(case),
        *details(case),
        "outputs = []",
        *invoke(case),
        *(f"    {line}" for line in read(case)),
        "return outputs",
    ]
    return ["", "", "def run(runtime, flatbuffer):", *(f"    {line}" for line in body)]


# --- the runs and the answer ------------------------------------------------------------------------------

_ANSWER = """found = {}
for runtime in @runtimes@:
    try:
        found[runtime] = judge(runtime, run(runtime, flatbuffer))
    except (RuntimeError, ValueError) as error:
        print(f"{runtime:12} fails: {error}")
if not found:
    sys.exit(2)
@defect@
print("The defect is there." if defect else "The defect is gone.")
sys.exit(1 if defect else 0)
"""


def answer(runtimes: Sequence[str], guilty: Sequence[str], limit: float | str) -> list[str]:
    """Runs and judges every runtime; the guilty ones decide the exit status."""
    # 1e-6: a step of a float output is no exact multiple of its scale.
    bar = limit if isinstance(limit, str) else f"{limit:g}" if limit != 1.0 else "1.001"
    return fill(_ANSWER, runtimes=names(runtimes), defect="\n".join(defect(guilty, bar)))


def names(runtimes: Sequence[str]) -> str:
    """Runtimes as a Python tuple of strings."""
    return "(" + ", ".join(layout.string(r) for r in runtimes) + ("," if len(runtimes) == 1 else "") + ")"


def defect(guilty: Sequence[str], bar: str) -> list[str]:
    """`defect = ...`: whether a guilty runtime is beyond `bar` in `found`."""
    if len(guilty) == 1:
        return [f"defect = found.get({layout.string(guilty[0])}, 0) > {bar}"]
    return [f"guilty = {names(guilty)}", f"defect = any(found.get(runtime, 0) > {bar} for runtime in guilty)"]
