"""What breaks a client: the differences between the released document and the one of today that one could meet.

A request that was right must stay right, and an answer must stay what was promised. To add is fine: operations,
optional parameters and fields, media types; clients ignore fields that they don't know (docs/evolution.md).
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

Document = dict[str, Any]
Schema = dict[str, Any]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_EVERY_TYPE = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_WORDS_ALONE = frozenset({"description", "title", "examples", "example", "default"})


class Pair(NamedTuple):
    """The documents that are compared: schemas refer to parts of their own."""

    old: Document
    new: Document


def breaking_changes(old: Document, new: Document) -> list[str]:
    """Every difference that may break a client of the old document, each said by its place."""
    pair = Pair(old, new)
    found = list(_paths(pair))
    # Payloads of events come in bodies that are described more widely than by their versions.
    for name, schema in _versions(old).items():
        if name in _versions(new):
            found += _narrowed(pair, schema, _versions(new)[name], name)
        else:
            found.append(f"{name}: is gone")
    return found


def is_allowed(old: Document, new: Document) -> bool:
    """Whether the major version has moved, which is what says that clients have to change."""
    return _major(new) > _major(old)


def _major(document: Document) -> int:
    return int(document["info"]["version"].partition(".")[0])


def _versions(document: Document) -> dict[str, Schema]:
    schemas = document.get("components", {}).get("schemas", {})
    return {name: schema for name, schema in schemas.items() if name.startswith("EventV")}


# ---- operations ------------------------------------------------------------------------------------------------------


def _paths(pair: Pair) -> Iterator[str]:
    for path, item in pair.old.get("paths", {}).items():
        for method in _METHODS:
            if method not in item:
                continue
            place = f"{method.upper()} {path}"
            operation = pair.new.get("paths", {}).get(path, {}).get(method)
            if operation is None:
                yield f"{place}: is gone"
            else:
                yield from _operation(pair, item[method], operation, place)


def _operation(pair: Pair, old: Document, new: Document, place: str) -> Iterator[str]:
    if new.get("security") and not old.get("security"):
        yield f"{place}: asks for a key"
    yield from _parameters(pair, old, new, place)
    yield from _body(pair, old.get("requestBody"), new.get("requestBody"), f"{place} body")
    for status, answer in old.get("responses", {}).items():
        if status.startswith("2"):
            if status in new.get("responses", {}):
                yield from _answer(pair, answer, new["responses"][status], f"{place} {status}")
            else:
                yield f"{place} {status}: is gone"


def _parameters(pair: Pair, old: Document, new: Document, place: str) -> Iterator[str]:
    before, after = (
        {(entry["in"], entry["name"]): entry for entry in each.get("parameters", [])} for each in (old, new)
    )
    for (where, name), entry in before.items():
        if (where, name) not in after:
            yield f"{place} {where} {name}: is gone"
        else:
            changed = after[where, name]
            yield from _required(entry, changed, f"{place} {where} {name}")
            yield from _narrowed(pair, entry["schema"], changed["schema"], f"{place} {where} {name}")
    for where, name in after.keys() - before.keys():
        if after[where, name].get("required"):
            yield f"{place} {where} {name}: is new, and required"


def _required(old: Document, new: Document, place: str) -> Iterator[str]:
    if new.get("required") and not old.get("required"):
        yield f"{place}: is required"


def _body(pair: Pair, old: Document | None, new: Document | None, place: str) -> Iterator[str]:
    if old is None:
        if new is not None and new.get("required"):
            yield f"{place}: is new, and required"
        return
    if new is None:
        yield f"{place}: is gone"
        return
    yield from _required(old, new, place)
    for media_type, content in old["content"].items():
        if media_type not in new["content"]:
            yield f"{place} {media_type}: is not taken any more"
        else:
            other = new["content"][media_type]
            yield from _narrowed(pair, content.get("schema", {}), other.get("schema", {}), f"{place} {media_type}")


def _answer(pair: Pair, old: Document, new: Document, place: str) -> Iterator[str]:
    for name in old.get("headers", {}).keys() - new.get("headers", {}).keys():
        yield f"{place} header {name}: is gone"
    for media_type, content in old.get("content", {}).items():
        if media_type not in new.get("content", {}):
            yield f"{place} {media_type}: is not given any more"
        else:
            other = new["content"][media_type]
            yield from _widened(pair, content.get("schema", {}), other.get("schema", {}), f"{place} {media_type}")


# ---- what is sent: everything that was right stays right -------------------------------------------------------------


def _narrowed(pair: Pair, old: Schema, new: Schema, place: str) -> list[str]:
    """What the new schema refuses that the old one took."""
    before, after = _alternatives(pair.old, old), _alternatives(pair.new, new)
    if len(before) == len(after) == 1:
        return list(_refuses(pair, before[0], after[0], place))
    return [
        f"{place}: an alternative of it is not taken any more"
        for schema in before
        if not any(not list(_refuses(pair, schema, other, place)) for other in after)
    ]


def _refuses(pair: Pair, old: Schema, new: Schema, place: str) -> Iterator[str]:
    if gone := _types(old) - _types(new):
        yield f"{place}: may not be {', '.join(sorted(gone))} any more"
    if (values := _values(new)) is not None:
        before = _values(old)
        if before is None or any(value not in values for value in before):
            yield f"{place}: takes fewer values"
    yield from _bounds(old, new, place)
    if new.get("pattern") not in {None, old.get("pattern")}:
        yield f"{place}: has another pattern"
    for name in set(new.get("required", [])) - set(old.get("required", [])):
        yield f"{place}.{name}: is required"
    yield from _refused_fields(pair, old, new, place)
    if "items" in new and new["items"] != {}:
        yield from _narrowed(pair, old.get("items", {}), new["items"], f"{place}[]")


def _refused_fields(pair: Pair, old: Schema, new: Schema, place: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    is_open = old.get("additionalProperties", True) is not False
    if is_open and new.get("additionalProperties", True) is False:
        yield f"{place}: takes no other fields any more"
    for name, schema in after.items():
        if name in before:
            yield from _narrowed(pair, before[name], schema, f"{place}.{name}")
        elif is_open and schema.keys() - _WORDS_ALONE:
            yield f"{place}.{name}: could be anything before"
    if new.get("additionalProperties", True) is False:
        for name in before.keys() - after.keys():
            yield f"{place}.{name}: is gone"


def _bounds(old: Schema, new: Schema, place: str) -> Iterator[str]:
    for name in _UPPER_BOUNDS:
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{place}: has a lower {name}"
    for name in _LOWER_BOUNDS:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield f"{place}: has a higher {name}"


# ---- what is answered: nothing but what was promised -----------------------------------------------------------------


def _widened(pair: Pair, old: Schema, new: Schema, place: str) -> list[str]:
    """What the new schema gives that the old one did not foresee, and what it leaves out."""
    before, after = _alternatives(pair.old, old), _alternatives(pair.new, new)
    if len(before) == len(after) == 1:
        return list(_surprises(pair, before[0], after[0], place))
    return [
        f"{place}: has an alternative that was not foreseen"
        for schema in after
        if not any(not list(_surprises(pair, other, schema, place)) for other in before)
    ]


def _surprises(pair: Pair, old: Schema, new: Schema, place: str) -> Iterator[str]:
    if more := _types(new) - _types(old):
        yield f"{place}: may be {', '.join(sorted(more))}"
    if (values := _values(old)) is not None:
        after = _values(new)
        if after is None or any(value not in values for value in after):
            yield f"{place}: has further values"
    if "format" in old and new.get("format") != old["format"]:
        yield f"{place}: has another format"
    for name in set(old.get("required", [])) - set(new.get("required", [])):
        yield f"{place}.{name}: may be missing"
    for name, schema in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{place}.{name}: is gone"
        else:
            yield from _widened(pair, schema, new["properties"][name], f"{place}.{name}")
    if "items" in old:
        yield from _widened(pair, old["items"], new.get("items", {}), f"{place}[]")


# ---- schemas ---------------------------------------------------------------------------------------------------------


def _alternatives(document: Document, schema: Schema) -> list[Schema]:
    """The schemas of which a value has to match one, with references followed."""
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    alternatives: Iterable[Schema] | None = schema.get("anyOf") or schema.get("oneOf")
    if alternatives is None:
        return [schema]
    return [found for alternative in alternatives for found in _alternatives(document, alternative)]


def _types(schema: Schema) -> frozenset[str]:
    """The types that a value may have."""
    given = schema.get("type")
    if given is None:
        return _EVERY_TYPE
    types = {given} if isinstance(given, str) else set(given)
    return frozenset(types | ({"integer"} if "number" in types else set()))


def _values(schema: Schema) -> list[Any] | None:
    """The values that are listed; None where any may come."""
    return [schema["const"]] if "const" in schema else schema.get("enum")
