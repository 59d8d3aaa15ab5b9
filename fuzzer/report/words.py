"""What each kind of finding is, what was to be expected, and why a maintainer would call it a defect."""

from __future__ import annotations

from fuzzer.oracles.verdict import MODELS_CONSTANT, SPECIAL_OPERANDS, Kind, Verdict

WHAT = {
    Kind.CRASH: "The process is killed by a signal on a valid model.",
    Kind.HANG: "The call does not return on a valid model.",
    Kind.OUT_OF_MEMORY: "The call takes memory without bound on a valid model.",
    Kind.CONVERTER_ERROR: "The converter fails on a valid model, and not by saying that something is unsupported.",
    Kind.ALLOCATE_ERROR: "The interpreter refuses a flatbuffer that the converter has just made.",
    Kind.INVOKE_ERROR: "The interpreter fails while it runs a flatbuffer that the converter has just made.",
    Kind.OUTPUT_COUNT: "The flatbuffer has another number of outputs than the model.",
    Kind.SHAPE: "An output has another shape than in TensorFlow.",
    Kind.DTYPE: "An output has another dtype than asked for.",
    Kind.VALUE: "The numbers are wrong by more than any order of rounding explains.",
    Kind.NAN_PROPAGATION: "NaN or infinity appears where the exact result is finite.",
    Kind.CALIBRATION: "The quantiser chose scales that do not fit the data it was calibrated on.",
    Kind.METAMORPHIC: "A change that must not change the result does.",
}
_PROPAGATION = (
    "NaN, infinity or a negative zero goes in, and the result is otherwise than TensorFlow's. What TensorFlow gives is "
    "the same for rows of all lengths, at every place of them, eagerly and in a graph."
)
_RUNS = "The model is converted and run, or a Python exception says what about it is not supported."
EXPECTED = {
    Kind.CRASH: _RUNS,
    Kind.HANG: _RUNS,
    Kind.OUT_OF_MEMORY: _RUNS,
    Kind.CONVERTER_ERROR: "A flatbuffer, or an error that says which operator, type or option is not supported.",
    Kind.ALLOCATE_ERROR: "A flatbuffer that the converter of the same release accepts to write can be loaded.",
    Kind.INVOKE_ERROR: "A flatbuffer that could be loaded runs on inputs of the shapes and types it declares.",
    Kind.OUTPUT_COUNT: "As many outputs as the model returns, in the order of its signature.",
    Kind.SHAPE: "The shape that TensorFlow gives, declared and returned alike.",
    Kind.DTYPE: "The dtype that the conversion was asked for.",
    Kind.VALUE: "TensorFlow's values, within what rounding or quantisation explains.",
    Kind.NAN_PROPAGATION: "A finite number.",
    Kind.CALIBRATION: "A positive, finite scale that holds the range that was seen in calibration.",
    Kind.METAMORPHIC: "The same result with and without the change.",
}
_PROPAGATED = "What TensorFlow gives for the same operands."
_DEATH = (
    "The model is valid: TensorFlow runs it, eagerly and as a function, and its graph keeps to the documented rules of "
    "each operator. A process that is taken down gives its caller neither an exception nor a chance to save anything; "
    "with a model from elsewhere it is a denial of service."
)
_ROUNDING = (
    "Expected values are those of the same graph in float64. The bound of an element is the larger of the error that "
    "float32 TensorFlow itself makes nearby and of how far the result moves when every input, weight and intermediate "
    "moves by one rounding. Sound kernels stay below 2.5 bounds; this is above 8."
)
_STEPS = (
    "An integer kernel is held against real arithmetic on the numbers that its operands stand for, on the grid of its "
    "own result: half a step for the format and the rest for ties and fixed-point multipliers. Sound "
    "kernels keep to it."
)
_CONSTANT = (
    "What the flatbuffer stores, times its scale, has to be the model's constant up to half a step of the format; "
    "this is steps away from it, so no kernel can compute the model."
)
_UNSTEADY = "Fresh interpreters give different values for the same model and the same inputs."
_STEADY = "The same bits from every fresh interpreter, whatever was in memory before."
_UNWRITTEN = (
    "The same interpreter gives the same result for the same operands. This operator, alone and on equal operands, "
    "does not: it reads memory that nobody wrote, or beyond its operands."
)
_CONVERTED = (
    "The flatbuffer, run with its own scales and zero points, is held against the model in float64. The bound holds "
    "rounding, and what every constant moved by half of its quantisation step does to the result; sound conversions "
    "stay well below it."
)
WHY = {
    Kind.CRASH: _DEATH,
    Kind.HANG: _DEATH,
    Kind.OUT_OF_MEMORY: _DEATH,
    Kind.CONVERTER_ERROR: (
        "The model is valid and TensorFlow runs it. The message tells of an invariant that broke inside of the "
        "converter; it does not say that an operator, a type or an option is unsupported."
    ),
    Kind.ALLOCATE_ERROR: (
        "Converter and interpreter are of one release and disagree about what a flatbuffer may hold. The user learns "
        "of it on the device, after a conversion that reported success."
    ),
    Kind.INVOKE_ERROR: (
        "Converter and interpreter are of one release, and the interpreter had accepted the model. The user learns of "
        "it on the device, after a conversion that reported success."
    ),
    Kind.OUTPUT_COUNT: "A caller that reads the outputs of the model by its signature reads the wrong ones, or fails.",
    Kind.SHAPE: "A caller that sizes its buffers by the declared shape reads too much or too little.",
    Kind.DTYPE: "A caller reads the bytes of an output as another type, silently.",
    Kind.VALUE: _ROUNDING,
    Kind.NAN_PROPAGATION: (
        "The operands are finite and the exact result is finite and far from overflow, so no order of evaluation that "
        "is numerically sound gives NaN or infinity."
    ),
    Kind.CALIBRATION: (
        "Calibration data are finite and in the range of the model's inputs. With such a scale every result of the "
        "tensor is zero, saturated or NaN, whatever goes in."
    ),
    Kind.METAMORPHIC: "The same flatbuffer and the same inputs give different results: at least one of them is wrong.",
}
_PROPAGATED_WHY = (
    "The converted model gives a number where TensorFlow gives NaN or infinity, or the other way round: a check for "
    "bad data that works before conversion no longer works after it."
)


def what(verdict: Verdict) -> str:
    """What happens, in a sentence or two."""
    if verdict.unsteady:
        return _UNSTEADY
    return _PROPAGATION if verdict.evidence.get(SPECIAL_OPERANDS) else WHAT[verdict.kind]


def expected(verdict: Verdict) -> str:
    """What was to be expected."""
    if verdict.unsteady:
        return _STEADY
    return _PROPAGATED if verdict.evidence.get(SPECIAL_OPERANDS) else EXPECTED[verdict.kind]


def why(verdict: Verdict) -> str:
    """Why it is a defect."""
    if verdict.unwritten:
        return _UNWRITTEN
    if verdict.evidence.get(SPECIAL_OPERANDS):
        return _PROPAGATED_WHY
    if verdict.kind is Kind.VALUE and verdict.evidence.get("base") == MODELS_CONSTANT:
        return _CONSTANT
    if verdict.kind is Kind.VALUE and verdict.evidence.get("base") == "real arithmetic":
        return _STEPS
    if verdict.kind is Kind.VALUE and verdict.blame == "converter" and "noise" in verdict.evidence:
        return _CONVERTED
    return WHY[verdict.kind]
