"""Running a flatbuffer, as the Python text of a reproducer.

Every piece is a template of ours in which `@name@` is replaced by numbers and names of ours only.
"""

from __future__ import annotations

from collections.abc import Sequence

from fuzzer.case import Case
from fuzzer.case.conversion import KERAS_ENTRIES, TFMOT
from fuzzer.reproducer import layout

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


def alone(case: Case) -> bool:
    """Whether there is one sample, so that a script needs no list of samples: its inputs are `x0`, `x1`, ..."""
    return len(case.inference.inputs) == 1 and case.inference.relation == "none"


def given(case: Case) -> str:
    """The list of a sample's inputs, as an expression."""
    if not alone(case):
        return "inputs"
    return f"[{', '.join(f'x{i}' for i in range(len(case.model.inputs)))}]"


def inputs_listed(case: Case) -> list[str]:
    """`inputs = ...`, where a script needs its inputs by number."""
    return [f"inputs = {given(case)}"] if alone(case) and len(case.model.inputs) > 1 else []


def _threads(threads: int) -> str:
    """One thread is what an interpreter takes by itself."""
    return f", num_threads={threads}" if threads != 1 else ""


def interpreter(runtime: str, threads: int) -> list[str]:
    """`interpreter = ...` for one runtime."""
    content = f"model_content=flatbuffer{_threads(threads)}"
    if runtime == "litert":
        return [f"interpreter = LiteRtInterpreter({content})"]
    if not RESOLVERS[runtime]:
        return [f"interpreter = tf.lite.Interpreter({content})"]
    return [
        f"resolver = tf.lite.experimental.OpResolverType.{RESOLVERS[runtime]}",
        *layout.assign("interpreter", f"tf.lite.Interpreter({content}, experimental_op_resolver_type=resolver)"),
    ]


_KERNELS = """

# XNNPACK, the optimised and the reference kernels.
KERNELS = {
    "tf-xnnpack": tf.lite.experimental.OpResolverType.AUTO,
    "tf-builtin": tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "tf-reference": tf.lite.experimental.OpResolverType.BUILTIN_REF,
}
"""
_INTERPRETER_OF = '''

def interpreter_of(runtime):
    """LiteRT's interpreter, or TensorFlow's with one set of kernels."""
    if runtime == "litert":
        return LiteRtInterpreter(model_content=flatbuffer@threads@)
    return tf.lite.Interpreter(
        model_content=flatbuffer@threads@, experimental_op_resolver_type=KERNELS[runtime]
    )
'''


def kernels(case: Case, litert: bool) -> list[str]:
    """The table `KERNELS`, and the function `interpreter_of` where LiteRT's interpreter takes part too."""
    function = fill(_INTERPRETER_OF, threads=_threads(case.inference.threads)) if litert else []
    return [*fill(_KERNELS), *function]


def _made(case: Case, litert: bool) -> list[str]:
    """`interpreter = ...` from the table."""
    if litert:
        return ["interpreter = interpreter_of(runtime)"]
    content = f"model_content=flatbuffer{_threads(case.inference.threads)}"
    return [
        "interpreter = tf.lite.Interpreter(",
        f"    {content}, experimental_op_resolver_type=KERNELS[runtime]",
        ")",
    ]


def integer_inputs(case: Case) -> bool:
    """Whether inputs may be quantised in the flatbuffer: asked for, or a trace of training for quantisation."""
    trained = case.conversion.scheme in ("qat", *TFMOT) or any(
        "qat" in n.op or "quant" in n.op for n in case.model.nodes
    )
    return case.conversion.io != "float32" or trained


