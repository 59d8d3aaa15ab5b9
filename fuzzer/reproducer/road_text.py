"""The road into the converter and its options, as the Python text of a reproducer."""

from __future__ import annotations

import keyword

from fuzzer.case import Case, Switch
from fuzzer.case.conversion import DEAR_ENTRIES, TFMOT, V1_SCHEMES
from fuzzer.convert import switches
from fuzzer.convert.converter import FACTORS, MODEL_SIGNATURE
from fuzzer.reproducer import layout, run_text

_DEPTH = 8
"""The deepest that lines of `convert` are indented."""
_FIXED = "input_signature=specs, autograph=False"
_FEED = "converter.representative_dataset = lambda: data"
_VARIABLES = ("concrete_function_variables", "session")
"""Roads on which weights are variables."""


def weight_names(case: Case) -> list[str]:
    """The variables that hold the weights, in the campaign's order."""
    return [f"{typed.name}_{slot.name}" for typed in case.model.typed for slot in typed.slots]


def state(case: Case) -> list[int]:
    """Which of the weights are state: variables that the model itself changes."""
    slots = [slot for typed in case.model.typed for slot in typed.slots]
    return [i for i, slot in enumerate(slots) if slot.variable]


def weights_first(case: Case) -> bool:
    """Whether `model` takes its weights as arguments: they are variables."""
    return case.conversion.entry in _VARIABLES or bool(state(case))


_VARIABLE = '''

def variable(value):
    """The variable that was given, or a new one."""
    return value if isinstance(value, tf.Variable) else tf.Variable(value)
'''


def variable(case: Case) -> list[str]:
    """The function `variable`, where the model has state."""
    return _VARIABLE.rstrip().splitlines() if state(case) else []


def listed(case: Case) -> list[str]:
    """The list `weights`, where `model` takes them as arguments."""
    if not weights_first(case):
        return []
    return ["", *layout.assign("weights", f"[{', '.join(weight_names(case))}]")]


def needs_folder(case: Case) -> bool:
    """Whether the road goes over files."""
    return case.conversion.entry == "frozen_graph" or case.conversion.entry in set(DEAR_ENTRIES) - {
        "concrete_function_variables",
        "keras",
    }


def _inside(lines: list[str]) -> list[str]:
    """Lines that were laid out at that depth, without their indentation."""
    return [line[_DEPTH:] for line in lines]


# --- the road ---------------------------------------------------------------------------------------------


def road(case: Case, truth: bool) -> tuple[list[str], bool]:
    """Lines that leave the converter in `converter`, and whether what follows must be inside a `with` block."""
    entry = case.conversion.entry
    lite = "tf.lite.TFLiteConverter"
    if entry == "keras":
        return [f"converter = {lite}.from_keras_model(keras_model())"], False
    if entry in ("frozen_graph", "session"):
        return _v1(case, truth)
    folder = "with tempfile.TemporaryDirectory() as folder:"
    loaded = f"    converter = {lite}.from_saved_model(folder)"
    if entry == "keras_export":
        return [folder, "    keras_model().export(folder, verbose=False)", loaded], True
    lines = _traced(case, truth)
    if entry in ("concrete_function", "concrete_function_variables"):
        owner = ", module" if entry != "concrete_function" else ""
        made = f"{lite}.from_concrete_functions([function]{owner})"
        if decorated(case, truth):
            lines, made = [], made.replace("[function]", "[model.get_concrete_function()]")
        return [*lines, *_inside(layout.assign("converter", made, _DEPTH))], False
    if entry == "saved_model_signatures":
        names = ", ".join(f"x{i}" for i in range(len(case.model.inputs)))
        first = f'tf.function(lambda {names}: {{"first": tf.nest.flatten(function({names}))[0]}}, specs)'
        return [
            *lines,
            *_inside(layout.assign("first", first, _DEPTH)),
            f'signatures = {{"{MODEL_SIGNATURE}": function, "first_output": first.get_concrete_function()}}',
            folder,
            "    tf.saved_model.save(tf.Module(), folder, signatures=signatures)",
            f'    converter = {lite}.from_saved_model(folder, signature_keys=["{MODEL_SIGNATURE}"])',
        ], True
    module = "module" if entry == "legacy_keras" or state(case) else "tf.Module()"
    function = "function"
    if decorated(case, truth):
        lines, function = [], "model.get_concrete_function()"
    return [*lines, folder, f"    tf.saved_model.save({module}, folder, signatures={function})", loaded], True


