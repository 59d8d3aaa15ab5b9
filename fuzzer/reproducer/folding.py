"""Constant folding of an op's source: what is known of one case is computed, branches not taken disappear.

Literals are AST nodes throughout: no text of a case is ever pasted.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from fuzzer.ops import TensorType

Bindings = Mapping[str, ast.expr]
"""What each name stands for."""
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Mod: lambda a, b: a % b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.RShift: lambda a, b: a >> b,
    ast.LShift: lambda a, b: a << b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
}
_MAX_WRITTEN_OUT = 24
"""Elements of a comprehension that are written out; longer ones stay comprehensions."""
_KINDS = {"is_integer": ("int", "uint"), "is_floating": ("float", "bfloat")}
"""How the names of dtypes begin of which `tf.DType` says these (tensorflow/python/framework/dtypes.py)."""
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Is: lambda a, b: a is b,
    ast.IsNot: lambda a, b: a is not b,
    ast.Eq: lambda a, b: bool(a == b),
    ast.NotEq: lambda a, b: bool(a != b),
    ast.Lt: lambda a, b: bool(a < b),
    ast.LtE: lambda a, b: bool(a <= b),
    ast.Gt: lambda a, b: bool(a > b),
    ast.GtE: lambda a, b: bool(a >= b),
}


def literal(value: object) -> ast.expr:
    """The AST of a plain value: numbers, strings, None, and tuples and lists of them."""
    if isinstance(value, tuple):
        return ast.Tuple([literal(v) for v in value], ast.Load())
    if isinstance(value, list):
        return ast.List([literal(v) for v in value], ast.Load())
    if value is None or isinstance(value, bool | int | float | str):
        return ast.Constant(value)
    raise TypeError(f"no literal for a {type(value).__name__}")


def is_literal(value: ast.expr) -> bool:
    """Whether an expression is a literal through and through."""
    if isinstance(value, ast.Tuple | ast.List):
        return all(is_literal(v) for v in value.elts)
    return isinstance(value, ast.Constant)


def _plain(value: ast.expr) -> Any:
    """The value of a literal."""
    if isinstance(value, ast.Tuple):
        return tuple(_plain(v) for v in value.elts)
    if isinstance(value, ast.List):
        return [_plain(v) for v in value.elts]
    assert isinstance(value, ast.Constant)
    return value.value


class Folder(ast.NodeTransformer):
    """Replaces bound names and computes what is constant."""

    def __init__(self, bound: Bindings, types: Mapping[str, TensorType], any_dtype: bool) -> None:
        self.bound = dict(bound)
        self._types = types
        self._any_dtype = any_dtype

    def expression(self, node: ast.expr | None) -> ast.expr:
        """The folded copy of an expression."""
        assert node is not None
        folded = self.visit(deepcopy(node))
        assert isinstance(folded, ast.expr)
        return folded

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A bound name becomes what it stands for."""
        return deepcopy(self.bound.get(node.id, node)) if isinstance(node.ctx, ast.Load) else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """`x.shape.rank` and `x.dtype.is_integer` of a typed value are known; float64 is floating too."""
        of = node.value
        if node.attr == "rank" and isinstance(of, ast.Attribute) and (known := self._shape(of)) is not None:
            return literal(len(known))
        starts = _KINDS.get(node.attr)
        if starts and isinstance(of, ast.Attribute) and of.attr == "dtype" and (type_ := self._type(of.value)):
            return literal(type_.dtype.startswith(starts))
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Elements of literals, and sizes of typed values, are known."""
        index = self.expression(node.slice)
        if isinstance(index, ast.Constant) and isinstance(index.value, int):
            if isinstance(node.value, ast.Attribute) and (known := self._shape(node.value)) is not None:
                return literal(known[index.value])
            of = self.expression(node.value)
            if isinstance(of, ast.Tuple | ast.List) and is_literal(of):
                return of.elts[index.value]
        if isinstance(index, ast.Constant) and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == index.value:
                    return self.expression(value)
        return self.generic_visit(node)

    def _shape(self, node: ast.Attribute) -> tuple[int, ...] | None:
        type_ = self._type(node.value) if node.attr == "shape" else None
        return type_.shape if type_ is not None else None

    def _type(self, node: ast.expr) -> TensorType | None:
        return self._types.get(node.id) if isinstance(node, ast.Name) else None

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Arithmetic on numbers."""
        self.generic_visit(node)
        left, right, compute = node.left, node.right, _ARITHMETIC.get(type(node.op))
        if compute and isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
            return literal(compute(left.value, right.value))
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """Minus and not."""
        self.generic_visit(node)
        if isinstance(node.operand, ast.Constant):
            if isinstance(node.op, ast.USub):
                return literal(-node.operand.value)  # type: ignore[operator]
            if isinstance(node.op, ast.Not):
                return literal(not node.operand.value)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Comparisons of literals, of anything with None, and of a typed value's dtype."""
        known = self._dtype_test(node)
        if known is not None:
            return literal(known)
        self.generic_visit(node)
        compare = _COMPARISONS.get(type(node.ops[0]))
        if compare is None or len(node.ops) != 1:
            return node
        left, right = node.left, node.comparators[0]
        if is_literal(left) and is_literal(right):
            return literal(compare(_plain(left), _plain(right)))
        identity = isinstance(node.ops[0], ast.Is | ast.IsNot)
        if identity and isinstance(right, ast.Constant) and right.value is None and isinstance(left, ast.Name):
            return literal(isinstance(node.ops[0], ast.IsNot))
        return node

    def _dtype_test(self, node: ast.Compare) -> bool | None:
        """The outcome of `x.dtype == tf.float32` where it is known."""
        left, right = node.left, node.comparators[0]
        if self._any_dtype or not (isinstance(left, ast.Attribute) and left.attr == "dtype"):
            return None
        if not (isinstance(left.value, ast.Name) and left.value.id in self._types and isinstance(right, ast.Attribute)):
            return None
        same = self._types[left.value.id].dtype == right.attr
        return same if isinstance(node.ops[0], ast.Eq) else not same

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """`and` and `or` with constants."""
        self.generic_visit(node)
        decided_by = isinstance(node.op, ast.Or)
        for value in node.values:
            # What is tested before it has no effect of its own.
            if isinstance(value, ast.Constant) and bool(value.value) == decided_by:
                return value
        values = list(node.values)
        while len(values) > 1 and isinstance(values[0], ast.Constant):
            values.pop(0)
        if len(values) == 1:
            return values[0]
        node.values = values
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """The branch that is taken, where that is known."""
        test = self.expression(node.test)
        if isinstance(test, ast.Constant):
            return self.expression(node.body if test.value else node.orelse)
        return self.generic_visit(node)

    def visit_List(self, node: ast.List) -> ast.AST:
        """`[1, *strides, 1]` with known strides."""
        return self._unstarred(node)

    def visit_Tuple(self, node: ast.Tuple) -> ast.AST:
        """`(1, *strides, 1)` with known strides."""
        return self._unstarred(node)

    def _unstarred(self, node: ast.Tuple | ast.List) -> ast.AST:
        self.generic_visit(node)
        flat: list[ast.expr] = []
        for element in node.elts:
            starred = element.value if isinstance(element, ast.Starred) else None
            flat.extend(starred.elts if isinstance(starred, ast.Tuple | ast.List) else [element])
        node.elts = flat
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`"SAME".lower()`, `range(4)`, `len((1, 2))` and `str(3)`."""
        self.generic_visit(node)
        of = node.func
        if isinstance(of, ast.Attribute) and of.attr in ("lower", "upper") and isinstance(of.value, ast.Constant):
            return literal(getattr(of.value.value, of.attr)())
        if isinstance(of, ast.Name) and of.id in ("range", "len", "str") and all(is_literal(a) for a in node.args):
            arguments = [_plain(a) for a in node.args]
            if of.id == "str":
                return literal(str(arguments[0]))
            if of.id == "len":
                return literal(len(arguments[0]))
            numbers = range(*arguments)
            return literal(list(numbers)) if len(numbers) <= _MAX_WRITTEN_OUT else node
        return node

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        """A comprehension over literals is written out."""
        generator = node.generators[0]
        target = generator.target
        values = self.expression(generator.iter)
        if len(node.generators) != 1 or not isinstance(target, ast.Name):
            return self.generic_visit(node)
        if not isinstance(values, ast.Tuple | ast.List) or not is_literal(values):
            return self.generic_visit(node)
        inner = [Folder({**self.bound, target.id: v}, self._types, self._any_dtype) for v in values.elts]
        tests = [[f.expression(test) for test in generator.ifs] for f in inner]
        if len(inner) > _MAX_WRITTEN_OUT or not all(isinstance(t, ast.Constant) for row in tests for t in row):
            return self.generic_visit(node)
        kept = [f for f, row in zip(inner, tests, strict=True) if all(_plain(t) for t in row)]
        return ast.List([f.expression(node.elt) for f in kept], ast.Load())

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """An assignment without its annotation."""
        if node.value is None:
            return node
        return self.visit(ast.Assign([node.target], node.value, lineno=0))  # type: ignore[no-any-return]

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """The branch that is taken, where that is known."""
        test = self.expression(node.test)
        if not isinstance(test, ast.Constant):
            return self.generic_visit(node)
        return self._body(node.body if test.value else node.orelse)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Without annotations, and without what follows a `return`."""
        loose = [a for a in (node.args.vararg, node.args.kwarg) if a is not None]
        for argument in (*node.args.args, *node.args.kwonlyargs, *loose):
            argument.annotation = None
        node.args.defaults = [self.expression(value) for value in node.args.defaults]
        node.args.kw_defaults = [None if v is None else self.expression(v) for v in node.args.kw_defaults]
        node.returns = None
        node.body = self._body(node.body)
        return node

    def _body(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        for statement in statements:
            made = self.visit(statement)
            done.extend(made if isinstance(made, list) else [made])
            if done and isinstance(done[-1], ast.Return):
                break
        return done
