"""What breaks a client: the differences between the released document and the one of today that one could meet.

A request that was right must stay right, and an answer must stay what was promised. To add is fine: operations,
optional parameters and fields, media types; clients ignore fields that they don't know (docs/evolution.md).

Of a schema, what is known to be harmless is let pass, and every other difference is found: what clients send has to be
taken by today's schema, and what we answer has to be foreseen by the old one.
"""

import json
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

Document = dict[str, Any]
Schema = dict[str, Any]
AnySchema = Schema | bool

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_ANNOTATIONS = frozenset({"$comment", "deprecated", "description", "example", "examples", "externalDocs", "title"})
_READ_CLOSELY = frozenset({"content", "headers", "required", "schema"})


class Way(Enum):
    """Who writes what a schema describes: it may only become wider, or only narrower."""

    SENT = "by clients"
    RECEIVED = "by us"


class Pair(NamedTuple):
    """The documents that are compared: each refers to parts of its own."""

    old: Document
    new: Document


def breaking_changes(old: Document, new: Document) -> list[str]:
    """Every difference that may break a client of the old document, each said by its place."""
    pair = Pair(old, new)
    found = [*_service(pair), *_paths(pair)]
    # Payloads of events come in bodies that are described more widely than by their versions.
    for name, schema in _versions(old).items():
        if name in _versions(new):
            found += _schemas(pair, schema, _versions(new)[name], name, Way.SENT)
        else:
            found.append(f"{name}: is gone")
    return list(dict.fromkeys(found))


def is_allowed(old: Document, new: Document) -> bool:
    """Whether the version says that clients have to change: its first number, or the second one while that is 0."""
    return _compatible(new) > _compatible(old)


def _compatible(document: Document) -> tuple[int, int]:
    """What is the same in all versions that clients can use alike."""
    major, minor, _ = (int(number) for number in document["info"]["version"].split("."))
    return (major, 0) if major else (0, minor)


def _versions(document: Document) -> dict[str, Schema]:
    schemas = document.get("components", {}).get("schemas", {})
    return {name: schema for name, schema in schemas.items() if name.startswith("EventV")}


def _text(value: object) -> str:
    """The same for what is the same in JSON: in Python, True is 1."""
    return json.dumps(value, sort_keys=True)


def _without_words(described: Document) -> Document:
    return {name: value for name, value in described.items() if name not in _ANNOTATIONS}


def _followed(document: Document, described: Document) -> Document:
    """The schema that a reference names; any other schema unchanged."""
    while "$ref" in described:
        described = _target(document, described["$ref"])
    return described


def _target(document: Document, reference: str) -> Any:  # noqa: ANN401 - a part of a document
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


# ---- operations ------------------------------------------------------------------------------------------------------


def _service(pair: Pair) -> Iterator[str]:
    servers = {server["url"] for server in pair.new.get("servers", [])}
    for server in pair.old.get("servers", []):
        if server["url"] not in servers:
            yield f"server {server['url']}: is gone"
    before, after = (each.get("components", {}).get("securitySchemes", {}) for each in pair)
    for name, scheme in before.items():
        if _text(_without_words(scheme)) != _text(_without_words(after.get(name, {}))):
            yield f"security scheme {name}: is another"


def _paths(pair: Pair) -> Iterator[str]:
    for path, item in pair.old.get("paths", {}).items():
        others = pair.new.get("paths", {}).get(path, {})
        for method in _METHODS:
            if method not in item:
                continue
            place = f"{method.upper()} {path}"
            if method not in others:
                yield f"{place}: is gone"
            else:
                yield from _parameters(pair, item, others, method, place)
                yield from _operation(pair, item[method], others[method], place)


def _operation(pair: Pair, old: Document, new: Document, place: str) -> Iterator[str]:
    before, after = (
        each.get("security", document.get("security")) for each, document in zip((old, new), pair, strict=True)
    )
    if after and _text(after) != _text(before):
        yield f"{place}: asks for another key" if before else f"{place}: asks for a key"
    yield from _body(pair, old.get("requestBody"), new.get("requestBody"), f"{place} body")
    for status, answer in old.get("responses", {}).items():
        if status in new.get("responses", {}):
            yield from _described(pair, answer, new["responses"][status], f"{place} {status}", Way.RECEIVED)
        elif status.startswith("2"):
            yield f"{place} {status}: is gone"