def _call_model(case: Case, truth: bool, weights: str, inputs: str = "") -> str:
    """A call of `model` on the inputs, with `weights` (an expression of a list) before them where it takes them."""
    inputs = inputs or ", ".join(f"x{i}" for i in range(len(case.model.inputs)))
    if weights_first(case):
        return f"model(*{weights}, {inputs})"
    return f"model({', '.join([*weight_names(case), inputs])})" if truth else f"model({inputs})"


def reference_call(case: Case, traced: bool = False) -> str:
    """A call of `model` in TensorFlow itself, op by op, on `inputs`, or on the only sample.

    `traced`: the script's `model` is a `tf.function` (`decorated`), whose graph TensorFlow would rewrite first (its
    `arithmetic_optimizer.cc` makes `log1p` of a logarithm), as the converter does: that is what is judged.
    """
    model = "model.python_function" if traced else "model"
    weights = "*weights, " if weights_first(case) else ""
    if run_text.alone(case):
        return f"{model}({weights}{', '.join(f'tf.constant(x{i})' for i in range(len(case.model.inputs)))})"
    return f"{model}({weights}*(tf.constant(x) for x in inputs))"


def decorated(case: Case, truth: bool) -> bool:
    """Whether `model` itself is what is converted, so that it can be a `tf.function` from the start."""
    roads = ("concrete_function", "saved_model")
    return case.conversion.entry in roads and not truth and not weights_first(case)


def specs(case: Case) -> str:
    """The signature, as an expression."""
    made = ", ".join(
        f'tf.TensorSpec({case.conversion.signature_shape(t.shape)!r}, tf.{t.dtype}, name="x{i}")'
        for i, t in enumerate(case.model.inputs)
    )
    return f"[{made}]"


def _traced(case: Case, truth: bool) -> list[str]:
    """The concrete function that is converted."""
    if decorated(case, truth):
        return ["function = model.get_concrete_function()"]
    inputs = [f"x{i}" for i in range(len(case.model.inputs))]
    entry = case.conversion.entry
    lines: list[str] = []
    if entry == "legacy_keras":
        made = "optimised(keras_model())" if case.conversion.scheme in TFMOT else "keras_model()"
        lines = [f"network = {made}", "module = tf.Module()", "module.variables_of_model = network.variables"]
        given = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
        function = f"lambda {', '.join(inputs)}: network({given})"
    elif entry == "concrete_function_variables":
        made = "[tf.Variable(w) for w in weights]"
        lines = ["module = tf.Module()", *_inside(layout.assign("module.weights", made, _DEPTH))]
        function = f"lambda {', '.join(inputs)}: {_call_model(case, truth, 'module.weights')}"
    elif state(case):
        made = f"[tf.Variable(w) if i in {tuple(state(case))!r} else w for i, w in enumerate(weights)]"
        lines = [
            *_inside(layout.assign("given", made, _DEPTH)),
            "module = tf.Module()",
            "module.state = [w for w in given if isinstance(w, tf.Variable)]",
        ]
        function = f"lambda {', '.join(inputs)}: {_call_model(case, truth, 'given')}"
    elif weights_first(case) or weight_names(case):
        function = f"lambda {', '.join(inputs)}: {_call_model(case, truth, 'weights')}"
    else:
        function = "model"
    return [
        *lines,
        *_inside(layout.assign("specs", specs(case), _DEPTH)),
        *_inside(layout.assign("function", f"tf.function({function}, {_FIXED})", _DEPTH)),
        "function = function.get_concrete_function()",
    ]


