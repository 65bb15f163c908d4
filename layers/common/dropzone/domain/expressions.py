"""JMESPath with bounded cost, for the expressions of contracts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from typing import Any

from jmespath import functions
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.parser import Parser
from jmespath.visitor import Options, TreeInterpreter

from dropzone.domain.mapping import MAX_LENGTH, MappingError

ERRORS = (MappingError, JMESPathError, TypeError, ValueError, OverflowError, RecursionError, AttributeError)
"""What evaluating may raise: a value has the wrong type for a function, or evaluating would cost too much."""
_BUDGET = 3_000_000
"""The maximum number of steps and elements of results: about thirty per event in a body with the most events."""
_CHARACTERS_OF_A_STEP = 100


def _as_entries(of: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in of.items()]


class _Functions(functions.Functions):
    """JMESPath's functions and two more: `entries` and `pair`."""

    @functions.signature({"types": ["object"]})
    def _func_entries(self, of: dict[str, Any]) -> list[dict[str, Any]]:
        """The entries of an object, each with a `key` and a `value`."""
        return _as_entries(of)

    @functions.signature({"types": ["array"]}, {"types": ["array"]})
    def _func_pair(self, keys: list[Any], values: list[Any]) -> list[dict[str, Any]]:
        """Two arrays combined, each element with a `key` and a `value`."""
        return [{"key": key, "value": value} for key, value in zip(keys, values, strict=False)]


class _Interpreter(TreeInterpreter):
    def __init__(self) -> None:
        super().__init__(Options(custom_functions=_Functions()))
        self.left = _BUDGET

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - jmespath's
        result = super().visit(node, *args, **kwargs)
        kind = type(result)
        self.left -= 1 + (
            len(result) if kind is list or kind is dict else len(result) // _CHARACTERS_OF_A_STEP if kind is str else 0
        )
        if self.left < 0:
            raise MappingError("it takes more steps than are allowed")
        return result


_INTERPRETER = _Interpreter()
"""Shared: expressions are evaluated one at a time, and creating an interpreter takes longer than most expressions."""

type Search = Callable[[Any], Any]


def search(text: str) -> Search:
    """A function that evaluates an expression on a JSON value.

    The function raises one of `ERRORS` if the expression can't be evaluated, or would cost too much.

    Raises:
        ValueError: the text is not JMESPath, or too long.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"has more than {MAX_LENGTH} characters")
    try:
        node: Mapping[str, Any] = Parser().parse(text).parsed
    except (JMESPathError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is nested too deep"
        raise ValueError(f"is not JMESPath: {reason}") from error
    if unknown := set(_called_functions(node)) - set(_Functions.FUNCTION_TABLE):
        raise ValueError(f"calls a function that JMESPath doesn't have: {min(unknown)}")
    return _direct(node) or (lambda value: _interpreted(node, value))


def wrong_type(error: Exception) -> str:
    """Which function expected which type, and what it got, without the value; empty for any other error."""
    if not isinstance(error, JMESPathTypeError):
        return ""
    return f"{error.function_name}() takes {' or '.join(error.expected_types)}, and got {error.actual_type}"


def _called_functions(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node.get("children", ()):
        yield from _called_functions(child)


def _interpreted(node: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401 - any JSON
    _INTERPRETER.left = _BUDGET
    return _INTERPRETER.visit(node, value)


def _direct(node: Mapping[str, Any]) -> Search | None:
    """Evaluates what most expressions of contracts consist of without the interpreter, ten times as fast.

    None for an expression with anything else. None of these operations can produce more than it reads.
    """
    kind, value = node["type"], node.get("value")
    if kind == "field":
        return lambda at: at.get(value) if type(at) is dict else None
    if kind == "literal":
        return lambda _: value
    if kind in {"identity", "current"}:
        return lambda at: at
    inner = [_direct(child) for child in node["children"]]
    steps = [step for step in inner if step is not None]
    if len(steps) < len(inner):
        return None
    return _DIRECT[kind, value](*steps) if (kind, value) in _DIRECT else None


def _path(first: Search, *rest: Search) -> Search:
    if len(rest) == 1:
        (second,) = rest
        return lambda at: second(first(at))
    return lambda at: reduce(lambda found, step: step(found), rest, first(at))


def _list(*elements: Search) -> Search:
    return lambda at: None if at is None else [element(at) for element in elements]


def _either(first: Search, second: Search) -> Search:
    def search(at: Any) -> Any:  # noqa: ANN401 - any JSON
        found = first(at)
        return second(at) if _is_false(found) else found

    return search


def _filtered(of: Search, then: Search, condition: Search) -> Search:
    def search(at: Any) -> Any:  # noqa: ANN401 - any JSON
        found = of(at)
        if type(found) is not list:
            return None
        return [kept for element in found if not _is_false(condition(element)) and (kept := then(element)) is not None]

    return search


def _equal(one: Search, other: Search) -> Search:
    def search(at: Any) -> bool:  # noqa: ANN401 - any JSON
        first, second = one(at), other(at)
        return bool(first == second) and (type(first) is bool) == (type(second) is bool)

    return search


def _entries(of: Search) -> Search:
    def search(at: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON
        found = of(at)
        return _as_entries(found) if type(found) is dict else _refused("entries", found)

    return search


def _type(of: Search) -> Search:
    return lambda at: functions.TYPES_MAP.get(type(of(at)).__name__)


def _called(name: str) -> Callable[..., Search]:
    return lambda *arguments: lambda at: _FUNCTIONS.call_function(name, [argument(at) for argument in arguments])


def _joined(glue: Search, parts: Search) -> Search:
    def search(at: Any) -> Any:  # noqa: ANN401 - any JSON
        between, found = glue(at), parts(at)
        if type(found) is list:
            with suppress(TypeError):
                return str.join(between, found)
        return _refused("join", between, found)

    return search


def _refused(name: str, *arguments: Any) -> Any:  # noqa: ANN401 - any JSON
    """Call the function itself, which raises an error that names the types that it accepts."""
    return _FUNCTIONS.call_function(name, arguments)


def _is_false(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return not value and type(value) not in _NUMBERS


_NUMBERS = frozenset({int, float})
_FUNCTIONS = _Functions()
_DIRECT: Mapping[tuple[str, object], Callable[..., Search]] = {
    ("subexpression", None): _path,
    ("multi_select_list", None): _list,
    ("or_expression", None): _either,
    ("filter_projection", None): _filtered,
    ("comparator", "eq"): _equal,
    ("function_expression", "join"): _joined,
    ("function_expression", "entries"): _entries,
    ("function_expression", "type"): _type,
    **{("function_expression", name): _called(name) for name in ("pair", "to_number")},
}
"""The functions by the type and value of the node."""