def _parameters(pair: Pair, item: Document, others: Document, method: str, place: str) -> Iterator[str]:
    before, after = (
        {
            (entry["in"], entry["name"]): entry
            for found in [*each.get("parameters", []), *each[method].get("parameters", [])]
            for entry in [_followed(document, found)]
        }
        for each, document in zip((item, others), pair, strict=True)
    )
    for (where, name), entry in before.items():
        if (where, name) in after:
            yield from _described(pair, entry, after[where, name], f"{place} {where} {name}", Way.SENT)
        else:
            yield f"{place} {where} {name}: is gone"
    for where, name in sorted(after.keys() - before.keys()):
        if after[where, name].get("required"):
            yield f"{place} {where} {name}: is new, and required"


def _body(pair: Pair, old: Document | None, new: Document | None, place: str) -> Iterator[str]:
    if old is not None and new is not None:
        yield from _described(pair, old, new, place, Way.SENT)
    elif old is not None:
        yield f"{place}: is gone"
    elif new is not None and _followed(pair.new, new).get("required"):
        yield f"{place}: is new, and required"


def _described(pair: Pair, old: Document, new: Document, place: str, way: Way) -> Iterator[str]:
    """What differs in a parameter, a body, an answer, a header or a media type."""
    old, new = _followed(pair.old, old), _followed(pair.new, new)
    sent = way is Way.SENT
    if sent and new.get("required") and not old.get("required"):
        yield f"{place}: is required"
    if not sent and old.get("required") and not new.get("required"):
        yield f"{place}: may be missing"
    for name in sorted((old.keys() | new.keys() if sent else old.keys()) - _ANNOTATIONS - _READ_CLOSELY):
        if _text(old.get(name)) != _text(new.get(name)):
            yield f"{place}: has another {name}"
    yield from _schemas(pair, old.get("schema", {}), new.get("schema", {}), place, way)
    headers, contents = new.get("headers", {}), new.get("content", {})
    for name, header in old.get("headers", {}).items():
        if name in headers:
            yield from _described(pair, header, headers[name], f"{place} header {name}", way)
        else:
            yield f"{place} header {name}: is gone"
    for media_type, content in old.get("content", {}).items():
        if media_type in contents:
            yield from _described(pair, content, contents[media_type], f"{place} {media_type}", way)
        else:
            yield f"{place} {media_type}: is not {'taken' if sent else 'given'} any more"


# ---- schemas ---------------------------------------------------------------------------------------------------------

_NOTHING: Schema = {"not": {}}
_OF_A_SCHEMA = frozenset({
    "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then",
    "unevaluatedItems", "unevaluatedProperties",
})  # fmt: skip
_OF_A_LIST = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_OF_NAMES = frozenset({"dependentSchemas", "patternProperties", "properties"})
_UPPER_BOUNDS = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_LOWER_BOUNDS = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_ONLY_REFUSE = _UPPER_BOUNDS | _LOWER_BOUNDS | {
    "allOf", "format", "multipleOf", "not", "pattern", "patternProperties", "uniqueItems",
}  # fmt: skip
"""Without one of these, a schema allows more."""


def _schemas(pair: Pair, old: Schema, new: Schema, place: str, way: Way) -> list[str]:
    old, new = _normal(pair.old, old), _normal(pair.new, new)
    return list(_excess(old, new, place, way) if way is Way.SENT else _excess(new, old, place, way))


def _normal(document: Document, schema: AnySchema, inside: frozenset[str] = frozenset()) -> Schema:
    """The schema with references followed, and without words; one that leads into itself stays a reference."""
    if isinstance(schema, bool):
        return {} if schema else _NOTHING
    own: Schema = {}
    for keyword, value in _without_words(schema).items():
        if keyword in _OF_A_SCHEMA:
            own[keyword] = _normal(document, value, inside)
        elif keyword in _OF_A_LIST:
            own[keyword] = [_normal(document, each, inside) for each in value]
        elif keyword in _OF_NAMES:
            own[keyword] = {name: _normal(document, each, inside) for name, each in value.items()}
        else:
            own[keyword] = value
    reference = own.get("$ref")
    if reference is None or reference in inside:
        return own
    del own["$ref"]
    target = _normal(document, _target(document, reference), inside | {reference})
    return {"allOf": [target, own]} if own else target


def _alternatives(schema: Schema) -> list[Schema]:
    """The schemas of which a value has to match one."""
    if schema.keys() != {"anyOf"}:
        return [schema]
    return [found for alternative in schema["anyOf"] for found in _alternatives(alternative)]


