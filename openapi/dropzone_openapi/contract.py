"""Finds breaking changes: differences between the released document and the current one that may affect clients.

A valid request must stay valid, and a response must stay as documented. Additions are allowed: operations, optional
parameters and fields, media types; clients ignore fields that they don't know (docs/evolution.md).

Only differences that are known to be harmless are allowed, all others are reported. Before the comparison, texts are
removed, and references resolved.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from operator import getitem
from typing import Any, Literal

Node = dict[str, Any]
Way = Literal["sent", "received"]
"""The schemas of what clients send may only become wider; those of what they receive, only narrower."""

_TEXTS = frozenset({"$comment", "deprecated", "description", "example", "examples", "externalDocs", "title"})
_NOTHING: Node = {"not": {}}
_MAPS = frozenset({"content", "dependentSchemas", "headers", "paths", "patternProperties", "properties", "responses"})
"""Keywords whose values have names as keys, which may be the same as keywords."""
_COMPARED = frozenset({"content", "headers", "in", "name", "required", "schema"})
_VALUES = frozenset({"default", "enum", "required"})
_UPPER_BOUNDS = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_LOWER_BOUNDS = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_ONLY_REFUSE = _UPPER_BOUNDS | _LOWER_BOUNDS | {
    "allOf", "enum", "format", "multipleOf", "not", "pattern", "patternProperties", "required", "type", "uniqueItems",
}  # fmt: skip
"""Keywords that only restrict: without one of them, a schema allows more."""


def breaking_changes(old: Node, new: Node) -> list[str]:
    """All differences that may break a client of the old document, each with its location."""
    found = [f"server {server['url']}: is gone" for server in old.get("servers", []) if server not in new["servers"]]
    before, after = _normal(old.get("paths", {}), old), _normal(new.get("paths", {}), new)
    for path, method in ((path, method) for path, item in before.items() for method in item):
        place = f"{method.upper()} {path}"
        if method not in after.get(path, {}):
            found.append(f"{place}: is gone")
        elif _differ(before[path][method], after[path][method]):  # a fast check, since most don't
            found += _operation(before[path][method], after[path][method], place)
    for name, scheme in old.get("components", {}).get("securitySchemes", {}).items():
        if _differ(_normal(scheme, old), _normal(new["components"]["securitySchemes"].get(name), new)):
            found.append(f"security scheme {name}: is another")
    # Payload versions are compared separately, since the schema of bodies is wider.
    return list(dict.fromkeys([*found, *_members(_versions(old), _versions(new), "", "sent", _schema)]))


def _versions(document: Node) -> dict[str, Node]:
    schemas = document.get("components", {}).get("schemas", {})
    return {name: _normal(schema, document) for name, schema in schemas.items() if name.startswith("EventV")}


def is_allowed(old: Node, new: Node) -> bool:
    """Whether the version allows breaking changes: by its first number, or the second one while that is 0."""
    return _compatible(new) > _compatible(old)


def _compatible(document: Node) -> tuple[int, int]:
    """The part of the version that is the same in all compatible versions."""
    major, minor, _ = (int(number) for number in document["info"]["version"].split("."))
    return (major, 0) if major else (0, minor)


def _normal(node: Any, document: Node, inside: frozenset[str] = frozenset()) -> Any:  # noqa: ANN401 - a part of a document
    """The node without texts, and with resolved references; recursive ones stay references."""
    if isinstance(node, list):
        return [_normal(entry, document, inside) for entry in node]
    if not isinstance(node, dict):
        return node
    own: Node = {}
    for keyword, value in node.items():
        if keyword == "const":
            own["enum"] = [value]
        elif keyword in _MAPS or keyword == "parameters":
            named = value if keyword in _MAPS else {f"{entry['in']} {entry['name']}": entry for entry in value}
            own[keyword] = {name: _normal(_long(entry), document, inside) for name, entry in named.items()}
        elif keyword not in _TEXTS:
            own[keyword] = value if keyword in _VALUES else _normal(_long(value), document, inside)
    reference = own.get("$ref")
    if reference is None or reference in inside:
        return own
    del own["$ref"]
    target = reduce(getitem, reference.removeprefix("#/").split("/"), document)
    target = _normal(target, document, inside | {reference})
    return {"allOf": [target, own]} if own.keys() & target.keys() else target | own


def _long(schema: object) -> object:
    """A schema in its long form."""
    return {True: {}, False: _NOTHING}[schema] if isinstance(schema, bool) else schema


def _differ(one: object, other: object) -> bool:
    """Whether they differ as JSON: in Python, True equals 1."""
    return json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)


# ---- operations ------------------------------------------------------------------------------------------------------


def _operation(old: Node, new: Node, place: str) -> Iterator[str]:
    keys = old.get("security"), new.get("security")
    if keys[1] and _differ(*keys):
        yield f"{place}: asks for another key" if keys[0] else f"{place}: asks for a key"
    yield from _members(old.get("parameters", {}), new.get("parameters", {}), f"{place} ", "sent", _described)
    body, body_after = ({"body": each["requestBody"]} if "requestBody" in each else {} for each in (old, new))
    yield from _members(body, body_after, f"{place} ", "sent", _described)
    answers, answers_after = old.get("responses", {}), new.get("responses", {})
    # Error responses may be removed.
    kept = {status: answer for status, answer in answers.items() if status in answers_after or status[0] == "2"}
    yield from _members(kept, answers_after, f"{place} ", "received", _described)


def _members(
    old: Mapping[str, Node],
    new: Mapping[str, Node],
    place: str,
    way: Way,
    compare: Callable[[Node, Node, str, Way], Iterator[str]],
) -> Iterator[str]:
    """The differences in named parts."""
    for name, part in old.items():
        if name in new:
            yield from compare(part, new[name], f"{place}{name}", way)
        else:
            yield f"{place}{name}: is gone"
    for name in sorted(new.keys() - old.keys()):
        if way == "sent" and new[name].get("required") is True:
            yield f"{place}{name}: is new, and required"


def _described(old: Node, new: Node, place: str, way: Way) -> Iterator[str]:
    """The differences in a parameter, a body, a response, a header or a media type."""
    required = old.get("required", False), new.get("required", False)
    if required == ((False, True) if way == "sent" else (True, False)):
        yield f"{place}: {'is required' if way == 'sent' else 'may be missing'}"
    # Clients don't know anything that was added to a response.
    for name in sorted((old.keys() | new.keys() if way == "sent" else old.keys()) - _COMPARED):
        if _differ(old.get(name), new.get(name)):
            yield f"{place}: has another {name}"
    yield from _schema(old.get("schema", {}), new.get("schema", {}), place, way)
    yield from _members(old.get("headers", {}), new.get("headers", {}), f"{place} header ", way, _described)
    yield from _members(old.get("content", {}), new.get("content", {}), f"{place} ", way, _described)


# ---- schemas ---------------------------------------------------------------------------------------------------------


def _schema(old: Node, new: Node, place: str, way: Way) -> Iterator[str]:
    """The incompatible differences: each value that matches the narrower schema has to match the wider one."""
    narrow, wide = (old, new) if way == "sent" else (new, old)
    some, others = _alternatives(narrow), _alternatives(wide)
    if len(some) > 1 or len(others) > 1:
        pairs = [[(one, other) if way == "sent" else (other, one) for other in others] for one in some]
        if not all(any(not [*_schema(*pair, place, way)] for pair in row) for row in pairs):
            yield f"{place}: has an alternative that {'is not taken any more' if way == 'sent' else 'is new'}"
    elif some[0] != _NOTHING and others[0] != {}:
        old, new = (some[0], others[0]) if way == "sent" else (others[0], some[0])
        yield from _fields(old, new, place, way)
        for keyword in sorted((old.keys() | new.keys()) - {"properties", "additionalProperties"}):
            yield from _keyword(keyword, old, new, place, way)


def _alternatives(schema: Node) -> list[Node]:
    """The schemas of which a value has to match at least one."""
    if schema.keys() != {"anyOf"}:
        return [schema]
    return [found for alternative in schema["anyOf"] for found in _alternatives(alternative)]


def _keyword(keyword: str, old: Node, new: Node, place: str, way: Way) -> Iterator[str]:
    before, after = old.get(keyword), new.get(keyword)
    if keyword in {"items", "propertyNames"}:
        yield from _schema(before or {}, after or {}, f"{place} {keyword}", way)
    elif keyword == "anyOf":
        yield from _schema({keyword: before} if before else {}, {keyword: after} if after else {}, place, way)
    elif keyword == "patternProperties" and before and after and before.keys() == after.keys():
        yield from _members(before, after, f"{place} {keyword} ", way, _schema)
    elif not _is_harmless(keyword, *((old, new) if way == "sent" else (new, old))):
        yield f"{place}: {keyword} was {json.dumps(before)}, is {json.dumps(after)}"


def _is_harmless(keyword: str, narrow: Node, wide: Node) -> bool:
    """Whether, by this keyword, the narrow schema allows no more than the wide one."""
    if keyword not in narrow or keyword not in wide:
        return keyword in narrow and keyword in _ONLY_REFUSE
    one, other = narrow[keyword], wide[keyword]
    if keyword == "type":
        return _types(one) <= _types(other)
    if keyword == "enum":
        return {json.dumps(value) for value in one} <= {json.dumps(value) for value in other}
    if keyword == "required":
        return set(one) >= set(other)
    if keyword in _UPPER_BOUNDS | _LOWER_BOUNDS:
        return bool(one <= other if keyword in _UPPER_BOUNDS else one >= other)
    return not _differ(one, other)


def _types(given: str | list[str]) -> set[str]:
    types = {given} if isinstance(given, str) else set(given)
    return types | ({"integer"} if "number" in types else set())


def _fields(old: Node, new: Node, place: str, way: Way) -> Iterator[str]:
    """The differences in an object's fields."""
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, schema in before.items():
        if after.get(name, _NOTHING) == _NOTHING != schema:
            yield f"{place}.{name}: is gone"
        else:
            yield from _schema(schema, after[name], f"{place}.{name}", way)
    rest, rest_after = old.get("additionalProperties", {}), new.get("additionalProperties", {})
    for name in sorted(after.keys() - before.keys()):
        # In a payload with patterns, any name may have had one of their schemas. In a response that had no other
        # fields, clients ignore new ones.
        if "patternProperties" not in old if way == "sent" else rest != _NOTHING:
            yield from _schema(rest, after[name], f"{place}.{name}", way)
    if way == "sent" or rest != _NOTHING:
        yield from _schema(rest, rest_after, f"{place}.*", way)