def _v1(case: Case, truth: bool) -> tuple[list[str], bool]:
    """The converter of TensorFlow 1."""
    session = case.conversion.entry == "session"
    lines = ["v1 = tf.compat.v1", "with tf.Graph().as_default() as graph:"]
    for i, t in enumerate(case.model.inputs):
        shape = case.conversion.signature_shape(t.shape)
        # Not `x0`: the representative data are the script's own.
        lines.append(f'    fed{i} = v1.placeholder(tf.{t.dtype}, {shape!r}, "x{i}")')
    inputs = [f"fed{i}" for i in range(len(case.model.inputs))]
    if session:
        made = "[tf.Variable(w) for w in weights]"
        lines += [line[4:] for line in layout.assign("variables", made, _DEPTH)]
    called = _call_model(case, truth, "variables" if session else "weights", ", ".join(inputs))
    lines += _named(called, len(case.model.outputs), session)
    if session:
        lines += [
            "with v1.Session(graph=graph) as session:",
            "    with graph.as_default():",
            "        session.run(v1.global_variables_initializer())",
            f"    converter = v1.lite.TFLiteConverter.from_session(session, [{', '.join(inputs)}], outputs)",
        ]
        return lines, False
    arrays = ", ".join(f'"x{i}"' for i in range(len(inputs)))
    names = ", ".join(f'"y{i:02}"' for i in range(len(case.model.outputs)))
    made = f"v1.lite.TFLiteConverter.from_frozen_graph(path, [{arrays}], [{names}])"
    return [
        *lines,
        "with tempfile.TemporaryDirectory() as folder:",
        '    path = tf.io.write_graph(graph, folder, "graph.pb", as_text=False)',
        *(line[4:] for line in layout.assign("converter", made, _DEPTH)),
    ], True


def _named(called: str, count: int, session: bool) -> list[str]:
    """The model in a graph, its outputs under names of their own; a session is converted from these."""
    if count == 1:
        one = f'tf.identity({called}, "y00")'
        return [f"    outputs = [{one}]" if session else f"    {one}"]
    each = 'tf.identity(y, f"y{i:02}")'
    results = [line[4:] for line in layout.assign("results", f"tf.nest.flatten({called})", _DEPTH)]
    if session:
        return [*results, f"    outputs = [{each} for i, y in enumerate(results)]"]
    return [*results, "    for i, y in enumerate(results):", f"        {each}"]


# --- options ----------------------------------------------------------------------------------------------


def options(case: Case) -> list[str]:
    """The converter's switches, those at their default left out."""
    conversion = case.conversion
    lines = []
    asked = {
        "default": "tf.lite.Optimize.DEFAULT",
        "sparsity": "tf.lite.Optimize.EXPERIMENTAL_SPARSITY",
        "default_sparsity": "tf.lite.Optimize.DEFAULT, tf.lite.Optimize.EXPERIMENTAL_SPARSITY",
    }.get(conversion.optimizations)
    if asked:
        lines += _inside(layout.assign("converter.optimizations", f"[{asked}]", _DEPTH))
    if conversion.scheme == "float16":
        lines.append("converter.target_spec.supported_types = [tf.float16]")
    if conversion.calibrated and conversion.representative != "absent":
        lines += _calibration(case)
    chosen = {
        "int8": ["TFLITE_BUILTINS"] if conversion.fallback else ["TFLITE_BUILTINS_INT8"],
        "int16x8": [
            "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8",
            *(["TFLITE_BUILTINS"] if conversion.fallback else []),
        ],
    }.get(conversion.scheme, ["TFLITE_BUILTINS"])
    if conversion.op_set == "select_tf":
        chosen.append("SELECT_TF_OPS")
    if chosen != ["TFLITE_BUILTINS"]:
        ops = ", ".join(f"tf.lite.OpsSet.{op}" for op in chosen)
        lines += _inside(layout.assign("converter.target_spec.supported_ops", f"[{ops}]", _DEPTH))
    if conversion.scheme in V1_SCHEMES:
        lines += _statistics(case)
    elif conversion.io != "float32" or conversion.trained_v1:
        lines += _statistics(case) if conversion.trained_v1 else []
        lines.append(f"converter.inference_input_type = tf.{conversion.io}")
        lines.append(f"converter.inference_output_type = tf.{conversion.io}")
    if not conversion.per_channel:
        lines.append("converter._experimental_disable_per_channel = True")
    if conversion.unfold_batch_matmul:
        lines.append("converter.unfold_batchmatmul = True")
    for name, value in sorted(conversion.switches.items()):
        lines += _switch(name, value)
    return lines