def _excess(narrow: Schema, wide: Schema, place: str, way: Way) -> Iterator[str]:
    """What may match the first schema and not the second."""
    some, others = _alternatives(narrow), _alternatives(wide)
    if len(some) > 1 or len(others) > 1:
        if not all(any(not [*_excess(one, other, place, way)] for other in others) for one in some):
            yield f"{place}: has an alternative that {'is not taken any more' if way is Way.SENT else 'is new'}"
        return
    narrow, wide = some[0], others[0]
    if narrow != _NOTHING and wide != {}:
        yield from _fields(narrow, wide, place, way)
        for keyword in sorted((narrow.keys() | wide.keys()) - {"properties", "additionalProperties"}):
            yield from _keyword(keyword, narrow, wide, place, way)


def _keyword(keyword: str, narrow: Schema, wide: Schema, place: str, way: Way) -> Iterator[str]:
    """What the first schema allows more than the second by a keyword."""
    one, other = narrow.get(keyword), wide.get(keyword)
    if keyword == "required":
        for field in sorted({*(other or [])} - {*(one or [])}):
            yield f"{place}.{field}: {'is required' if way is Way.SENT else 'may be missing'}"
    elif keyword in {"items", "propertyNames"}:
        name = f"{place}{'[]' if keyword == 'items' else ' names'}"
        yield from _excess(one or {}, other or {}, name, way)
    elif keyword == "anyOf":
        yield from _excess({keyword: one} if one else {}, {keyword: other} if other else {}, place, way)
    elif keyword in {"allOf", "dependentSchemas", "patternProperties", "prefixItems"} and _parts(one) == _parts(other):
        for name in _parts(one):
            yield from _excess(one[name], other[name], f"{place} {keyword} {name}", way)  # type: ignore[index] # neither is None
    elif not _is_harmless(keyword, narrow, wide):
        yield f"{place}: has another {keyword}"


def _parts(schemas: list[Schema] | dict[str, Schema] | None) -> list[Any]:
    return list(range(len(schemas))) if isinstance(schemas, list) else sorted(schemas or {})


def _is_harmless(keyword: str, narrow: Schema, wide: Schema) -> bool:
    one, other = narrow.get(keyword), wide.get(keyword)
    if (keyword in narrow) == (keyword in wide) and _text(one) == _text(other):
        return True
    if keyword == "type":
        return _types(narrow) <= _types(wide)
    if keyword in {"const", "enum"}:
        some, others = _values(narrow), _values(wide)
        return others is None or (some is not None and some <= others)
    if keyword in _UPPER_BOUNDS | _LOWER_BOUNDS and one is not None and other is not None:
        return bool(one <= other if keyword in _UPPER_BOUNDS else one >= other)
    return keyword in _ONLY_REFUSE and other is None


def _types(schema: Schema) -> frozenset[str]:
    """The types that a value may have."""
    given = schema.get("type", ["object", "array", "string", "number", "boolean", "null"])
    types = {given} if isinstance(given, str) else set(given)
    return frozenset(types | ({"integer"} if "number" in types else set()))


def _values(schema: Schema) -> frozenset[str] | None:
    """The values that are listed; None where any may come."""
    lists = [schema[name] if name == "enum" else [schema[name]] for name in ("enum", "const") if name in schema]
    return frozenset.intersection(*(frozenset(map(_text, values)) for values in lists)) if lists else None


def _fields(narrow: Schema, wide: Schema, place: str, way: Way) -> Iterator[str]:
    """Of an object's fields; clients ignore those that they don't know."""
    some, others = narrow.get("properties", {}), wide.get("properties", {})
    old, new = (some, others) if way is Way.SENT else (others, some)
    for name in old:
        if new.get(name, _NOTHING) == _NOTHING != old[name]:
            yield f"{place}.{name}: is gone"
        else:
            yield from _excess(some[name], others[name], f"{place}.{name}", way)
    rest, allowed = narrow.get("additionalProperties", {}), wide.get("additionalProperties", {})
    for name in sorted(new.keys() - old.keys()):
        # Of a payload that chooses by patterns, any name may have had one of their schemas.
        if way is Way.SENT and "patternProperties" not in narrow:
            yield from _excess(rest, others[name], f"{place}.{name}", way)
        elif way is Way.RECEIVED and allowed != _NOTHING:
            yield from _excess(some[name], allowed, f"{place}.{name}", way)
    if way is Way.SENT or allowed != _NOTHING:
        yield from _excess(rest, allowed, f"{place}.*", way)
