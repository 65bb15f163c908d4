"""What breaks a client: the differences between the released document and the one of today that one could meet.

A request that was right must stay right, and an answer must stay what was promised. To add is fine: operations,
optional parameters and fields, media types; clients ignore fields that they don't know (docs/evolution.md).

Of a schema, what is known to be harmless is let pass, and every other difference is found.
"""

import json
from collections.abc import Callable, Iterator
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
    """What a reference stands for, and everything else itself."""
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


# ---- schemas: what they say ------------------------------------------------------------------------------------------

_NOTHING: Schema = {"not": {}}
_OF_A_SCHEMA = frozenset({
    "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then",
    "unevaluatedItems", "unevaluatedProperties",
})  # fmt: skip
_OF_A_LIST = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_OF_NAMES = frozenset({"dependentSchemas", "patternProperties", "properties"})


def _schemas(pair: Pair, old: Schema, new: Schema, place: str, way: Way) -> list[str]:
    return _changes(_normal(pair.old, old), _normal(pair.new, new), place, way)


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


# ---- schemas: how they differ ----------------------------------------------------------------------------------------


class Change(NamedTuple):
    """Two schemas without references, of one place."""

    old: Schema
    new: Schema
    place: str
    way: Way


def _changes(old: Schema, new: Schema, place: str, way: Way) -> list[str]:
    """What the new schema refuses that was taken, or gives that was not foreseen."""

    def found(one: Schema, other: Schema) -> list[str]:
        return list(_by_keyword(Change(one, other, place, way)))

    before, after = _alternatives(old), _alternatives(new)
    if len(before) == len(after) == 1:
        return found(before[0], after[0])
    if way is Way.SENT:
        is_kept = all(any(not found(one, other) for other in after) for one in before)
        return [] if is_kept else [f"{place}: an alternative of it is not taken any more"]
    is_kept = all(any(not found(one, other) for one in before) for other in after)
    return [] if is_kept else [f"{place}: has an alternative that was not foreseen"]


def _by_keyword(change: Change) -> Iterator[str]:
    old, new, _, way = change
    # Nobody could send any; nothing was promised; none is given.
    if old == _NOTHING if way is Way.SENT else old == {} or new == _NOTHING:
        return
    for keyword in sorted(old.keys() | new.keys()):
        yield from _RULES.get(keyword, _other)(change, keyword)


def _other(change: Change, keyword: str) -> Iterator[str]:
    """Of a keyword of which nothing is known: every difference counts."""
    old, new, place, _ = change
    if (keyword in old) != (keyword in new) or _text(old.get(keyword)) != _text(new.get(keyword)):
        yield f"{place}: has another {keyword}"


def _limit(change: Change, keyword: str) -> Iterator[str]:
    """Of a keyword that only ever refuses: where there is none, more is right."""
    if keyword in (change.new if change.way is Way.SENT else change.old):
        yield from _other(change, keyword)


def _bound(change: Change, keyword: str) -> Iterator[str]:
    none = float("inf") if keyword in _UPPER_BOUNDS else float("-inf")
    before, after = (each.get(keyword, none) for each in (change.old, change.new))
    is_tighter = after < before if none > 0 else after > before
    if before != after and is_tighter == (change.way is Way.SENT):
        yield f"{change.place}: has a {'lower' if after < before else 'higher'} {keyword}"


def _type(change: Change, _: str) -> Iterator[str]:
    before, after = _types(change.old), _types(change.new)
    if change.way is Way.SENT and (gone := before - after):
        yield f"{change.place}: may not be {', '.join(sorted(gone))} any more"
    if change.way is Way.RECEIVED and (more := after - before):
        yield f"{change.place}: may be {', '.join(sorted(more))}"


def _types(schema: Schema) -> frozenset[str]:
    """The types that a value may have."""
    given = schema.get("type", ["object", "array", "string", "number", "boolean", "null"])
    types = {given} if isinstance(given, str) else set(given)
    return frozenset(types | ({"integer"} if "number" in types else set()))


