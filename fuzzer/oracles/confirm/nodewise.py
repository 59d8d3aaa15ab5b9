"""Node by node: each operator of the flatbuffer alone, fed the same tensors, under two runtimes.

End to end, one step of rounding may grow through later layers; node by node it cannot, so what differs by more
than its bound here is a kernel's defect, and the node is its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.convert.flatbuffer import Flat, FlatOp
from fuzzer.execute.record import CaseRun, slot_of
from fuzzer.execute.runtimes import MAKERS, feed, output, resize
from fuzzer.oracles import ranges
from fuzzer.oracles.confirm import Confirmation
from fuzzer.oracles.confirm.arbiter import right_integers
from fuzzer.oracles.divergence import REFERENCE_RUNTIME, real_pair
from fuzzer.oracles.messages import operator_of
from fuzzer.oracles.verdict import Kind, Verdict

MAX_STEPS = 1.0
"""Two correct roundings of one real number differ by at most one quantisation step (TFLite 8-bit quantisation
specification, rounding of the requantisation is left to the kernel)."""
MAX_STEPS_16 = 2.0
"""16-bit tables interpolate; reference and optimised kernels round the interpolation separately."""
FLOAT_FACTOR = 16.0
FLOAT_UNIT = 2.0**-23
PERTURBATIONS = 4
BASES = (REFERENCE_RUNTIME, "tf-builtin")
"""What kernels are compared with: reference ones, or the optimised ones of ops that have no other (ELU in 2.21)."""
_UNJUDGED = frozenset(
    {
        *("WHILE", "IF", "CALL", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"),
        *("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE"),
        *("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "SVDF"),
        *("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL", "STABLEHLO_RNG_BIT_GENERATOR"),
    }
)
"""State, sub-graphs and chance: the operator alone is not what runs in the model."""
_ALONE = frozenset(
    {
        *("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG"),
        *("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "ROUND", "RSQRT", "SIGN", "SIN", "SQRT", "SQUARE", "TANH"),
    }
)
"""Functions of one number: nothing is summed, so a pole is a pole in any order and huge operands are plain ones."""
_PRODUCTS = frozenset({"BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "TRANSPOSE_CONV"})
"""Operators that multiply their first two quantised operands, so that the scales of these multiply too."""
_SUMMING = frozenset({"SOFTMAX", "LOG_SOFTMAX", "SUM", "MEAN", "CUMSUM", "L2_NORMALIZATION", "AVERAGE_POOL_2D"})
"""Operators whose reference kernels add one term after the other to one float."""


Rerun = Callable[[Callable[[Array], Array]], "list[Array] | None"]
"""Runs an operator again on operands that a function has moved."""


@dataclass(frozen=True)
class NodeDivergence:
    """One operator under `runtime` against the base, in bounds (`ratio` above 1 is a defect)."""

    position: int
    op: FlatOp
    runtime: str
    ratio: float
    apart: float
    unit: str
    index: tuple[int, ...]
    expected: float
    actual: float
    specials: int
    sample: int = 0
    shape: tuple[int, ...] = ()


def confirm(record: CaseRun, suspicion: Verdict) -> Confirmation:
    """A suspicion between kernels: confirmed by the first node on which two kernels differ beyond its bound."""
    special = suspicion.kind is Kind.NAN_PROPAGATION
    found = first_dispute(record, special)
    if found is None:
        return Confirmation(None, "no node alone differs beyond its bound: rounding grew through later layers")
    flat = record.flat
    assert flat is not None
    worst = max(found, key=lambda d: (d.specials if special else 0, d.ratio))
    message = defect(record, worst, found, special)
    evidence = {
        **suspicion.evidence,
        "node": worst.position,
        "dtype": flat.tensors[worst.op.outputs[0]].dtype.lower(),
        "index": list(worst.index),
        "expected": worst.expected,
        "actual": worst.actual,
        "base": REFERENCE_RUNTIME,
        "runtimes": [d.runtime for d in found],
    }
    return Confirmation(
        replace(
            suspicion,
            message=message,
            runtime=worst.runtime,
            severity=float(worst.specials) if special else float(f"{worst.apart:.4g}"),
            unit="elements" if special else worst.unit,
            blame=worst.op.name,
            evidence=evidence,
        ),
        "one node alone differs",
    )


def failing_node(record: CaseRun, verdict: Verdict) -> str:
    """The first operator that alone fails to allocate or run under the verdict's runtime; empty when none does."""
    said = operator_of(str(verdict.evidence.get("message", "")))
    if record.flat is None or verdict.kind not in (Kind.ALLOCATE_ERROR, Kind.INVOKE_ERROR) or not record.samples:
        return ""
    if not said:
        return ""  # the file as a whole is at fault: the interpreter names a node otherwise
    tensors = intermediates(record, 0)
    for position, op in enumerate(record.flat.ops):
        meant = op.name == said or said not in {o.name for o in record.flat.ops}  # a delegate names itself
        if meant and op.name not in _UNJUDGED and probe(record, position, verdict.runtime, tensors):
            return f"{op.name} ({kernel_kind(record.flat, op)})"
    return ""


