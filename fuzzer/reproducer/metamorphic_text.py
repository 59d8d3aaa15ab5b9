"""Metamorphic relations, as the Python text of a reproducer: one runtime, once as it is and once changed.

Every relation of `fuzzer.oracles.metamorphic` has its body of the function `changed` here; the short ones are templates
of ours, the second conversions are the text of the other case.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from fuzzer.case import Case
from fuzzer.oracles.confirm.metamorphic import FRESH
from fuzzer.oracles.metamorphic import SUSPICIOUS, relations
from fuzzer.oracles.verdict import Verdict
from fuzzer.reproducer import layout, road_text, run_text
from fuzzer.reproducer.fragment import recognition
from fuzzer.reproducer.model_text import ModelText, convert

_ALL = "return [invoke(interpreter, inputs) for inputs in samples]"
LITTER = """sizes = [*range(16, 1024, 16), *(2**n for n in range(10, 19))] * 24
for seed in range(32):
    # Other bytes in free memory: what nobody writes is not the same by luck.
    pieces = [np.full(size, (37 * seed + 90) % 256, np.uint8) for size in sizes]
    del pieces"""
"""What `fuzzer.oracles.confirm.parts.litter` does, eight times as often: whole models are steadier than operators."""
_CHANGED = {
    "second_invoke": """
        interpreter = start(flatbuffer)
        for inputs in samples:
            invoke(interpreter, inputs)
        return [invoke(interpreter, inputs) for inputs in reversed(samples)][::-1]
    """,
    "kept_inputs": """
        interpreter = start(flatbuffer)
        outputs = []
        for inputs in samples:
            invoke(interpreter, inputs)
            outputs.append(invoke(interpreter, None))  # what was fed is still there
        return outputs
    """,
    "reallocate": f"""
        interpreter = start(flatbuffer)
        invoke(interpreter, samples[0])
        for detail in interpreter.get_input_details():
            shape = [int(size) for size in detail["shape"]]
            if shape:
                interpreter.resize_tensor_input(detail["index"], [shape[0] + 1, *shape[1:]])
                interpreter.resize_tensor_input(detail["index"], shape)
        interpreter.allocate_tensors()
        interpreter.allocate_tensors()
        {_ALL}
    """,
    "resize_back": f"""
        interpreter = start(flatbuffer)
        invoke(interpreter, samples[0])
        before = interpreter.get_input_details()
        for detail in before:
            longer = [int(size) for size in detail["shape"]]
            unknown = [axis for axis, size in enumerate(detail["shape_signature"]) if size < 0]
            for axis in unknown[:1]:
                longer[axis] = 3 * longer[axis] + 1
            interpreter.resize_tensor_input(detail["index"], longer)
        interpreter.allocate_tensors()
        interpreter.invoke()
        for detail in before:
            interpreter.resize_tensor_input(detail["index"], detail["shape"])
        interpreter.allocate_tensors()
        {_ALL}
    """,
    "preserve_all": f"""
        interpreter = start(flatbuffer, experimental_preserve_all_tensors=True)
        {_ALL}
    """,
    "threads": """
        outputs = []
        for threads in (1, 2, 4):
            interpreter = start(flatbuffer, num_threads=threads)
            outputs += [invoke(interpreter, inputs) for inputs in samples]
        return outputs
    """,
    FRESH: f"""
        outputs = []
{indent(LITTER, " " * 8)}
            interpreter = start(flatbuffer)
            outputs += [invoke(interpreter, inputs) for inputs in samples]
        return outputs
    """,
    "round_trip": f"""
        def repacked(content):
            model = flatbuffer_utils.convert_bytearray_to_object(content)
            return bytes(flatbuffer_utils.convert_object_to_bytearray(model))

        once = repacked(flatbuffer)
        if repacked(once) != once:
            raise ValueError("unpacking and packing gives other bytes the second time")
        interpreter = start(once)
        {_ALL}
    """,
    "node_order": f"""
        model = flatbuffer_utils.convert_bytearray_to_object(flatbuffer)
        left, order = list(model.subgraphs[0].operators), []
        while left:
            # The last operator that reads nothing of the others that are left.
            reads = [set(map(int, operator.inputs)) for operator in left]
            makes = [set(map(int, operator.outputs)) for operator in left]
            free = [
                i
                for i in range(len(left))
                if not any(reads[i] & m for k, m in enumerate(makes) if k != i)
            ]
            order.append(left.pop(free[-1]))
        model.subgraphs[0].operators = order
        interpreter = start(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
        {_ALL}
    """,
    "batch_rows": """
        interpreter = start(flatbuffer)
        outputs = []
        for inputs in samples:
            moved = invoke(interpreter, [np.roll(x, 1, axis=0) for x in inputs])
            outputs.append([np.roll(y, -1, axis=0) for y in moved])
        return outputs
    """,
    "batch_split": """
        interpreter = start(flatbuffer)
        for detail in interpreter.get_input_details():
            shape = [int(size) for size in detail["shape"]]
            interpreter.resize_tensor_input(detail["index"], [1, *shape[1:]])
        interpreter.allocate_tensors()
        outputs = []
        for inputs in samples:
            count = len(inputs[0])
            rows = [[x[i : i + 1] for x in inputs] for i in range(count)]
            rows = [invoke(interpreter, row) for row in rows]
            outputs.append([np.concatenate(parts) for parts in zip(*rows)])
        return outputs
    """,
}


def relation_of(case: Case, verdict: Verdict) -> str:
    """The relation that a reproducer shows: the case's, or a simpler one that confirmation found to be enough."""
    told = str(verdict.evidence.get("relation", ""))
    return told if told in _CHANGED else case.inference.relation


def others(case: Case, verdict: Verdict) -> list[Case]:
    """The other case, where the relation is between two conversions."""
    relation = relations().get(relation_of(case, verdict))
    return [relation.other(case)] if relation is not None and relation.other is not None else []


def imports(case: Case, verdict: Verdict) -> list[str]:
    """What the relation imports beside TensorFlow and NumPy."""
    packed = relation_of(case, verdict) in ("round_trip", "node_order")
    return ["from tensorflow.lite.tools import flatbuffer_utils"] if packed else []


def functions(case: Case, verdict: Verdict, runtime: str) -> list[str]:
    """The functions `start`, `invoke` and `changed`."""
    return [*_start(case, runtime), *_invoke(case), *_changed(case, verdict)]


def judging(case: Case, verdict: Verdict) -> list[str]:
    """From the conversion to the exit status."""
    failed = "message" in verdict.evidence
    return [
        "",
        "",
        "flatbuffer = convert()",
        # Where fresh interpreters fail by luck, so might this one.
        *([] if failed and relation_of(case, verdict) == FRESH else _UNCHANGED),
        *(_raises(verdict) if failed else ["actual = changed(flatbuffer)", *_compared(case, verdict)]),
    ]


_UNCHANGED = (
    "interpreter = start(flatbuffer)",
    "expected = [invoke(interpreter, inputs) for inputs in samples]",
)

# --- the functions ----------------------------------------------------------------------------------------

_LITERT = "LiteRtInterpreter(model_content=flatbuffer, **options)"
_LITE = """tf.lite.Interpreter(
        model_content=flatbuffer,
        experimental_op_resolver_type=resolvers.@resolver@,
        **options,
    )"""


def _start(case: Case, runtime: str) -> list[str]:
    """An interpreter whose number of threads is the case's where the relation names none."""
    resolver = run_text.RESOLVERS.get(runtime, "") or "AUTO"
    made = _LITERT if runtime == "litert" else _LITE.replace("@resolver@", resolver)
    return [
        "",
        "",
        "def start(flatbuffer, **options):",
        '    """An interpreter with its tensors allocated."""',
        f'    options = {{"num_threads": {case.inference.threads}, **options}}',
        *([] if runtime == "litert" else ["    resolvers = tf.lite.experimental.OpResolverType"]),
        *f"    interpreter = {made}".splitlines(),
        *(f"    {line}" for line in run_text.allocate(case)),
        "    return interpreter",
    ]


def _invoke(case: Case) -> list[str]:
    """One sample; nothing is fed where there is none."""
    feed = run_text.feed(case, listed=True)
    feeding = ["if inputs is not None:", *(f"    {line}" for line in feed)]
    unfed = case.inference.relation == "kept_inputs"
    return [
        "",
        "",
        "def invoke(interpreter, inputs):",
        '    """The outputs for one sample."""',
        *(f"    {line}" for line in _once(case, feeding if unfed else feed)),
        "    return outputs",
    ]


def _once(case: Case, feeding: Sequence[str]) -> list[str]:
    return [
        "interpreter.reset_all_variables()",
        *feeding,
        "interpreter.invoke()",
        *run_text.details(case),
        "outputs = []",
        *run_text.read(case),
    ]


def _changed(case: Case, verdict: Verdict) -> list[str]:
    head = ["", "", "def changed(flatbuffer):"]
    for other in others(case, verdict):
        body = _other_conversion(other, len(case.model.outputs))
        return [*head, '    """The outputs of another conversion of the same model."""', *_indented(body)]
    lines = _CHANGED[relation_of(case, verdict)].strip("\n").rstrip().splitlines()
    depth = len(lines[0]) - len(lines[0].lstrip())
    return [*head, '    """The same outputs, obtained otherwise."""', *_indented([line[depth:] for line in lines])]


def _other_conversion(case: Case, outputs: int) -> list[str]:
    """The whole text of the other conversion, inside the function: it has its own `model`, never layers of Keras."""
    once = _once(case, run_text.feed(case, listed=True))
    model = ModelText(case, traced=road_text.decorated(case, False))
    text = [*model.function(), *convert(case, False)]
    return [
        # Inside a function one blank line is enough.
        *(line for i, line in enumerate(text) if line or (i and text[i - 1])),
        "",
        "interpreter = start(convert())",
        "found = []",
        "for inputs in samples:",
        *_indented(once),
        f"    found.append(outputs[:{outputs}])",
        "return found",
    ]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" if line.strip() else "" for line in lines]


# --- the answer -------------------------------------------------------------------------------------------

_SAME = """
count = 0
for s, outputs in enumerate(actual):
    for o, (y, v) in enumerate(zip(outputs, expected[s % len(samples)])):
        if y.shape != v.shape:
            print(f"run {s}, output {o}: expected shape {v.shape}, actual {y.shape}")
            count += 1
            continue
        for at in np.argwhere(@unlike@):
            at = tuple(map(int, at))
            if count < 5:
                print(f"run {s}, output {o} at {at}: expected {v[at]}, actual {y[at]}")
            count += 1
print("expected: the same bits")
print("actual:  ", count, "elements differ")
defect = count > 0
"""
_CLOSE = """
worst = 0.0
for s, outputs in enumerate(actual):
    for o, (y, v) in enumerate(zip(outputs, expected[s % len(samples)])):
        if y.shape != v.shape:
            print(f"run {s}, output {o}: expected shape {v.shape}, actual {y.shape}")
            worst = np.inf
            continue
        if y.size:
@numbers@            same = (y == v) | ((y != y) & (v != v))
            apart = np.where(same, 0, np.nan_to_num(np.abs(y - v), nan=np.inf))
            size = np.abs(np.where(np.isfinite(v), v, 0))
            channel = size.max(axis=tuple(range(v.ndim - 1)), keepdims=True)
            size = np.maximum(channel, size.max() * 1e-6)
            apart = apart / np.maximum(size, 1e-30)
            at = tuple(map(int, np.unravel_index(np.argmax(apart), apart.shape)))
            if apart[at] > worst:
                worst = float(apart[at])
                print(f"run {s}, output {o} at {at}: expected {v[at]}, actual {y[at]}")
print("expected: a difference of at most @limit@ of the channel's largest value")
print("actual:  ", worst)
defect = worst > @limit@
"""
_EXIT = """print("The defect is there." if defect else "The defect is gone.")
sys.exit(1 if defect else 0)"""


def _compared(case: Case, verdict: Verdict) -> list[str]:
    """The comparison: bit by bit, or within what the campaign takes for rounding."""
    close = verdict.unit == "x bound"
    if close:
        wide = "y, v = y.astype(np.complex128), v.astype(np.complex128)"
        if not any(t.dtype == "complex64" for t in case.model.output_types):
            wide = "y, v = y.astype(np.float64), v.astype(np.float64)"
        if any(t.dtype == "string" for t in case.model.output_types):
            wide = "y, v = (y == v).astype(np.float64), np.ones(v.shape)"
        text = _CLOSE.replace("@numbers@", f"            {wide}\n").replace("@limit@", f"{SUSPICIOUS:g}")
    else:
        text = _SAME.replace("@unlike@", unlike(case))
    return [*text.strip("\n").splitlines(), *_EXIT.splitlines()]


def unlike(case: Case) -> str:
    """What tells elements of `y` from those of `v`, as an expression: NaN is NaN."""
    strings = any(t.dtype == "string" for t in case.model.output_types)
    return "y != v" if strings else "(y != v) & ((y == y) | (v == v))"


def _raises(verdict: Verdict) -> list[str]:
    known, test = recognition(str(verdict.evidence["message"]))
    return [
        *layout.assign("DEFECT", layout.string(known)),
        "try:",
        "    changed(flatbuffer)",
        "except (RuntimeError, ValueError, NotImplementedError) as error:",
        '    message = f"{type(error).__name__}: {error}"',
        '    print("expected: no error")',
        '    print("actual:  ", message)',
        f"    if {test.replace('@known@', 'DEFECT')}:",
        '        print("The defect is there.")',
        "        sys.exit(1)",
        '    print("Another error than the one this script is about.")',
        "    sys.exit(2)",
        'print("No error: the defect is gone.")',
    ]