def _listed(change: Change, _: str) -> Iterator[str]:
    before, after = _values(change.old), _values(change.new)
    if change.way is Way.SENT and after is not None and (before is None or not before <= after):
        yield f"{change.place}: takes fewer values"
    if change.way is Way.RECEIVED and before is not None and (after is None or not after <= before):
        yield f"{change.place}: has further values"


def _values(schema: Schema) -> frozenset[str] | None:
    """The values that are listed; None where any may come."""
    lists = [schema[name] if name == "enum" else [schema[name]] for name in ("enum", "const") if name in schema]
    return frozenset.intersection(*(frozenset(map(_text, values)) for values in lists)) if lists else None


def _required(change: Change, _: str) -> Iterator[str]:
    before, after = (set(each.get("required", [])) for each in (change.old, change.new))
    if change.way is Way.SENT:
        yield from (f"{change.place}.{name}: is required" for name in sorted(after - before))
    else:
        yield from (f"{change.place}.{name}: may be missing" for name in sorted(before - after))


def _fields(change: Change, _: str) -> Iterator[str]:
    old, new, place, way = change
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, schema in before.items():
        if name not in after or after[name] == _NOTHING != schema:
            yield f"{place}.{name}: is gone"
        else:
            yield from _changes(schema, after[name], f"{place}.{name}", way)
    # What the others could be: anything, maybe, where a pattern chooses among them.
    others = {} if way is Way.SENT and "patternProperties" in old else old.get("additionalProperties", {})
    for name in sorted(after.keys() - before.keys()):
        if others != _NOTHING and _changes(others, after[name], place, way):
            yield f"{place}.{name}: could be something else before"


def _other_fields(change: Change, keyword: str) -> Iterator[str]:
    before, after = (each.get(keyword, {}) for each in (change.old, change.new))
    if before == _NOTHING:
        return  # what was refused may be taken, and clients ignore what they don't know
    if after == _NOTHING and change.way is Way.SENT:
        yield f"{change.place}: takes no other fields any more"
    else:
        yield from _changes(before, after, f"{change.place}.*", change.way)


def _every(change: Change, keyword: str) -> Iterator[str]:
    """Of a schema that every item or name has to match."""
    place = f"{change.place}{'[]' if keyword == 'items' else ' names'}"
    yield from _changes(change.old.get(keyword, {}), change.new.get(keyword, {}), place, change.way)


def _any_of(change: Change, keyword: str) -> Iterator[str]:
    """Beside other keywords."""
    before, after = ({keyword: each[keyword]} if keyword in each else {} for each in (change.old, change.new))
    yield from _changes(before, after, change.place, change.way)


def _part_by_part(change: Change, keyword: str) -> Iterator[str]:
    before, after = _parts(change.old.get(keyword, {})), _parts(change.new.get(keyword, {}))
    if before.keys() != after.keys():
        yield f"{change.place}: has another {keyword}"
        return
    for name, schema in before.items():
        yield from _changes(schema, after[name], f"{change.place} {keyword} {name}", change.way)


def _parts(schemas: list[Schema] | dict[str, Schema]) -> dict[str, Schema]:
    return {str(index): each for index, each in enumerate(schemas)} if isinstance(schemas, list) else schemas


_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_RULES: dict[str, Callable[[Change, str], Iterator[str]]] = {
    **dict.fromkeys((*_UPPER_BOUNDS, *_LOWER_BOUNDS), _bound),
    **dict.fromkeys(("format", "multipleOf", "not", "pattern", "uniqueItems"), _limit),
    **dict.fromkeys(("allOf", "dependentSchemas", "patternProperties", "prefixItems"), _part_by_part),
    **dict.fromkeys(("const", "enum"), _listed),
    **dict.fromkeys(("items", "propertyNames"), _every),
    "type": _type,
    "required": _required,
    "properties": _fields,
    "additionalProperties": _other_fields,
    "anyOf": _any_of,
}