def probe(record: CaseRun, position: int, runtime: str, tensors: dict[int, Array]) -> str:
    """Runs one operator alone; what the runtime raises, or an empty string."""
    try:
        interpreter = MAKERS[runtime](isolate(record.content, position), 1)
        _allocate(interpreter, tensors)
        for detail in interpreter.get_input_details():
            if int(detail["index"]) in tensors:
                interpreter.set_tensor(int(detail["index"]), tensors[int(detail["index"])])
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def probe_for(record: CaseRun, position: int, runtime: str) -> dict[str, Any]:
    """Runs one operator alone, for an owner who expects a death: its name, or none when there is no such operator."""
    flat = record.flat
    if flat is None or position >= len(flat.ops):
        return {"op": ""}
    op = flat.ops[position]
    if op.name not in _UNJUDGED:
        probe(record, position, runtime, intermediates(record, 0) if record.samples else {})
    return {"op": f"{op.name} ({kernel_kind(flat, op)})"}


def defect(record: CaseRun, worst: NodeDivergence, found: list[NodeDivergence], special: bool) -> str:
    """Whose kernel of what is wrong: the same words whichever way it was confirmed, so that titles agree."""
    assert record.flat is not None
    what = "NaN or Inf where the others have none" if special else "wrong values"
    whose = ("" if special else _arbitrated(record, worst, found)) or outlier(record, found)
    return f"{whose} {worst.op.name} ({kernel_kind(record.flat, worst.op)}): {what}"


def first_dispute(record: CaseRun, special: bool = False) -> list[NodeDivergence] | None:
    """All runtimes' divergences from reference kernels at the first node where one leaves its bound."""
    runtimes = [r for r, run in record.runs.items() if run.complete and r != REFERENCE_RUNTIME]
    by_position: dict[int, list[NodeDivergence]] = {}
    for runtime in runtimes:
        for found in divergent_nodes(record, runtime, special):
            if (found.specials > 0) if special else (found.ratio > 1):
                by_position.setdefault(found.position, []).append(found)
                break
    return by_position[min(by_position)] if by_position else None


def outlier(record: CaseRun, found: list[NodeDivergence]) -> str:
    """Whose kernel stands alone. `found` are the runtimes that differ from the reference kernels.

    When all of them do and agree among themselves, the reference kernels are the odd one out; when they do not even
    agree, nobody's result can be trusted (memory that was never written looks like this).
    """
    guilty = {d.runtime for d in found}
    others = {r for r, run in record.runs.items() if run.complete and r != REFERENCE_RUNTIME}
    if guilty == others and len({_kernel(r) for r in guilty}) > 1:
        return "reference" if _agree(found) else "every kernel of"
    if guilty == {"tf-xnnpack", "litert"}:
        return "XNNPACK"
    if guilty == {"tf-xnnpack", "tf-builtin"}:
        return "tf.lite"  # where XNNPACK leaves an op alone, both run the optimised kernel of one release
    if len(guilty) == 1 and "tf-builtin" not in guilty and not {"tf-xnnpack", "litert"} <= set(record.runs):
        return _kernel(*guilty)
    return "+".join(sorted(_kernel(r) if r == "tf-builtin" else r for r in guilty))


