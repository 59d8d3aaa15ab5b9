"""A case becomes numbers, a TensorFlow function or a Keras model."""

from fuzzer.build.graph import constants, output_names, run_eager, signature, trace, trained_weights, variables, walk
from fuzzer.build.keras_model import keras_model
from fuzzer.build.values import Array, samples_of, weights_of

__all__ = [
    "Array",
    "constants",
    "keras_model",
    "output_names",
    "run_eager",
    "samples_of",
    "signature",
    "trace",
    "trained_weights",
    "variables",
    "walk",
    "weights_of",
]