def feed(case: Case, listed: bool | None = None) -> list[str]:
    """Lines that set the inputs of `interpreter`: from `inputs` where they are `listed`, else from `x0`."""
    listed = listed if listed is not None else not alone(case)
    lines = ["for detail in interpreter.get_input_details():"]
    if len(case.model.inputs) == 1:
        value = "inputs[0]" if listed else "x0"
        if not integer_inputs(case):
            return [f'interpreter.set_tensor(interpreter.get_input_details()[0]["index"], {value})']
        lines.append(f"    value = {value}")
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
            "# Signatures name the outputs in the model's order; flatbuffers have their own.",
            "(signature,) = interpreter._get_full_signature_list().values()",
            'signature = signature["outputs"]',
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
        shape, lines = "shapes[number]", ['    number = int(re.findall(r"x(\\d+)", detail["name"])[-1])']
    return [
        *(layout.assign("shapes", repr(shapes)) if lines else []),
        "for detail in interpreter.get_input_details():",
        *lines,
        f'    interpreter.resize_tensor_input(detail["index"], {shape})',
        "interpreter.allocate_tensors()",
    ]


def invoke(case: Case) -> list[str]:
    """Lines that run every sample on `interpreter`, without reading results."""
    lines = [*_reset(case), *feed(case), "interpreter.invoke()"]
    return lines if alone(case) else ["for inputs in samples:", *(f"    {line}" for line in lines)]


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


def run(case: Case, litert: bool) -> list[str]:
    """The function `run`: the outputs of all samples in one list."""
    pad = "" if alone(case) else "    "
    body = [
        '"""The outputs under a runtime, in a list."""'
        if alone(case)
        else '"""The outputs under a runtime, of all samples in one list."""',
        *_made(case, litert),
        *allocate(case),
        *details(case),
        "outputs = []",
        *invoke(case),
        *(f"{pad}{line}" for line in read(case)),
        "return outputs",
    ]
    return ["", "", "def run(runtime):", *(f"    {line}" for line in body)]


def plain(case: Case) -> bool:
    """Whether there is one result to look at, of real numbers: one sample, one output that has elements."""
    types = case.model.output_types
    numbers = types[0].dtype not in ("string", "bool", "complex64") and types[0].elements > 0
    return alone(case) and len(types) == 1 and numbers


_REAL = """y = interpreter.get_tensor(detail["index"]).astype(np.float64)
scale, zero_point = detail["quantization"]
return (y - zero_point) * scale if scale else y"""


def run_once(case: Case, litert: bool, real: bool = False, output: int = 0) -> list[str]:
    """The function `run` of one sample: one output, in real numbers where integers stand for them."""
    several = len(case.model.outputs) > 1
    which, numbers = f"Output {output}" if several else "The output", ", in real numbers" if real else ""
    read = [_ONE]
    if several:
        read = [*details(case), f'return interpreter.get_tensor(details[{output}]["index"])']
    body = [
        f'"""{which} under a runtime{numbers}."""',
        *_made(case, litert),
        *allocate(case),
        *invoke(case),
        *(["detail = interpreter.get_output_details()[0]", *_REAL.splitlines()] if real else read),
    ]
    return ["", "", "def run(runtime):", *(f"    {line}" for line in body)]


_ONE = 'return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])'


# --- the runs and the answer ------------------------------------------------------------------------------

_ANSWER = """found = {}
for runtime in @runtimes@:
    try:
        found[runtime] = judge(runtime, run(runtime))
    except (RuntimeError, ValueError) as error:
        print(f"{runtime:12} fails: {error}")
@guilty@
print("The defect is there." if defect else "The defect is gone.")
sys.exit(1 if defect else 0)
"""


def answer(runtimes: Sequence[str], guilty: Sequence[str], limit: float | str) -> list[str]:
    """Runs and judges every runtime; the guilty ones decide the exit status, or if none of them ran an error."""
    # A step of a float output is no exact multiple of its scale.
    bar = limit if isinstance(limit, str) else f"{limit:g}" if limit != 1.0 else "1.001"
    named = ", ".join(layout.string(r) for r in guilty)
    shown = '[*KERNELS, "litert"]' if "litert" in runtimes else "KERNELS"
    if len(guilty) == 1:
        return fill(_ANSWER, runtimes=shown, guilty=f"defect = found[{named}] > {bar}")
    lines = [f"guilty = [{named}]", f"defect = max(found[r] for r in guilty if r in found) > {bar}"]
    if set(guilty) == set(runtimes):
        lines = [f"defect = max(found.values()) > {bar}"]
    return fill(_ANSWER, runtimes=shown, guilty="\n".join(lines))