def _arbitrated(record: CaseRun, worst: NodeDivergence, found: list[NodeDivergence]) -> str:
    """Whose integer kernel is wrong by real arithmetic; empty where that does not tell.

    A majority is no proof: where XNNPACK leaves an operator alone, three runtimes share one optimised kernel.
    """
    assert record.flat is not None
    if worst.unit != "steps" or {d.runtime for d in found} != {
        r for r, run in record.runs.items() if run.complete and r != REFERENCE_RUNTIME
    }:
        return ""
    made = [d for d in found if d.position == worst.position and d.index == worst.index and _agree([worst, d])]
    if len(made) != len(found):
        return ""
    right = right_integers(record.content, worst.position, intermediates(record, worst.sample))
    if right is None or right.shape != worst.shape:
        return ""
    true = float(right[worst.index])
    reference, others = abs(worst.expected - true), abs(worst.actual - true)
    if abs(reference - others) <= MAX_STEPS_16:
        return ""
    if reference > others:
        return "reference"
    return "optimised" if "tf-builtin" in {d.runtime for d in found} else ""


def _agree(found: list[NodeDivergence]) -> bool:
    """Whether runtimes that differ from the base differ in the same way: same place, same value."""
    first = found[0]
    step = 1.0 if first.unit == "steps" else 1e-3 * abs(first.actual)
    return all(d.index == first.index and abs(d.actual - first.actual) <= step for d in found)


def _kernel(runtime: str) -> str:
    return {"tf-xnnpack": "XNNPACK", "litert": "XNNPACK", "tf-builtin": "optimised"}.get(runtime, runtime)


def kernel_kind(flat: Flat, op: FlatOp) -> str:
    """Which kernel an operator uses: `float32`, `int8`, `int16`, or `hybrid` (float activations, integer weights).

    Its first operand that is no constant tells: a transposed convolution begins with the size of its result.
    """
    inputs = [flat.tensors[i] for i in op.inputs if i >= 0]
    data = next((t for t in inputs if not t.constant), inputs[0] if inputs else None)
    if data is None:
        return "?"
    integers = any(t.dtype in ("INT8", "UINT8", "INT4") and t.constant for t in inputs)
    return "hybrid" if data.dtype == "FLOAT32" and integers and not data.constant else data.dtype.lower()


def divergent_nodes(record: CaseRun, runtime: str, special: bool = False) -> Iterator[NodeDivergence]:
    """Every operator's divergence under `runtime`, worst sample each, in execution order.

    What is worst depends on what is looked for: NaN and infinity (`special`), or numbers.
    """
    flat = record.flat
    if flat is None or runtime == REFERENCE_RUNTIME:
        return
    recorded = [intermediates(record, sample) for sample in range(len(record.samples))]
    if not all(recorded):
        return
    for position, op in enumerate(flat.ops):
        if op.name in _UNJUDGED or not op.outputs:
            continue
        content = isolate(record.content, position)
        found = [_compare(flat, position, op, runtime, content, tensors, special) for tensors in recorded]
        made = [replace(f, sample=sample) for sample, f in enumerate(found) if f is not None]
        if made:
            yield max(made, key=lambda f: f.specials if special else f.ratio)


def intermediates(record: CaseRun, sample: int) -> dict[int, Array]:
    """Every tensor of the main graph under the first base that can run it; empty when none can."""
    for base in BASES:
        found = _recorded(record, sample, base)
        if found:
            return found
    return {}


def _recorded(record: CaseRun, sample: int, base: str) -> dict[int, Array]:
    assert record.flat is not None
    try:
        interpreter = MAKERS[base](record.content, 1, experimental_preserve_all_tensors=True)
        if record.case.conversion.resized:
            resize(interpreter, record.samples[sample])
        interpreter.allocate_tensors()
        slots = [slot_of(d) for d in interpreter.get_input_details()]
        for index, value in feed(slots, record.samples[sample]):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        used = {i for op in record.flat.ops for i in (*op.inputs, *op.outputs) if i >= 0}
        return {i: interpreter.get_tensor(i) for i in used if not _missing(interpreter, i)}
    except (RuntimeError, ValueError):
        return {}


