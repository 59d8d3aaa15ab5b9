"""A case becomes a flatbuffer, by the road its conversion names.

The roads are TensorFlow's public entry points. `from_concrete_functions` is given weights as constants: with
variables it leaves them unfrozen (a known defect of TensorFlow 2.21, see the regression cases).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fuzzer.build import Array, keras_model, output_names, trace
from fuzzer.case import Case, Conversion


def converter_of(tf: Any, case: Case, weights: Sequence[dict[str, Array]], scratch: str) -> Any:
    """A `tf.lite.TFLiteConverter` for the case, without options. `scratch` is where SavedModels may lie."""
    entry = case.conversion.entry
    if entry == "keras":
        return tf.lite.TFLiteConverter.from_keras_model(keras_model(tf, tf.keras, case, weights))
    if entry == "concrete_function":
        function = trace(tf, case, weights).get_concrete_function()
        return tf.lite.TFLiteConverter.from_concrete_functions([function])
    module = tf.Module()
    if entry == "legacy_keras":
        import tf_keras  # a dictionary look-up: the zygote has imported it

        function = _traced_layers(tf, tf_keras, case, weights, module)
    else:
        traced = trace(tf, case, weights)
        function = traced.get_concrete_function()
        module.state = list(function.variables)
    folder = tempfile.mkdtemp(dir=scratch, prefix="saved_model_")
    tf.saved_model.save(module, folder, signatures=function)
    return tf.lite.TFLiteConverter.from_saved_model(folder)


def _traced_layers(tf: Any, keras: Any, case: Case, weights: Sequence[dict[str, Array]], module: Any) -> Any:
    """A concrete function around a legacy Keras model; the module owns the variables.

    Saving the model itself traces every layer three times (3 s for one LSTM, measured); saving a function
    around it takes 0.7 s and converts to the same flatbuffer.
    """
    model = keras_model(tf, keras, case, weights)
    module.variables_of_model = model.variables
    names = output_names(case)

    def call(*inputs: Any) -> dict[str, Any]:
        results = model(list(inputs) if len(inputs) > 1 else inputs[0])
        results = results if isinstance(results, list | tuple) else [results]
        return dict(zip(names, results, strict=True))

    signature = [tf.TensorSpec(t.shape, t.dtype, name=f"x{i}") for i, t in enumerate(case.model.inputs)]
    return tf.function(call, input_signature=signature, autograph=False).get_concrete_function()


def set_options(tf: Any, converter: Any, conversion: Conversion, samples: Sequence[Sequence[Array]]) -> None:
    """Applies the case's switches. `samples` feed the calibration of integer schemes."""
    if conversion.optimizations == "default":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    ops = tf.lite.OpsSet
    chosen = [ops.TFLITE_BUILTINS]
    if conversion.scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif conversion.integer:
        converter.representative_dataset = representative(conversion, samples)
        int8, int16x8 = ops.TFLITE_BUILTINS_INT8, ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        strict = int8 if conversion.scheme == "int8" else int16x8
        if conversion.scheme == "int16x8":
            chosen = [int16x8, ops.TFLITE_BUILTINS] if conversion.fallback else [int16x8]
        elif not conversion.fallback:
            chosen = [strict]
        converter.inference_input_type = tf.as_dtype(conversion.io)
        converter.inference_output_type = tf.as_dtype(conversion.io)
    if conversion.op_set == "select_tf":
        chosen.append(ops.SELECT_TF_OPS)
    converter.target_spec.supported_ops = chosen
    if not conversion.per_channel:
        converter._experimental_disable_per_channel = True
    if conversion.unfold_batch_matmul:
        converter.unfold_batchmatmul = True


def representative(conversion: Conversion, samples: Sequence[Sequence[Array]]) -> Callable[[], Iterator[list[Array]]]:
    """The calibration data: the judged inputs, repeated or cut to the asked number of samples.

    They contain the judged inputs, or clipping would look like a defect.
    """

    def dataset() -> Iterator[list[Array]]:
        for i in range(max(conversion.calibration, len(samples))):
            yield list(samples[i % len(samples)])

    return dataset
