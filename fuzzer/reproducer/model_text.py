"""The model, its conversion and its runs as the Python text of a reproducer."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from fuzzer.build.keras_model import layer_fits
from fuzzer.case import Case, TypedNode
from fuzzer.case.conversion import TFMOT
from fuzzer.ops import REALS, WeightSlot
from fuzzer.reproducer import layout, road_text, source, training_text
from fuzzer.reproducer.folding import is_literal, literal
from fuzzer.reproducer.road_text import weight_names, weights_first
from fuzzer.reproducer.source import NotInlineError, name

_ROUNDED = "rounded_"
KERAS = {"keras": "tf.keras", "keras_export": "tf.keras", "legacy_keras": "tf_keras"}
"""The Keras of an entry, as the reproducer calls it."""
_OP_LAYER = '''
class Op(@keras@.layers.Layer):
    """A layer that calls a TensorFlow function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, inputs):
        several = isinstance(inputs, (list, tuple))
        return self.function(*inputs) if several else self.function(inputs)
'''
_OP_CONFIG = """
    def get_config(self):
        return {**super().get_config(), "function": self.function}
"""
_OP_CONSTRUCTOR = """    def __init__(self, function):
        super().__init__()
"""
_OP_CLONED = """    def __init__(self, function, **options):
        super().__init__(**options)
"""


@dataclass
class ModelText:
    """Writes a case's model. `truth`: weights are arguments, so that it can be computed in float64.

    `tracked`: every node's result goes through `after`. `traced`: it is a `tf.function` from the start.
    """

    case: Case
    truth: bool = False
    tracked: bool = False
    traced: bool = False
    _functions: dict[str, list[str]] = field(default_factory=dict)
    _signature: list[str] = field(default_factory=list)

    # --- plain TensorFlow -------------------------------------------------------------------------------

    def function(self) -> list[str]:
        """`def model(...)` and the functions it calls."""
        body: list[ast.stmt] = []
        for i, type_ in enumerate(self.case.model.inputs):
            if self._trained(type_.dtype):
                body.append(source.assignment(f"x{i}", _call("activation", [name(f"x{i}")])))
        for weight, made in self._rounded.items():
            body.append(source.assignment(_ROUNDED + weight, layout.expression(made)))
        for typed in self.case.model.typed:
            body.extend(self._node(typed, list(typed.node.operands)))
        inputs = [f"x{i}" for i in range(len(self.case.model.inputs))]
        first = self.truth or weights_first(self.case)
        arguments = [*weight_names(self.case), *inputs] if first else list(inputs)
        arguments += ["real=None"] if self.truth and needs_real(self.case) else []
        head = f"def model({', '.join([*arguments, *(['after=lambda value: value'] if self.tracked else [])])}):"
        lines = ["", "", *self._decorator(), *_def(head), *layout.block(self._returned(body), 0)]
        settings = [
            *road_text.listed(self.case),
            *training_text.training(self.case),
            *road_text.variable(self.case),
        ]
        return [*settings, *self._helpers(), *self._signature, *lines]

    def _decorator(self) -> list[str]:
        """What makes `model` a function that can be converted."""
        if not self.traced:
            return []
        # Python's own loops and branches in a helper are not to be turned into TensorFlow's.
        more = ", autograph=False" if self._functions else ""
        signature = road_text.specs(self.case)
        if len(one := f"@tf.function(input_signature={signature}{more})") <= layout.WIDTH:
            return [one]
        self._signature = ["", "", *layout.assign("SIGNATURE", signature)]
        return [f"@tf.function(input_signature=SIGNATURE{more})"]

    @cached_property
    def _rounded(self) -> dict[str, str]:
        return training_text.rounded_weights(self.case)

    def _helpers(self) -> list[str]:
        return [line for text in self._functions.values() for line in ("", "", *text)]

    def _returned(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The body with its result returned."""
        outputs = self.case.model.outputs
        last = body[-1] if body else None
        if isinstance(last, ast.Assign) and [ast.unparse(t) for t in last.targets] == list(outputs):
            return [*body[:-1], ast.Return(last.value)]
        seen: set[str] = set()
        values: list[ast.expr] = []
        for output in outputs:
            # An input, or one value twice, would not be an output of its own.
            plain = output.startswith("n") and output not in seen
            values.append(name(output) if plain else _call("tf.identity", [name(output)]))
            seen.add(output)
        return [*body, ast.Return(values[0] if len(values) == 1 else ast.Tuple(values, ast.Load()))]

    def _node(self, typed: TypedNode, operands: list[str]) -> list[ast.stmt]:
        """The statements that compute a node from the variables `operands`."""
        build, bound = typed.node.spec.build, self._bound(typed, operands)
        if self.truth and not typed.node.spec.float64:
            return [source.assignment(typed.name, self._narrowed(typed, bound))]
        types = dict(zip(bound, typed.operands, strict=False))
        try:
            made = source.inline(build, bound, typed.name, types, self.truth)
        except NotInlineError:
            made = [source.assignment(typed.name, self._called(typed, bound))]
        last = made[-1]
        if self._trained(typed.type.dtype) and isinstance(last, ast.Assign):
            last.value = _call("activation", [last.value])
        if self.tracked and isinstance(last, ast.Assign):
            last.value = _call("after", [last.value])
        return made

    def _narrowed(self, typed: TypedNode, bound: dict[str, ast.expr]) -> ast.expr:
        """A node whose kernel exists in float32 only: floats are cast on the way in and out."""
        floats = [o for o, t in zip(typed.node.operands, typed.operands, strict=True) if t.dtype in REALS]
        floats += [self._weight(typed, slot) for slot in typed.slots if slot.type.dtype in REALS]
        narrow = {
            k: _call("tf.cast", [v, layout.expression("tf.float32")]) if _named(v, floats) else v
            for k, v in bound.items()
        }
        if "out_dtype" in narrow:
            narrow["out_dtype"] = literal(typed.type.dtype)
        made = self._called(typed, narrow)
        if typed.type.dtype not in REALS:
            return made
        return _call("tf.cast", [made, layout.expression(f"real or {layout.string(typed.type.dtype)}")])

    def _trained(self, dtype: str) -> bool:
        """Whether values of a dtype are rounded by fake quantisation."""
        return self.case.conversion.scheme == "qat" and dtype == "float32"

    def _bound(self, typed: TypedNode, operands: list[str]) -> dict[str, ast.expr]:
        given = {k: literal(v) for k, v in typed.node.attrs.items()}
        for slot in typed.slots:
            weight = name(self._weight(typed, slot))
            given[slot.name] = _call("variable", [weight]) if slot.variable else weight
        given["out_shape"] = literal(list(typed.type.shape))
        given["out_dtype"] = literal(typed.type.dtype)
        if self.truth and typed.type.dtype in REALS:
            given["out_dtype"] = layout.expression(f"real or {layout.string(typed.type.dtype)}")
        return source.bind(typed.node.spec.build, operands, given)

    def _weight(self, typed: TypedNode, slot: WeightSlot) -> str:
        """The variable that stands for a weight inside the model."""
        variable = f"{typed.name}_{slot.name}"
        return _ROUNDED + variable if variable in self._rounded else variable

    def _called(self, typed: TypedNode, bound: dict[str, ast.expr]) -> ast.expr:
        """A call of the op's own function, which is written once for equal ones."""
        identifier = typed.node.spec.build.__name__
        text = layout.statement(source.local_function(typed.node.spec.build, bound, identifier))
        if self._functions.setdefault(identifier, text) != text:
            identifier = f"{identifier}_{typed.name}"
            made = source.local_function(typed.node.spec.build, bound, identifier)
            self._functions[identifier] = layout.statement(made)
        weights = {f"{typed.name}_{slot.name}" for slot in typed.slots}
        arguments = [
            # One constant, not one for each use in a loop.
            _call("tf.convert_to_tensor", [v]) if isinstance(v, ast.Name) and v.id in weights else v
            for v in bound.values()
            if not is_literal(v)
        ]
        return _call(identifier, arguments)

    # --- Keras ------------------------------------------------------------------------------------------

    def keras(self) -> list[str]:
        """`def keras_model()` and what it needs."""
        keras = KERAS[self.case.conversion.entry]
        body: list[str] = []
        for i, t in enumerate(self.case.model.inputs):
            shape, dtype = repr(self.case.conversion.signature_shape(t.shape)), layout.string(t.dtype)
            body += layout.assign(f"x{i}", f'{keras}.Input(batch_shape={shape}, dtype={dtype}, name="x{i}")', 4)
        wrapped = False
        for typed in self.case.model.typed:
            if typed.node.spec.keras is not None and layer_fits(typed):
                body += _layer(typed, keras)
            else:
                wrapped = True
                body += self._op_layer(typed)
        inputs = ", ".join(f"x{i}" for i in range(len(self.case.model.inputs)))
        body.append(f"    return {keras}.Model([{inputs}], [{', '.join(self.case.model.outputs)}])")
        layer = _OP_LAYER
        if self.case.conversion.scheme in TFMOT:
            layer = _OP_LAYER.replace(_OP_CONSTRUCTOR, _OP_CLONED) + _OP_CONFIG
        helpers = ["", *layer.replace("@keras@", keras).rstrip().splitlines()] if wrapped else []
        lines = [*helpers, *self._helpers(), "", "", "def keras_model():", *body]
        return [*lines, *training_text.optimised(self.case, wrapped)]

    def _op_layer(self, typed: TypedNode) -> list[str]:
        letters = list("abcdefgh"[: len(typed.node.operands)])
        bound = self._bound(typed, letters)
        types = dict(zip(bound, typed.operands, strict=False))
        value: ast.expr | None = None
        try:
            made = source.inline(typed.node.spec.build, bound, typed.name, types)
            if len(made) == 1 and isinstance(made[0], ast.Assign):
                value = made[0].value
        except NotInlineError:
            pass  # the op's function is called instead
        value = value or self._called(typed, bound)
        function = ast.Lambda(ast.arguments([], [ast.arg(x) for x in letters], None, [], [], None, []), value)
        layer = _call("Op", [function])
        return layout.statement(source.assignment(typed.name, ast.Call(layer, _operands(typed), [])), 4)


def _layer(typed: TypedNode, keras: str) -> list[str]:
    """A node as its Keras layer, weights set."""
    spec = typed.node.spec
    assert spec.keras is not None
    given = {k: literal(v) for k, v in typed.node.attrs.items()}
    bound = {"keras": layout.expression(keras), **source.bind(spec.keras, [], given)}
    made = source.inline(spec.keras, bound, typed.name, {})
    assert isinstance(made[0], ast.Assign)
    present = {slot.name for slot in typed.slots}
    weights = [f"{typed.name}_{w}" for w in spec.keras_weights if w in present]
    if not weights:
        made[0].value = ast.Call(made[0].value, _operands(typed), [])
        return layout.statement(made[0], 4)
    layer = f"{typed.name}_layer"
    called = ast.Call(name(layer), _operands(typed), [])
    return [
        *layout.statement(source.assignment(layer, made[0].value), 4),
        *layout.statement(source.assignment(typed.name, called), 4),
        f"    {layer}.set_weights([{', '.join(weights)}])",
    ]


def _operands(typed: TypedNode) -> list[ast.expr]:
    """The argument of a layer: a value, or a list of several."""
    names: list[ast.expr] = [name(o) for o in typed.node.operands]
    return names if len(names) == 1 else [ast.List(names, ast.Load())]


def _call(function: str, arguments: Sequence[ast.expr]) -> ast.Call:
    return ast.Call(layout.expression(function), list(arguments), [])


def _def(head: str) -> list[str]:
    """A `def` line, broken where it is too long."""
    if len(head) <= layout.WIDTH:
        return [head]
    start, rest = head.split("(", 1)
    arguments = layout.fill(rest.removesuffix("):").split(", "), 4)
    return [f"{start}(", *arguments, "):"]


def needs_real(case: Case) -> bool:
    """Whether some op names a float dtype, so that the model has to be told which one stands for it."""
    return any(
        typed.type.dtype in REALS and ("out_dtype" in typed.node.spec.parameters or not typed.node.spec.float64)
        for typed in case.model.typed
    )


def _named(value: ast.expr, names: Sequence[str]) -> bool:
    return isinstance(value, ast.Name) and value.id in names


# --- conversion -------------------------------------------------------------------------------------------


def convert(case: Case, truth: bool, guard: Sequence[str] = (), build_only: bool = False) -> list[str]:
    """The function `convert`. `guard` lines go right before the conversion; `build_only` stops before it."""
    options = [] if build_only else road_text.options(case)
    end = ["return converter" if build_only else "return converter.convert()"]
    body, folder = road_text.road(case, truth)
    indent = "    " if folder else ""
    body += [f"{indent}{line}" for line in [*options, *guard, *end]]
    what = "The converter for the model." if build_only else "The model as a TFLite flatbuffer."
    return ["", "", "def convert():", f'    """{what}"""', *(f"    {line}" for line in body)]