def _missing(interpreter: Any, index: int) -> bool:
    try:
        interpreter.get_tensor(index)
    except ValueError:
        return True
    return False


def isolate(content: bytes, position: int) -> bytes:
    """A flatbuffer with one operator of the main graph: its non-constant operands in, its results out."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    _inside(model, content)
    graph = model.subgraphs[0]
    op = graph.operators[position]
    graph.operators = [op]
    feeds = [i for i in op.inputs if i >= 0 and not _has_data(model, graph.tensors[i])]
    graph.inputs = list(dict.fromkeys(int(i) for i in feeds))
    graph.outputs = [int(i) for i in op.outputs]
    model.signatureDefs = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _allocate(interpreter: Any, tensors: dict[int, Array]) -> None:
    """Allocates; inputs whose shape the flatbuffer does not know get that of the tensor they will hold."""
    for detail in interpreter.get_input_details():
        value = tensors.get(int(detail["index"]))
        if value is not None and -1 in detail["shape_signature"] and tuple(detail["shape"]) != value.shape:
            interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()


def nudged_constants(content: bytes, seed: int) -> bytes:
    """The flatbuffer with every float32 constant moved by up to one rounding."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    _inside(model, content)
    random = np.random.RandomState(seed)
    floats = {t.buffer for g in model.subgraphs for t in g.tensors if t.type == schema.TensorType.FLOAT32}
    for index in sorted(floats):
        data = model.buffers[index].data
        if data is not None and len(data) and len(data) % 4 == 0:
            moved = _nudged(np.frombuffer(bytes(bytearray(data)), np.float32), random)
            model.buffers[index].data = np.frombuffer(moved.tobytes(), np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def outputs_of(record: CaseRun, runtime: str, sample: list[Array], content: bytes) -> list[Array]:
    """What a runtime makes of a flatbuffer whose inputs and outputs are the record's; empty when it does not run."""
    run = record.runs[runtime]
    try:
        interpreter = MAKERS[runtime](content, 1)
        if record.case.conversion.resized:
            resize(interpreter, sample)
        interpreter.allocate_tensors()
        for index, value in feed(run.inputs, sample):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return [output(interpreter, slot) for slot in run.outputs]
    except (RuntimeError, ValueError):
        return []


def _inside(model: Any, content: bytes) -> None:
    """Moves buffers that lie behind the flatbuffer (`use_buffer_offset`) into it."""
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0


def _has_data(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _invoke(maker: str, content: bytes, tensors: dict[int, Array], moved: Any = None) -> list[Array] | None:
    try:
        interpreter = MAKERS[maker](content, 1)
        _allocate(interpreter, tensors)
        for detail in interpreter.get_input_details():
            value = tensors[int(detail["index"])]
            interpreter.set_tensor(int(detail["index"]), moved(value) if moved else value)
        interpreter.invoke()
        return [output(interpreter, slot_of(d)) for d in interpreter.get_output_details()]
    except (RuntimeError, ValueError, KeyError):
        return None


def _compare(
    flat: Flat, position: int, op: FlatOp, runtime: str, content: bytes, tensors: dict[int, Array], special: bool
) -> NodeDivergence | None:
    if not _meaningful(flat, op, tensors):
        return None
    base = next((b for b in BASES if b != runtime and _invoke(b, content, tensors)), REFERENCE_RUNTIME)
    expected = _invoke(base, content, tensors)
    actual = _invoke(runtime, content, tensors)
    if not expected or not actual:
        return None
    flushed = _flushed(op, base, content, tensors)
    worst: NodeDivergence | None = None
    for o, (want, got) in enumerate(zip(expected, actual, strict=True)):
        if want.shape != got.shape or want.size == 0 or _undefined(op, want, tensors):
            continue
        right, left = real_pair(got, want)
        apart, odd = _apart(op, right, left, want.dtype.name)
        if flushed and flushed[o].shape == want.shape:
            # Either is right where denormals go in: with them, or with zeros.
            by_zero = _apart(op, *real_pair(got, flushed[o]), want.dtype.name)
            apart, odd = np.minimum(apart, by_zero[0]), odd & by_zero[1]
        bound, unit = _bound(flat, op, o, want, lambda moved: _invoke(base, content, tensors, moved), tensors)
        ratio = apart / np.maximum(bound, 1e-30)
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(odd if special else ratio)), want.shape))
        found = NodeDivergence(
            position,
            op,
            runtime,
            float(ratio[at]),
            float(apart[at]),
            unit,
            at,
            float(left[at]),
            float(right[at]),
            int(odd.sum()),
            shape=want.shape,
        )
        if worst is None or (found.specials > worst.specials if special else found.ratio > worst.ratio):
            worst = found
    return worst


