"""A case becomes a flatbuffer, by the road its conversion names.

The roads are TensorFlow's public entry points. `from_concrete_functions` of a function with variables is sound when it
is given the object that owns them; without, those of Keras 3 stay unfrozen (a known defect of TensorFlow 2.21).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuzzer.build import (
    Array,
    constants,
    keras_model,
    output_names,
    signature,
    trace,
    trained_weights,
    variables,
    walk,
)
from fuzzer.case import Case, Conversion
from fuzzer.case.conversion import DEAR_ENTRIES, TFMOT, V1_ENTRIES, V1_SCHEMES
from fuzzer.convert import optimised, switches

MODEL_SIGNATURE = "model"
"""The signature that is the model, where a SavedModel has several."""


def converter_of(tf: Any, case: Case, weights: Sequence[dict[str, Array]], scratch: str) -> Any:
    """A `tf.lite.TFLiteConverter` for the case, without options. `scratch` is where SavedModels may lie."""
    lite, entry = tf.lite.TFLiteConverter, case.conversion.entry
    if entry == "keras":
        return lite.from_keras_model(keras_model(tf, tf.keras, case, weights))
    if entry == "concrete_function":
        return lite.from_concrete_functions([trace(tf, case, weights).get_concrete_function()])
    if entry in V1_ENTRIES:
        return _v1(tf, case, weights, scratch)
    module = tf.Module()
    if entry == "concrete_function_variables":
        module.weights = variables(tf, weights)
        function = trace(tf, case, weights, module.weights).get_concrete_function()
        return lite.from_concrete_functions([function], module)
    folder = tempfile.mkdtemp(dir=scratch, prefix="saved_model_")
    if entry == "keras_export":
        keras_model(tf, tf.keras, case, weights).export(folder, verbose=False)
        return lite.from_saved_model(folder)
    if entry == "saved_model_signatures":
        whole = trace(tf, case, weights)
        both = {MODEL_SIGNATURE: whole, "first_output": _first_output(tf, case, whole)}
        signatures = {name: function.get_concrete_function() for name, function in both.items()}
        tf.saved_model.save(module, folder, signatures=signatures)
        return lite.from_saved_model(folder, signature_keys=[MODEL_SIGNATURE])
    if entry == "legacy_keras":
        import tf_keras  # a dictionary look-up: the zygote has imported it

        function = _traced_layers(tf, tf_keras, case, weights, module)
    else:
        traced = trace(tf, case, weights)  # it owns the state, which a concrete function only points at
        function = traced.get_concrete_function()
        module.state = list(function.variables)
    tf.saved_model.save(module, folder, signatures=function)
    return lite.from_saved_model(folder)


def _first_output(tf: Any, case: Case, whole: Any) -> Any:
    """A second signature, which shares everything with the model: its first output alone."""
    name = output_names(case)[0]
    return tf.function(lambda *inputs: {"first": whole(*inputs)[name]}, signature(tf, case), autograph=False)


def _v1(tf: Any, case: Case, weights: Sequence[dict[str, Array]], scratch: str) -> Any:
    """The converter of TensorFlow 1, from a graph of placeholders: frozen, or in a session that owns variables."""
    v1 = tf.compat.v1
    names = output_names(case)
    session = case.conversion.entry == "session"
    with tf.Graph().as_default() as graph:
        inputs = [v1.placeholder(spec.dtype, spec.shape, spec.name) for spec in signature(tf, case)]
        given = variables(tf, weights) if session else constants(tf, weights)
        values = walk(tf, case, inputs, trained_weights(tf, case, given, weights))
        outputs = [tf.identity(values[o], name) for name, o in zip(names, case.model.outputs, strict=True)]
        if session:
            with v1.Session(graph=graph) as open_session:
                open_session.run(v1.global_variables_initializer())
                return v1.lite.TFLiteConverter.from_session(open_session, inputs, outputs)
    path = Path(tempfile.mkdtemp(dir=scratch, prefix="frozen_graph_")) / "graph.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    arrays = [f"x{i}" for i in range(len(inputs))]
    return v1.lite.TFLiteConverter.from_frozen_graph(str(path), arrays, names)


def _traced_layers(tf: Any, keras: Any, case: Case, weights: Sequence[dict[str, Array]], module: Any) -> Any:
    """A concrete function around a legacy Keras model; the module owns the variables.

    Saving the model itself traces every layer three times (3 s for one LSTM, measured); saving a function
    around it takes 0.7 s and converts to the same flatbuffer.
    """
    optimise = case.conversion.scheme in TFMOT
    model = optimised.model(tf, case, weights) if optimise else keras_model(tf, keras, case, weights)
    module.variables_of_model = model.variables
    names = output_names(case)

    def call(*inputs: Any) -> dict[str, Any]:
        results = model(list(inputs) if len(inputs) > 1 else inputs[0])
        results = results if isinstance(results, list | tuple) else [results]
        return dict(zip(names, results, strict=True))

    return tf.function(call, input_signature=signature(tf, case), autograph=False).get_concrete_function()


def set_options(tf: Any, converter: Any, conversion: Conversion, samples: Sequence[Sequence[Array]]) -> list[str]:
    """Applies the case's options; says which of its switches were ignored. `samples` feed the calibration."""
    optimize, ops = tf.lite.Optimize, tf.lite.OpsSet
    asked = {
        "none": [],
        "default": [optimize.DEFAULT],
        "sparsity": [optimize.EXPERIMENTAL_SPARSITY],
        "default_sparsity": [optimize.DEFAULT, optimize.EXPERIMENTAL_SPARSITY],
    }[conversion.optimizations]
    if asked:
        converter.optimizations = asked
    chosen = [ops.TFLITE_BUILTINS]
    if conversion.scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif conversion.calibrated:
        if conversion.representative != "absent":
            converter.representative_dataset = representative(conversion, samples)
        int8, int16x8 = ops.TFLITE_BUILTINS_INT8, ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        if conversion.scheme == "int16x8":
            chosen = [int16x8, ops.TFLITE_BUILTINS] if conversion.fallback else [int16x8]
        elif not conversion.fallback:
            chosen = [int8]
    if conversion.scheme in V1_SCHEMES:
        _set_statistics(tf, converter, conversion)
    elif conversion.integer or conversion.calibrated:
        if conversion.trained_v1:
            _set_statistics(tf, converter, conversion)
        converter.inference_input_type = tf.as_dtype(conversion.io)
        converter.inference_output_type = tf.as_dtype(conversion.io)
    if conversion.op_set == "select_tf":
        chosen.append(ops.SELECT_TF_OPS)
    converter.target_spec.supported_ops = chosen
    if not conversion.per_channel:
        converter._experimental_disable_per_channel = True
    if conversion.unfold_batch_matmul:
        converter.unfold_batchmatmul = True
    return switches.apply(tf, converter, conversion.switches)


