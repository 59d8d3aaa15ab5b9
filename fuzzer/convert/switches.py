"""Switches of the installed converter: found by looking at it, so that a new release's are fuzzed without our doing.

A switch is an attribute of a fresh converter, or of its target specification, that no field of a conversion stands
for. Only what is found here is ever set: a case file can name what it likes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from fuzzer.case import Switch

_OWN = frozenset(
    {
        # Fields of a conversion stand for these.
        "optimizations", "representative_dataset", "target_spec", "inference_type", "inference_input_type",
        "inference_output_type", "quantized_input_stats", "default_ranges_stats", "unfold_batchmatmul",
        "_experimental_disable_per_channel", "supported_ops", "supported_types",
        # A text, not a flatbuffer.
        "output_format",
    }
)  # fmt: skip
_DENIED = re.compile(
    # What writes files, prints, or measures.
    r"dump|_dir(?:_|$)|regex|print_|timing|graphviz|summary|debug|elide|verbose|path|_file|url|metrics|registerers"
    # The StableHLO quantiser refuses every road but one of a SavedModel, and writes its records to a file.
    r"|stablehlo"
    # A release that calls a switch unsafe has said whose fault a difference is.
    r"|unsafe"
)
_WORDS: dict[str, tuple[Switch, ...]] = {
    # converter_flags.proto and its readers (tf_tfl_passes.cc, quantization_config.cc): strings that mean something.
    "_experimental_tf_quantization_mode": ("DEFAULT", "LEGACY_INTEGER"),
    "_experimental_qdq_conversion_mode": ("NONE", "STATIC", "DYNAMIC"),
    "_experimental_full_integer_quantization_bias_type": ("int32", "int64"),
    "_experimental_supported_accumulation_type": ("float16", "float32"),
    "experimental_supported_backends": ("GPU",),
}
"""Values of switches whose default says nothing of them."""
_DTYPES = re.compile(r"_(?:bias|accumulation)_type$")
_LISTS = frozenset({"experimental_supported_backends"})
OF_TARGET = frozenset({"_experimental_supported_accumulation_type", "experimental_supported_backends"})
"""Known switches of the target specification; all others are the converter's own."""


@cache
def catalogue(tf: Any) -> dict[str, tuple[Switch, ...]]:
    """Every switch of the installed converters by name, with the values worth trying, in a stable order."""
    found: dict[str, tuple[Switch, ...]] = {}
    for holder in (*_converters(tf), _converters(tf)[0].target_spec):
        for name, default in vars(holder).items():
            values = _values(name, default)
            if values:
                found.setdefault(name, values)
    return dict(sorted(found.items()))


def _converters(tf: Any) -> tuple[Any, ...]:
    """A fresh converter of each generation."""
    graph = tf.Graph().as_graph_def()
    return tf.lite.TFLiteConverter([]), tf.compat.v1.lite.TFLiteConverter(graph, [], [])


_METHOD = re.compile(r"convert$|from_|get_|experimental_from_")
"""The converter's methods: a reproducer that assigned to one would be another program."""


def askable(name: str) -> bool:
    """Whether an attribute of that name may be a switch at all."""
    public = not name.startswith("_") or name.startswith("_experimental_")
    return public and name not in _OWN and not _METHOD.match(name) and not _DENIED.search(name)


def _values(name: str, default: object) -> tuple[Switch, ...]:
    """What a switch may be set to beside its default; nothing for what is no switch."""
    if not askable(name):
        return ()
    if name in _WORDS:
        return _WORDS[name]
    if isinstance(default, bool):
        return (not default,)
    if isinstance(default, str):
        return _names_like(name, default)
    return (0, 1, 8) if isinstance(default, int) else ()


def _names_like(name: str, default: str) -> tuple[Switch, ...]:
    """The names of the enumeration that a word is one of, from the converter's own protocol buffer."""
    try:
        from tensorflow.compiler.mlir.lite import converter_flags_pb2
    except ImportError:
        return ()  # a release that keeps them elsewhere
    known = converter_flags_pb2.ConverterFlags.DESCRIPTOR.fields_by_name.get(name)
    if known is None or known.enum_type is None:
        return ()
    return tuple(v.name for v in known.enum_type.values if v.name != default)


def apply(tf: Any, converter: Any, asked: Mapping[str, Switch]) -> list[str]:
    """Sets the switches that this converter has; a sentence for each that it has not."""
    known = catalogue(tf)
    notes = []
    for name, value in sorted(asked.items()):
        holder = converter if name in vars(converter) else converter.target_spec
        legal = known.get(name, ())
        plain = bool(legal) and isinstance(legal[0], bool) and isinstance(value, bool)
        if name not in vars(holder) or not (plain or (value in legal and type(value) is type(legal[0]))):
            notes.append(f"switch {name}={value} was ignored: this converter has none of that name and value")
            continue
        setattr(holder, name, native(tf, name, value))
    return notes


def native(tf: Any, name: str, value: Switch) -> Any:
    """The value as the converter wants it: dtypes for names of dtypes, lists where it takes several."""
    if name in _LISTS:
        return [value]
    return tf.as_dtype(value) if _DTYPES.search(name) else value


def is_dtype(name: str) -> bool:
    """Whether a switch takes a dtype."""
    return bool(_DTYPES.search(name))


def is_list(name: str) -> bool:
    """Whether a switch takes a list."""
    return name in _LISTS
