"""Training before the conversion, as the Python text of a reproducer: fake quantisation by hand, and tfmot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fuzzer.build.graph import activation_range, channel_axes, fake_quantised_weight
from fuzzer.build.values import Array, weights_of
from fuzzer.case import Case
from fuzzer.case.conversion import TFMOT
from fuzzer.convert import optimised as tfmot
from fuzzer.reproducer import layout
from fuzzer.reproducer.road_text import state

# --- fake quantisation by hand ----------------------------------------------------------------------------

_WRITTEN = 4
"""Channels whose ranges are written out."""
_TRAINING = '''

def activation(value):
    """An activation as training for quantisation rounds it."""
    return tf.quantization.fake_quant_with_min_max_args(value, @low@, @high@, num_bits=@act@)
'''


def training(case: Case) -> list[str]:
    """The function `activation` of a model that is trained for quantisation by hand, and the ranges of its weights."""
    conversion = case.conversion
    if conversion.scheme != "qat":
        return []
    low, high = activation_range(conversion)
    bits = 16 if conversion.qat_bits == 16 else 8
    text = _TRAINING.replace("@low@", repr(low)).replace("@high@", repr(high)).replace("@act@", str(bits))
    return [*_ranges(case), *text.rstrip().splitlines()]


def rounded_weights(case: Case) -> dict[str, str]:
    """What stands for each weight that training rounds, between its own extremes, as an expression."""
    conversion = case.conversion
    bits = 8 if conversion.qat_bits == 16 else conversion.qat_bits
    options = f"num_bits={bits}" + (", narrow_range=True" if conversion.qat_symmetric else "")
    made = {}
    for variable, value, axes in _rounding(case):
        low, high = _extremes(case, value, axes)
        between = f"{_number(low)}, {_number(high)}" if not low.ndim else f"{_low(variable)}, {_high(variable)}"
        if low.ndim and low.size <= _WRITTEN:
            between = f"{_written(low)}, {_written(high)}"
        channels = "_per_channel" if low.ndim else ""
        made[variable] = f"tf.quantization.fake_quant_with_min_max_vars{channels}({variable}, {between}, {options})"
    return made


def _rounding(case: Case) -> Iterator[tuple[str, Array, tuple[int, ...]]]:
    """Every weight that is rounded: its variable, its numbers, and the axes that share a range."""
    if case.conversion.scheme != "qat":
        return
    position = 0
    for typed, node in zip(case.model.typed, weights_of(case), strict=True):
        for name, value in node.items():
            if fake_quantised_weight(name, value) and position not in state(case):
                yield f"{typed.name}_{name}", value, channel_axes(case.conversion, value.ndim)
            position += 1


def _extremes(case: Case, value: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """The range of each channel, as `fuzzer.build.graph` takes it."""
    high = np.abs(value).max(axes) if case.conversion.qat_symmetric else value.max(axes)
    low = -high if case.conversion.qat_symmetric else value.min(axes)
    return np.float32(np.minimum(low, 0)), np.float32(np.maximum(high, 1e-6))  # type: ignore[return-value]


def _ranges(case: Case) -> list[str]:
    """Definitions of the ranges that are too long to be written where they are used."""
    lines = []
    for variable, value, axes in _rounding(case):
        low, _ = _extremes(case, value, axes)
        if low.ndim and low.size > _WRITTEN:
            symmetric = case.conversion.qat_symmetric
            top = f"np.abs({variable})" if symmetric else variable
            lines += layout.assign(_high(variable), f"np.maximum({top}.max({axes!r}), np.float32(1e-6))")
            bottom = f"-{top}.max({axes!r})" if symmetric else f"np.minimum({variable}.min({axes!r}), 0)"
            lines += layout.assign(_low(variable), bottom)
    return ["", *lines] if lines else []


def _written(values: Array) -> str:
    return f"[{', '.join(map(_number, values))}]"


def _number(value: Array) -> str:
    """A float32 in the fewest digits that give it back."""
    if np.isfinite(value):
        return repr(float(str(value)))
    return "np.nan" if np.isnan(value) else "-np.inf" if float(value) < 0 else "np.inf"


def _low(variable: str) -> str:
    return f"{variable}_low"


def _high(variable: str) -> str:
    return f"{variable}_high"


# --- tensorflow-model-optimization ------------------------------------------------------------------------

_OPTIMISED = '''

def optimised(network):
    """The model after tensorflow-model-optimization."""
'''
_EACH = """    def each(model, wrap):
        def clone(layer):
            return wrap(layer) if type(layer).__name__ in @prunable@ else layer

        return tf_keras.models.clone_model(model, clone_function=clone)
