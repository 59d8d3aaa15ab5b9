"""What tensorflow-model-optimization makes of a legacy Keras model: pruned, clustered, trained for quantisation.

The package is optional. It sets `TF_USE_LEGACY_KERAS` when it is imported, which would turn a `tf.keras` that nobody
has touched into legacy Keras, so `load` touches it first and takes the variable back.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from fuzzer.build import Array, keras_model
from fuzzer.build.keras_model import op_layer
from fuzzer.case import Case
from fuzzer.errors import UserError

PACKAGE = "tensorflow_model_optimization"
INSTALL = "this case needs tensorflow-model-optimization; install it with: pip install 'tflite-fuzzer[mot]'"
SPARSITY = 0.75
"""Share of the weights that pruning sets to zero."""
CLUSTERS = 8
PRUNABLE = ("Conv2D", "Dense")
"""Layers that are pruned and clustered, by class name."""


def installed() -> bool:
    """Whether the package is there."""
    return find_spec(PACKAGE) is not None


@cache
def load(tf: Any) -> Any:
    """The package. Raises `UserError` that says how to install it."""
    tf.keras.layers  # noqa: B018  (see the module's docstring)
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        import tensorflow_model_optimization
    except ImportError as missing:
        raise UserError(INSTALL) from missing
    finally:
        if before is None:
            os.environ.pop("TF_USE_LEGACY_KERAS", None)
    return tensorflow_model_optimization


def model(tf: Any, case: Case, weights: Sequence[dict[str, Array]]) -> Any:
    """The legacy Keras model of a case after the optimisations that its scheme names, ready to be converted."""
    import tf_keras

    tfmot = load(tf)
    steps = case.conversion.scheme.removeprefix("tfmot_")
    made = keras_model(tf, tf_keras, case, weights)
    if steps.startswith("p"):
        made = _pruned(tfmot, tf_keras, made)
    if "c" in steps:
        made = _clustered(tfmot, tf_keras, made, sparse=steps.startswith("p"))
    return _quantised(tfmot, tf_keras, made, steps) if steps.endswith("qat") else made


def _each(keras: Any, made: Any, wrap: Any) -> Any:
    """The model with its prunable layers wrapped."""

    def clone(layer: Any) -> Any:
        return wrap(layer) if type(layer).__name__ in PRUNABLE else layer

    return keras.models.clone_model(made, clone_function=clone)


def _pruned(tfmot: Any, keras: Any, made: Any) -> Any:
    """Weights of small magnitude set to zero, as the last step of training would leave them."""
    sparsity = tfmot.sparsity.keras
    schedule = sparsity.ConstantSparsity(SPARSITY, 0, frequency=1)
    wrapped = _each(keras, made, lambda layer: sparsity.prune_low_magnitude(layer, schedule))
    for layer in wrapped.layers:
        if hasattr(layer, "pruning_obj"):
            layer.pruning_step.assign(0)
            layer.pruning_obj.conditional_mask_update()
            layer.pruning_obj.weight_mask_op()
    return sparsity.strip_pruning(wrapped)


def _clustered(tfmot: Any, keras: Any, made: Any, sparse: bool) -> Any:
    """Weights that take a few values only; zeros stay where pruning left them."""
    clustering = tfmot.clustering.keras
    options = {
        "number_of_clusters": CLUSTERS,
        "cluster_centroids_init": clustering.CentroidInitialization.LINEAR,
    }
    cluster = clustering.cluster_weights
    if sparse:
        from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster as experimental

        cluster, options["preserve_sparsity"] = experimental.cluster_weights, True
    return clustering.strip_clustering(_each(keras, made, lambda layer: cluster(layer, **options)))


def _quantised(tfmot: Any, keras: Any, made: Any, steps: str) -> Any:
    """Fake quantisation around the layers that have a scheme of their own; ranges as before the first step."""
    quantisation = tfmot.quantization.keras
    ours = op_layer(keras)

    def annotate(layer: Any) -> Any:
        plain = isinstance(layer, ours | keras.layers.InputLayer)
        return layer if plain else quantisation.quantize_annotate_layer(layer)

    annotated = keras.models.clone_model(made, clone_function=annotate)
    with quantisation.quantize_scope({ours.__name__: ours}):
        scheme = _scheme(steps)
        return quantisation.quantize_apply(annotated, *([scheme] if scheme else []))


def _scheme(steps: str) -> Any:
    """The quantisation scheme that keeps zeros or clusters; None for the plain one."""
    if steps == "qat":
        return None
    if steps == "pqat":
        from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (
            default_8bit_prune_preserve_quantize_scheme as prune,
        )

        return prune.Default8BitPrunePreserveQuantizeScheme()
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (
        default_8bit_cluster_preserve_quantize_scheme as cluster,
    )

    return cluster.Default8BitClusterPreserveQuantizeScheme(steps == "pcqat")