def _set_statistics(tf: Any, converter: Any, conversion: Conversion) -> None:
    """Ranges in the place of calibration: real = (integer - mean) / standard deviation."""
    dtype = conversion.inference_type
    converter.inference_type = tf.as_dtype(dtype)
    if conversion.io == "float32":
        converter.inference_input_type = tf.float32
    mean = 128.0 if dtype == "uint8" else 0.0
    converter.quantized_input_stats = dict.fromkeys(converter.get_input_arrays(), (mean, 128.0 / conversion.ranges))
    if conversion.scheme in V1_SCHEMES:
        converter.default_ranges_stats = (-conversion.ranges, conversion.ranges)


FACTORS = {"narrow": 0.1, "wide": 10.0}
"""What `representative` multiplies the samples by."""


def representative(
    conversion: Conversion, samples: Sequence[Sequence[Array]]
) -> Callable[[], Iterator[list[Array] | dict[str, Array]]]:
    """The calibration data: the judged inputs, repeated or cut to the asked number of samples.

    They contain the judged inputs, or clipping would look like a defect. Where `representative` says otherwise, only
    kernels among themselves can be held against each other, which is what the oracles do.

    Where the flatbuffer has a signature, inputs are given by name: its order of them is not the function's.
    """
    kind = conversion.representative
    given = samples[:1] if kind == "one" else samples

    def dataset() -> Iterator[list[Array] | dict[str, Array]]:
        for i in range(1 if kind == "one" else max(conversion.calibration, len(samples))):
            values = [_other(value, kind) for value in given[i % len(given)]]
            named = {f"x{k}": value for k, value in enumerate(values)}
            yield named if len(values) > 1 and conversion.entry in DEAR_ENTRIES else values

    return dataset


def _other(value: Array, kind: str) -> Array:
    """A calibration tensor: floats scaled, or all ones."""
    if value.dtype.kind != "f" or kind not in ("constant", *FACTORS):
        return value
    scaled: Array = np.ones_like(value) if kind == "constant" else np.multiply(value, FACTORS[kind], dtype=value.dtype)
    return scaled