MAX_RESCALE = 2.0**31
"""Kernels multiply by a 32-bit fixed-point number; beyond it each saturates in its own way (`QuantizeMultiplier`)."""


def _rescales(flat: Flat, op: FlatOp) -> bool:
    """Whether the scales of an operator are numbers that fixed-point arithmetic can express."""
    given = [flat.tensors[i].scales for i in op.inputs if i >= 0 and flat.tensors[i].scales]
    made = [s for i in op.outputs for s in flat.tensors[i].scales]
    if any(s < ranges.TINY for s in (*made, *(s for scales in given for s in scales))):
        return False
    largest = [max(scales) for scales in given]
    factor = math.prod(largest[:2]) if op.name in _PRODUCTS else max(largest, default=0.0)
    return not made or factor / min(made) < MAX_RESCALE


def _meaningful(flat: Flat, op: FlatOp, tensors: dict[int, Array]) -> bool:
    """Whether an operator's result is promised for these operands: see `ranges`."""
    if not _rescales(flat, op):
        return False
    for i in op.inputs:
        if i < 0 or i not in tensors:
            continue
        if not all(np.isfinite(s) and s < ranges.limit("float32") for s in flat.tensors[i].scales):
            return False  # the quantiser's own infinity
        value = tensors[i]
        if value.dtype.kind != "f":
            continue
        if not ranges.finite(value):
            return False
        largest = float(np.abs(value).max(initial=0.0))
        if op.name not in _ALONE and largest > ranges.limit(value.dtype.name):
            return False
    return True


