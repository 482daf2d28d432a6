"""A small evaluator of the data model that the W3C's tests are written in: for these tests only.

Expressions are parsed as Python's and interpreted node by node: literals, names, attributes, items, comparisons, `and`,
`or`, `not`, `+` and the calls that the tests make. Anything else is an error of the expression, and so is what fails.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Protocol


class ExpressionError(Exception):
    """An expression that cannot be parsed or evaluated."""


class Scope(Protocol):
    """What an expression sees: the variables, and which states are active."""

    def value_of(self, name: str) -> Any: ...

    def is_active(self, state: str) -> bool: ...


_WORDS: Mapping[str, Any] = {"true": True, "false": False, "undefined": None, "null": None}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, other: one in other,
    ast.NotIn: lambda one, other: one not in other,
}


def evaluated(text: str, scope: Scope) -> Any:
    """The value of an expression. Raises ExpressionError."""
    try:
        parsed = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is no expression") from error
    try:
        return _value(parsed.body, scope)
    except (TypeError, KeyError, AttributeError, IndexError) as error:
        raise ExpressionError(f"{text!r} cannot be evaluated: {error}") from error


def assignments(text: str) -> list[tuple[str, str]]:
    """The assignments of a script: names, and the expressions that they are given. Raises ExpressionError."""
    try:
        statements = ast.parse(text.strip()).body
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is no script") from error
    found = []
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.append((name, ast.unparse(value)))
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
                found.append((name, f"{name} + {ast.unparse(value)}"))
            case _:
                raise ExpressionError(f"{text!r} does more than assign")
    return found


def literal(text: str) -> Any:
    """What inline content stands for: a literal, or else its words."""
    try:
        return ast.literal_eval(text.strip())
    except (SyntaxError, ValueError):
        return " ".join(text.split())


def _value(node: ast.expr, scope: Scope) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return _WORDS[node.id] if node.id in _WORDS else scope.value_of(node.id)
        case ast.List():
            return [_value(part, scope) for part in node.elts]
        case ast.Attribute():
            found = _value(node.value, scope)
            return found[node.attr] if isinstance(found, dict) else getattr(found, node.attr)
        case ast.Subscript():
            return _value(node.value, scope)[_value(node.slice, scope)]
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, scope)
        case ast.BinOp(op=ast.Add()):
            return _value(node.left, scope) + _value(node.right, scope)
        case ast.BoolOp():
            return _joined(node, scope)
        case ast.Compare():
            return _compared(node, scope)
        case ast.Call():
            return _called(node, scope)
    raise ExpressionError(f"{ast.unparse(node)} is beyond these tests")


def _joined(node: ast.BoolOp, scope: Scope) -> bool:
    parts = (bool(_value(part, scope)) for part in node.values)
    return all(parts) if isinstance(node.op, ast.And) else any(parts)


def _compared(node: ast.Compare, scope: Scope) -> bool:
    left = _value(node.left, scope)
    for sign, part in zip(node.ops, node.comparators, strict=True):
        right = _value(part, scope)
        if not _COMPARISONS[type(sign)](left, right):
            return False
        left = right
    return True


def _called(node: ast.Call, scope: Scope) -> Any:
    given = [_value(part, scope) for part in node.args]
    match node.func:
        case ast.Name(id="In"):
            return scope.is_active(*given)
        case ast.Name(id="hasattr"):
            return hasattr(*given)
        case ast.Attribute(attr="get"):
            return _value(node.func.value, scope).get(*given)
    raise ExpressionError(f"{ast.unparse(node)} is beyond these tests")
