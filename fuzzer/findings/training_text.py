"""Training before the conversion, as the Python text of a reproducer: fake quantisation by hand, and tfmot."""

from __future__ import annotations

from fuzzer.build.graph import activation_range, channel_axes, fake_quantised_weight
from fuzzer.build.values import weights_of
from fuzzer.case import Case
from fuzzer.case.conversion import TFMOT
from fuzzer.convert import optimised as tfmot
from fuzzer.findings import layout
from fuzzer.findings.road_text import state

# --- fake quantisation by hand ----------------------------------------------------------------------------

_TRAINING = '''

def activation(value):
    """An activation as training for quantisation rounds it."""
    return tf.quantization.fake_quant_with_min_max_args(value, @low@, @high@, num_bits=@act@)
'''
_WEIGHTS = '''

def trained(given):
    """Weights as training for quantisation rounds them, each between its own extremes."""
    made = []
    for value, numbers, axes in zip(given, weights, axes_of):
        if axes is not None:
@range@
            low, high = np.float32(np.minimum(low, 0)), np.float32(np.maximum(high, 1e-6))
            quantise = tf.quantization.fake_quant_with_min_max_vars
            if low.ndim:
                quantise = tf.quantization.fake_quant_with_min_max_vars_per_channel
            value = quantise(value, low, high, num_bits=@bits@, narrow_range=@narrow@)
        made.append(value)
    return made
'''
_SYMMETRIC = """            high = np.abs(numbers).max(axes)
            low = -high"""
_ASYMMETRIC = "            low, high = numbers.min(axes), numbers.max(axes)"


def training(case: Case) -> list[str]:
    """The functions `activation` and `trained` of a model that is trained for quantisation by hand."""
    conversion = case.conversion
    if conversion.scheme != "qat":
        return []
    low, high = activation_range(conversion)
    wide = conversion.qat_bits == 16
    text = _TRAINING.replace("@low@", repr(low)).replace("@high@", repr(high)).replace("@act@", str(16 if wide else 8))
    numbers = [(name, value) for node in weights_of(case) for name, value in node.items()]
    rounded = [fake_quantised_weight(n, v) and i not in state(case) for i, (n, v) in enumerate(numbers)]
    axes = [channel_axes(conversion, v.ndim) if r else None for (_, v), r in zip(numbers, rounded, strict=True)]
    helper = _WEIGHTS.replace("@range@", _SYMMETRIC if conversion.qat_symmetric else _ASYMMETRIC)
    helper = helper.replace("@narrow@", repr(conversion.qat_symmetric))
    helper = helper.replace("@bits@", str(8 if wide else conversion.qat_bits))
    return ["", *layout.assign("axes_of", repr(axes)), *text.rstrip().splitlines(), *helper.rstrip().splitlines()]


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
