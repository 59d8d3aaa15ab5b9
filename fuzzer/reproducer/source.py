"""The source of an op becomes a few lines of a reproducer.

An op's `build` is an ordinary function. Its parameters are replaced by what they are in one case (names of
values and weights, literals, None), what is then constant is computed, branches not taken disappear, and a
line or two of plain TensorFlow are left. Literals are AST nodes throughout: no text of a case is ever pasted.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from fuzzer.ops import TensorType
from fuzzer.reproducer.folding import Bindings, Folder, is_literal, literal


class NotInlineError(Exception):
    """The body is more than assignments and one result: it has to stay a function."""


def name(identifier: str) -> ast.Name:
    """The AST of a variable that is read."""
    return ast.Name(identifier, ast.Load())


@cache
def _parsed(function: Callable[..., Any]) -> ast.FunctionDef:
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """The function's own AST, without its docstring; free to be changed."""
    node = deepcopy(_parsed(function))
    if ast.get_docstring(node) is not None:
        node.body = node.body[1:]
    return node


def bind(function: Callable[..., Any], operands: Sequence[str], given: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    """What each parameter but the first (the module) stands for. A missing operand or weight is None."""
    arguments = definition(function).args
    bound: dict[str, ast.expr] = {}
    positional = [a.arg for a in arguments.args[1:]]
    for i, parameter in enumerate(positional):
        bound[parameter] = name(operands[i]) if i < len(operands) else literal(None)
    if arguments.vararg is not None:
        bound[arguments.vararg.arg] = ast.List([name(o) for o in operands[len(positional) :]], ast.Load())
    for keyword in arguments.kwonlyargs:
        bound[keyword.arg] = given.get(keyword.arg, literal(None))
    return bound


def inline(
    function: Callable[..., Any],
    bound: Bindings,
    target: str,
    types: Mapping[str, TensorType],
    any_dtype: bool = False,
) -> list[ast.stmt]:
    """The body as statements that leave the result in the variable `target`.

    `types` are those of the parameters that are values; their ranks and shapes are known. With `any_dtype`
    the lines are to run in other dtypes too, so tests of a dtype stay. Raises `NotInlineError`.
    """
    fold = Folder(bound, types, any_dtype)
    work = list(definition(function).body)
    done: list[ast.stmt] = []
    while work:
        statement = work.pop(0)
        if isinstance(statement, ast.Return):
            result = fold.expression(statement.value)
            if not (isinstance(result, ast.Name) and result.id == target):
                done.append(assignment(target, result))
            return done
        if isinstance(statement, ast.If):
            work[:0] = _branch(fold, statement, work)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            value = fold.expression(statement.value)
            local = statement.targets[0].id
            if is_literal(value) or (isinstance(value, ast.Name) and value.id != target):
                fold.bound[local] = value
            else:
                fold.bound[local] = name(target)
                if done and _reads(work, [k for k, v in fold.bound.items() if _is(v, target) and k != local]):
                    raise NotInlineError(local)
                done.append(assignment(target, value))
        else:
            raise NotInlineError(ast.unparse(statement))
    raise NotInlineError("no result")


def _branch(fold: Folder, statement: ast.If, rest: list[ast.stmt]) -> list[ast.stmt]:
    """The branch that is taken; where that is not known, two results become one conditional result."""
    test = fold.expression(statement.test)
    if isinstance(test, ast.Constant):
        return statement.body if test.value else statement.orelse
    other = statement.orelse or rest
    if len(statement.body) == 1 == len(other):
        left, right = statement.body[0], other[0]
        if isinstance(left, ast.Return) and isinstance(right, ast.Return) and left.value and right.value:
            return [ast.Return(ast.IfExp(statement.test, left.value, right.value))]
    raise NotInlineError(ast.unparse(statement.test))


def _is(value: ast.expr, identifier: str) -> bool:
    return isinstance(value, ast.Name) and value.id == identifier


def _reads(statements: Sequence[ast.stmt], names: Sequence[str]) -> bool:
    return any(isinstance(n, ast.Name) and n.id in names for s in statements for n in ast.walk(s))


def assignment(target: str, value: ast.expr) -> ast.Assign:
    """The AST of `target = value`."""
    return ast.Assign([ast.Name(target, ast.Store())], value, lineno=0)


def local_function(function: Callable[..., Any], bound: Bindings, identifier: str) -> ast.FunctionDef:
    """The function itself, its constant parameters filled in and what can't be reached removed.

    Parameters bound to variables stay parameters, under their own names.
    """
    made = definition(function)
    kept = [k for k, v in bound.items() if not is_literal(v)]
    constants = {k: v for k, v in bound.items() if is_literal(v)}
    vararg = made.args.vararg if made.args.vararg is not None and made.args.vararg.arg in kept else None
    plain = [ast.arg(k) for k in kept if vararg is None or k != vararg.arg]
    if vararg is not None:
        plain.append(ast.arg(vararg.arg))  # the list itself is handed over
    made.args = ast.arguments([], plain, None, [], [], None, [])
    made.name, made.returns, made.decorator_list = identifier, None, []
    folded = Folder(constants, {}, True).visit(made)
    assert isinstance(folded, ast.FunctionDef)
    return _without_unread(folded)


def _without_unread(function: ast.FunctionDef) -> ast.FunctionDef:
    """The function without assignments to names that nothing reads: they served a branch that is gone."""
    while True:
        read = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        unread = [s for s in function.body if isinstance(s, ast.Assign) and _stores(s) and not _stores(s) & read]
        if not unread:
            return function
        function.body = [s for s in function.body if s not in unread]


def _stores(statement: ast.Assign) -> set[str]:
    """The names that an assignment binds; empty where it does more than that."""
    targets = [e for t in statement.targets for e in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return (
        {t.id for t in targets if isinstance(t, ast.Name)} if all(isinstance(t, ast.Name) for t in targets) else set()
    )