def _switch(name: str, value: Switch) -> list[str]:
    """A switch of the converter or of its target specification; nothing for what the campaign does not set."""
    if not switches.askable(name) or not _identifier(name):
        return []
    written = repr(value)
    if isinstance(value, str):
        dtype = switches.is_dtype(name) and _identifier(value)
        written = f"tf.{value}" if dtype else layout.string(value)
    if switches.is_list(name):
        written = f"[{written}]"
    holder = "converter.target_spec" if name in switches.OF_TARGET else "converter"
    # A release that does not know the switch would take the assignment and do nothing.
    known = f'assert hasattr({holder}, "{name}"), "needs a newer TensorFlow"'
    return [known, *_inside(layout.assign(f"{holder}.{name}", written, _DEPTH))]


def _identifier(text: str) -> bool:
    """Whether a word of a case may stand in the code as it is; a decoded case has no others."""
    return text.isascii() and text.isidentifier() and not keyword.iskeyword(text)


def _statistics(case: Case) -> list[str]:
    """Ranges in the place of calibration."""
    conversion = case.conversion
    dtype = conversion.inference_type
    mean, high = 128.0 if dtype == "uint8" else 0.0, conversion.ranges
    lines = [f"converter.inference_type = tf.{dtype}"]
    if conversion.io == "float32" and conversion.scheme in V1_SCHEMES:
        lines.append("converter.inference_input_type = tf.float32")
    stats = f"dict.fromkeys(converter.get_input_arrays(), ({mean!r}, {128.0 / high!r}))"
    lines += _inside(layout.assign("converter.quantized_input_stats", stats, _DEPTH))
    if conversion.scheme in V1_SCHEMES:
        lines.append(f"converter.default_ranges_stats = ({-high!r}, {high!r})")
    return lines


def _calibration(case: Case) -> list[str]:
    """The calibration data: the judged samples, repeated as often as the campaign does, or what was made of them."""
    kind = case.conversion.representative
    have = len(case.inference.inputs)
    asked = max(case.conversion.calibration, have)
    data = "samples" if asked == have else f"samples * {asked // have}"
    if asked % have:
        data = f"(samples * {-(-asked // have)})[:{asked}]"
    if kind == "one":
        data = "samples[:1]"
    several = len(case.model.inputs) > 1 and case.conversion.entry in DEAR_ENTRIES
    named = '{f"x{i}": x for i, x in enumerate(inputs)}'
    if run_text.alone(case):
        # The extremes of one sample are those of many like it; only a model with state tells them apart.
        times = f" * {asked}" if asked > 1 and kind != "one" and state(case) else ""
        data = f"[{run_text.given(case)}]{times}"
        if several and kind in ("samples", "one"):
            names = ", ".join(f'"x{i}": x{i}' for i in range(len(case.model.inputs)))
            return [f"converter.representative_dataset = lambda: [{{{names}}}]{times}"]
    if kind in ("samples", "one"):
        if several:
            return [*_inside(layout.assign("data", f"[{named} for inputs in {data}]", _DEPTH)), _FEED]
        return [f"converter.representative_dataset = lambda: {data}"]
    made = "np.ones_like(x)" if kind == "constant" else f"x * x.dtype.type({FACTORS[kind]!r})"
    if any(not t.dtype.startswith("float") for t in case.model.inputs):
        made = f'{made} if x.dtype.kind == "f" else x'
    return [
        "def other(x):",
        f"    return {made}",
        "",
        f"data = [[other(x) for x in inputs] for inputs in {data}]",
        *([f"data = [{named} for inputs in data]"] if several else []),
        _FEED,
    ]