"""
_PRUNE = """
    sparsity = tfmot.sparsity.keras
    schedule = sparsity.ConstantSparsity(@sparsity@, 0, frequency=1)
    network = each(network, lambda layer: sparsity.prune_low_magnitude(layer, schedule))
    for layer in network.layers:
        if hasattr(layer, "pruning_obj"):
            layer.pruning_step.assign(0)
            layer.pruning_obj.conditional_mask_update()
            layer.pruning_obj.weight_mask_op()
    network = sparsity.strip_pruning(network)
"""
_CLUSTER = """
    clustering = tfmot.clustering.keras
    options = {
        "number_of_clusters": @clusters@,
        "cluster_centroids_init": clustering.CentroidInitialization.LINEAR,@sparse@
    }
    network = each(network, lambda layer: @cluster@.cluster_weights(layer, **options))
    network = clustering.strip_clustering(network)
"""
_QUANTISE = """
    quantisation = tfmot.quantization.keras

    def annotate(layer):
        plain = isinstance(layer, @plain@)
        return layer if plain else quantisation.quantize_annotate_layer(layer)

    network = tf_keras.models.clone_model(network, clone_function=annotate)@chosen@
    with quantisation.quantize_scope(@scope@):
        network = quantisation.quantize_apply(network@scheme@)
"""
_CLUSTER_IMPORT = "from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster"
_SCHEME_IMPORT = """import importlib

package = "tensorflow_model_optimization.python.core.quantization.keras.collab_opts"
module = "cluster_preserve.default_8bit_cluster_preserve_quantize_scheme"
scheme = importlib.import_module(f"{package}.{module}")"""


def tfmot_imports(case: Case) -> list[str]:
    """The imports that a scheme of tensorflow-model-optimization needs."""
    if case.conversion.scheme not in TFMOT:
        return []
    steps = case.conversion.scheme.removeprefix("tfmot_")
    lines = [
        "",
        "tf.keras.layers  # touched before the next import, which would turn it into legacy Keras",
        "import tensorflow_model_optimization as tfmot",
    ]
    if steps.startswith("p") and "c" in steps:
        lines.append(_CLUSTER_IMPORT)
    return [*lines, *(_SCHEME_IMPORT.splitlines() if steps in ("cqat", "pcqat") else [])]


def optimised(case: Case, wrapped: bool) -> list[str]:
    """The function `optimised`: what tensorflow-model-optimization does to the network."""
    if case.conversion.scheme not in TFMOT:
        return []
    steps = case.conversion.scheme.removeprefix("tfmot_")
    prune, cluster = steps.startswith("p"), "c" in steps
    text = _OPTIMISED
    if prune or cluster:
        text += "\n" + _EACH.replace("@prunable@", repr(tfmot.PRUNABLE))
    if prune:
        text += _PRUNE.replace("@sparsity@", repr(tfmot.SPARSITY))
    if cluster:
        sparse = '\n        "preserve_sparsity": True,' if prune else ""
        text += _CLUSTER.replace("@clusters@", str(tfmot.CLUSTERS)).replace("@sparse@", sparse)
        text = text.replace("@cluster@", "cluster" if prune else "clustering")
    if steps.endswith("qat"):
        made = {
            "pqat": "quantisation.collab_opts.Default8BitPrunePreserveQuantizeScheme()",
            "cqat": "scheme.Default8BitClusterPreserveQuantizeScheme(False)",
            "pcqat": "scheme.Default8BitClusterPreserveQuantizeScheme(True)",
        }.get(steps)
        text += _QUANTISE.replace("@chosen@", f"\n    chosen = {made}" if made else "")
        text = text.replace("@scheme@", ", chosen" if made else "").replace("@scope@", '{"Op": Op}' if wrapped else "")
        layer = "tf_keras.layers.InputLayer"
        text = text.replace("@plain@", f"Op | {layer}" if wrapped else layer)
    return [*text.rstrip().splitlines(), "    return network"]