def _apart(
    op: FlatOp, actual: NDArray[np.float64], expected: NDArray[np.float64], dtype: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How far finite elements are apart, and where one side is not finite and should be.

    Results near overflow are left out: a sum may overflow in one order and not in another, and an exponential in one
    approximation and not in another.
    """
    safe = np.inf if dtype not in ranges.LARGEST else ranges.limit(dtype)
    with np.errstate(invalid="ignore"):
        left, right = np.abs(expected) <= safe, np.abs(actual) <= safe
    apart = np.where(left & right, np.abs(np.where(left, expected, 0.0) - np.where(right, actual, 0.0)), 0.0)
    special = (left & ~np.isfinite(actual)) | (right & ~np.isfinite(expected))
    if op.name in _ALONE:
        special |= np.isnan(expected) != np.isnan(actual)
    return apart, special


def _flushed(op: FlatOp, base: str, content: bytes, tensors: dict[int, Array]) -> list[Array] | None:
    """The base's results on operands without denormals; None where there are none to begin with."""
    given = [tensors[i] for i in op.inputs if i in tensors and tensors[i].dtype.kind == "f"]
    if all(np.array_equal(ranges.flushed(value), value) for value in given):
        return None
    return _invoke(base, content, tensors, ranges.flushed)


def _undefined(op: FlatOp, want: Array, tensors: dict[int, Array]) -> bool:
    """Whether the result has no meaning: NaN, infinity or what is beyond the type as an integer (C++20, 7.3.10)."""
    if op.name != "CAST" or want.dtype.kind not in "iu":
        return False
    given = tensors[op.inputs[0]]
    return given.dtype.kind == "f" and not ranges.fits(given, str(want.dtype))


def _bound(
    flat: Flat, op: FlatOp, output: int, want: Array, rerun: Rerun, tensors: dict[int, Array]
) -> tuple[NDArray[np.float64], str]:
    """How far two sound kernels may be apart, per element, and the unit of that."""
    if want.dtype.kind in "bOSU" or (want.dtype.kind in "iu" and not flat.tensors[op.outputs[output]].scales):
        # The same operands: a comparison, or what only moves or counts elements, has one right result.
        return np.full(want.shape, 0.5), "elements"
    if want.dtype.kind in "iu":
        limit = MAX_STEPS_16 if want.dtype == np.int16 else MAX_STEPS
        return np.full(want.shape, limit), "steps"
    sizes = np.nan_to_num(np.abs(want if want.dtype.kind == "c" else want.astype(np.float64)))
    largest = max(float(sizes.max(initial=0.0)), _range(flat, op))
    # Recursive summation of n numbers is off by up to n - 1 roundings of the sum of their magnitudes (Higham, 4.2).
    slack = largest * max(8.0, terms(flat, op)) * FLOAT_UNIT
    if kernel_kind(flat, op) == "hybrid":
        return np.full(want.shape, _hybrid_bound(flat, op, tensors) + slack), "absolute"
    motion = np.zeros(want.shape)
    for seed in range(PERTURBATIONS):
        random = np.random.RandomState(seed)
        moved = rerun(partial(_nudged, random=random))
        if moved and moved[output].shape == want.shape:
            after, before = real_pair(moved[output], want)
            motion = np.maximum(motion, np.abs(after - before))
    return FLOAT_FACTOR * np.nan_to_num(np.maximum(motion, motion.mean()), nan=0.0) + slack, "absolute"


def terms(flat: Flat, op: FlatOp) -> float:
    """How many numbers an operator adds up one after the other; 1 where it adds none that way."""
    if op.name not in _SUMMING or not op.inputs or op.inputs[0] < 0:
        return 1.0
    shape, made = flat.tensors[op.inputs[0]].shape, flat.tensors[op.outputs[0]].shape
    size, left = float(np.prod([abs(n) for n in shape])), float(np.prod([abs(n) for n in made]))
    return max(float(abs(shape[-1])) if shape else 1.0, size / max(left, 1.0))


def _range(flat: Flat, op: FlatOp) -> float:
    """The largest real number a quantised operand can hold: scale * (q - zero point) may be summed in parts."""
    scales = [flat.tensors[i].scale for i in op.inputs if i >= 0 and not flat.tensors[i].constant]
    return 255.0 * max(scales, default=0.0)


def _nudged(value: Array, random: np.random.RandomState) -> Array:
    if value.dtype.kind != "f":
        return value
    factor = 1.0 + 4 * FLOAT_UNIT * random.uniform(-1.0, 1.0, value.shape)
    moved: Array = (value.astype(np.float64) * factor).astype(value.dtype)
    return moved


def _hybrid_bound(flat: Flat, op: FlatOp, tensors: dict[int, Array]) -> float:
    """Largest difference of two kernels that each quantise the activations to 8 bits in their own way.

    Each is off by at most half a step (largest magnitude / 127) an activation, so the products differ by at most
    one step times the L1 norm of an output channel's weights.
    """
    given = next(i for i in op.inputs if i >= 0 and not flat.tensors[i].constant)
    activation = tensors[given].astype(np.float64)
    step = float(np.abs(np.nan_to_num(activation)).max(initial=0.0)) / 127
    largest = 0.0
    for i in op.inputs:
        if i >= 0 and i in tensors and tensors[i].dtype in (np.int8, np.uint8) and flat.tensors[i].constant:
            weights = np.abs(tensors[i].astype(np.float64)) * max(flat.tensors[i].scales, default=1.0)
            axes = tuple(range(weights.ndim - 1)) if op.name == "DEPTHWISE_CONV_2D" else tuple(range(1, weights.ndim))
            largest = max(largest, float(weights.sum(axis=axes).max(initial=0.0)))
    return step * largest
