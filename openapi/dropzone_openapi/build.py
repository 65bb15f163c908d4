"""From the functions' routes to the one document of the whole API."""

import inspect
import json
from collections.abc import Iterable
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any, get_type_hints, is_typeddict

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import Route
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

import dropzone_process.sweep
import dropzone_query.handler
import dropzone_web.handler
import dropzone_web.static
from dropzone.api import problems
from dropzone.api.answers import EXAMPLE_RAW_ID
from dropzone.api.formats import Format
from dropzone.api.pages import Listing, page
from dropzone.api.problems import FieldError, Problem, ProblemType
from dropzone.api.resolver import DESCRIBED
from dropzone.domain.payloads import VERSIONS
from dropzone.domain.violations import Envelope
from dropzone_openapi import ingest

VERSION = "0.1.0"
"""The API's and the package's. As long as it is 0.x, a breaking change raises x; later, the first number."""

TARGET = Path(dropzone_web.static.__file__).parent / "openapi.json"

RELEASED = Path(__file__).parent / "released.json"
"""The document that clients were promised: `--release` writes it, and today's must keep it."""

Node = dict[str, Any]

_ABOUT: Node = {
    "title": "Dropzone",
    "version": VERSION,
    "description": (
        "Measurement events in over HTTPS, stored exactly as received, validated by rules of data quality, and turned "
        "into clean rows of Postgres.\n\nRefusals are problems (RFC 9457). 4xx other than 429: don't retry. 5xx and "
        "429: retry, it is safe.\n"
    ),
    "license": {"name": "MIT", "identifier": "MIT"},
    "contact": {"name": "Dropzone's maintainers"},
}
_TAGS: Node = {
    "Events": "For those who send.",
    "Data": "For those who want to know.",
    "Processing": "For those who run it.",
    "Service": "For those who watch it.",
}
_API_KEY = "apiKey"
_REFERENCE = "#/components/schemas/{model}"
_REQUEST_ID = "0b9ca6bf-0d4a-4a8e-a8d2-6d4c0f4e7b11"
_VIOLATIONS = {
    problems.INVALID_EVENT.detail: [FieldError("data", "payload.missing_field", "is missing")],
    problems.INVALID_REQUEST.detail: [
        FieldError("limit", "request.out_of_range", "Input should be less than or equal to 1000")
    ],
}
_GATEWAY = {
    "403": "The key is missing or wrong.",
    "413": "The body is larger than API Gateway or Lambda take.",
    "429": "Too many requests for this key.",
    "504": "No answer in API Gateway's 29 seconds.",
}
"""API Gateway's own answers, which the template gives the shape of all others."""

_TEXT: Node = {"schema": {"type": "string"}}
_KEPT: Node = {
    "ETag": {"description": "Of this content, compressed or not; for If-None-Match.", **_TEXT},
    "Cache-Control": {"description": "How long it may be kept.", **_TEXT},
}
_HEADERS: Node = {
    "sendEvents": {
        "Idempotent-Replayed": {
            "description": "There where an earlier request with the same key got the same answer.",
            "schema": {"type": "string", "const": "true"},
        },
        "Location": {
            "description": "The address of the status: a relative reference.",
            "schema": {"type": "string", "examples": [f"ingest/{EXAMPLE_RAW_ID}"]},
        },
    },
    "getRaw": {
        **_KEPT,
        "Content-Disposition": {"description": "A name for the file.", **_TEXT},
        "Content-Encoding": {"description": "Where they are packed.", **_TEXT},
    },
}
"""Of the answers of operations that aren't lists."""

_OF_LISTS: Node = {
    **_KEPT,
    "Link": {"description": 'Where there is more: `<?…>; rel="next"`, a relative reference with the cursor.', **_TEXT},
    "Content-Disposition": {"description": "Of CSV for spreadsheets, with a name for the file.", **_TEXT},
}
_IF_NONE_MATCH: Node = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of an earlier answer: 304 if it is still valid.",
    "schema": {"type": "string", "examples": ['W/"1f0c5a2e9b7d4c63a8e1f2b3c4d5e6f7"']},
}
_BINARY: Node = {"schema": {"type": "string", "format": "binary"}}


def build() -> Node:
    """The document."""
    routes = _routes()
    queries = {route.operation_id: query for route in routes if (query := _query_of(route)) is not None}
    bodies = {route.operation_id: DESCRIBED[route.func].body for route in routes}
    models: set[type[BaseModel]] = {*VERSIONS.values(), Envelope, *chain(*bodies.values()), *queries.values()}
    _, named = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    document = _generated(routes)
    schemas = document["components"]["schemas"] | ingest.SCHEMAS | named["$defs"]
    for item in document["paths"].values():
        for operation in item.values():
            if query := queries.get(operation["operationId"]):
                kept = [found for found in operation.get("parameters", []) if found["in"] != "query"]
                fields = schemas[query.__name__]["properties"]
                operation["parameters"] = [
                    *kept,
                    *({"name": name, "in": "query", "schema": fields[name]} for name in fields),
                ]
            if body := bodies[operation["operationId"]]:
                kinds = [{"$ref": _REFERENCE.format(model=model.__name__)} for model in body]
                content = {Format.JSON.value: {"schema": {"anyOf": kinds}}}
                operation["requestBody"] = {
                    "required": False,
                    "description": "What to do; without one, a batch.",
                    "content": content,
                }
            _finish(operation, schemas)
    unused = {
        "ValidationError",
        "HTTPValidationError",
        "ResponseValidationError",
        *(query.__name__ for query in queries.values()),
    }
    return {
        "openapi": "3.1.0",
        "info": _ABOUT,
        # Relative to the document, so that it is true under any stage and prefix. Web serves it with an absolute one.
        "servers": [{"url": "."}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "paths": _tidy(document["paths"]),
        "components": {
            "securitySchemes": {_API_KEY: {"type": "apiKey", "in": "header", "name": "x-api-key"}},
            "schemas": {
                name: {"title": name, **_tidy(schema)} for name, schema in sorted(schemas.items()) if name not in unused
            },
            "responses": {
                f"Gateway{status}": {"description": description, "content": _problem_content()}
                for status, description in _GATEWAY.items()
            },
        },
    }


def _routes() -> list[Route]:
    """Those that are part of the document, with their docstrings as its text, and with their answers."""
    apps = (ingest.app, dropzone_process.sweep.app, dropzone_query.handler.app, dropzone_web.handler.app)
    # Powertools offers no other way to them.
    routes = [route for app in apps for route in app._static_routes + app._dynamic_routes if route.include_in_schema]  # noqa: SLF001
    for route in routes:
        summary, _, description = (inspect.getdoc(route.func) or "").partition("\n\n")
        paragraphs = [paragraph.replace("\n", " ") for paragraph in description.split("\n\n")]
        route.summary, route.description = summary.removesuffix("."), "\n\n".join(paragraphs) or None
        route.responses = _responses(route)
        # A request that was answered before left what Powertools had made of it without the responses.
        route._dependant = route._body_field = None  # noqa: SLF001 - as above
    return routes


def _generated(routes: Iterable[Route]) -> Node:
    """What Powertools makes of them."""
    app = APIGatewayRestResolver(enable_validation=True)
    app._static_routes.extend(routes)  # noqa: SLF001 - as above
    found: Node = json.loads(app.get_openapi_json_schema(title="-", version="-", openapi_version="3.1.0"))
    return found


def _query_of(route: Route) -> type[BaseModel] | None:
    """The model of a route's query. Powertools would reduce its fields to their basic types."""
    models = [field.type_ for field in route.dependant.query_params]
    return models[0] if models else DESCRIBED[route.func].query


# ---- parameters ------------------------------------------------------------------------------------------------------


def _parameter(parameter: Node) -> Node:
    """A parameter that says its own description, and whose schema has no null: that is what is not there."""
    schema = dict(parameter["schema"])
    if alternatives := [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]:
        schema = (alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}) | schema
    if schema.get("default", "") is None:
        del schema["default"]
    description = schema.pop("description", parameter.get("description"))
    # Powertools writes the names of headers in lower case.
    name = parameter["name"].title() if parameter["in"] == "header" else parameter["name"]
    return {"required": False, **parameter, "name": name, "description": description, "schema": schema}


# ---- responses -------------------------------------------------------------------------------------------------------


def _responses(route: Route) -> dict[int, Any]:
    """The answers of a route's function, with models for Powertools to write the schemas of."""
    described = DESCRIBED[route.func]
    answer: Node = {
        "description": "As it was received.",
        "content": {"application/octet-stream": _BINARY, "*/*": _BINARY},
    }
    if listing := described.listing:
        answer = {
            "description": f"The {listing.name}, in the format that `Accept` asks for.",
            "content": {Format.JSON.value: {"model": listing.page}, **_lines(listing)},
            "headers": _OF_LISTS,
        }
    elif model := described.answer:
        texts = {
            kind: {"schema": {"type": "string"}, "examples": {"example": {"value": text}}}
            for kind, text in described.texts.items()
        }
        answer = {
            "description": (inspect.getdoc(model) or "").partition("\n")[0],
            "content": {Format.JSON.value: {"model": model}, **texts},
            "headers": _KEPT,
        }
    elif is_typeddict(model := get_type_hints(route.func)["return"]):
        answer = {
            "description": (inspect.getdoc(model) or "").partition("\n")[0],
            "content": {Format.JSON.value: {"model": model}},
        }
    if headers := _HEADERS.get(route.operation_id):
        answer["headers"] = headers
    is_kept = "ETag" in answer.get("headers", {})
    kinds = [*described.problems, problems.INTERNAL_ERROR]
    if route.tags != ["Service"]:
        kinds += [problems.INVALID_REQUEST, problems.UNAVAILABLE]
    return dict(
        sorted(
            {
                route.status_code: answer,
                **({304: {"description": "The client has it already, by its If-None-Match."}} if is_kept else {}),
                **_problems(kinds),
            }.items()
        )
    )


def _lines(listing: Listing[Any]) -> Node:
    """A list in the formats that aren't JSON."""
    (example,) = TypeAdapter(listing.page).json_schema()["examples"]
    rows = example[listing.name]

    def described(form: Format, description: str) -> Node:
        text, _ = page(listing, rows, len(rows), query={}, form=form)
        return {
            "schema": {"type": "string", "description": description},
            "examples": {"example": {"value": text}},
        }

    return {
        Format.NDJSON.value: described(Format.NDJSON, f"An object of `{listing.name}` a line."),
        Format.CSV.value: described(Format.CSV, "As RFC 4180 has it."),
        Format.SPREADSHEET.value: described(
            Format.SPREADSHEET,
            "With a byte order mark, and an apostrophe before texts that a spreadsheet would take for formulas.",
        ),
    }


def _problems(kinds: Iterable[ProblemType]) -> dict[int, Any]:
    """Problems by status; those of one status share an entry."""
    answers: dict[int, Any] = {}
    for kind in kinds:
        body = problems.document(
            kind, kind.example, request_id=_REQUEST_ID, violations=_VIOLATIONS.get(kind.detail, ())
        )
        status = kind.status.value
        known = answers.setdefault(status, {"description": kind.status.phrase, "content": {}})
        media = known["content"].setdefault(problems.CONTENT_TYPE, {"model": Problem, "examples": {}})
        media["examples"][kind.name] = {"value": body}
        if kind is problems.UNAVAILABLE:
            known["headers"] = {
                "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "examples": ["5"]}}
            }
    return answers


def _problem_content() -> Node:
    return {problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _finish(operation: Node, schemas: Node) -> None:
    """Add what API Gateway does: keys, its own answers; and what caches and readers look for."""
    operation.pop("deprecated", None)
    has_key = operation["tags"] != ["Service"]
    operation["security"] = [{_API_KEY: []}] if has_key else []
    responses = {
        status: found
        for status, found in operation["responses"].items()
        if problems.CONTENT_TYPE in found.get("content", {}) or int(status) < HTTPStatus.BAD_REQUEST
    }
    parameters = [_parameter(parameter) for parameter in operation.get("parameters", [])]
    operation["parameters"] = parameters + ([_IF_NONE_MATCH] if "304" in responses else [])
    own = ["429", "504", *(["403"] if has_key else []), *(["413"] if "requestBody" in operation else [])]
    for status in own:
        responses.setdefault(status, {"$ref": f"#/components/responses/Gateway{status}"})
    operation["responses"] = dict(sorted(responses.items()))
    for media in (media for found in responses.values() for media in found.get("content", {}).values()):
        name = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if examples := schemas.get(name, {}).get("examples"):
            media["examples"] = {f"example {number}": {"value": value} for number, value in enumerate(examples, 1)}


# ---- schemas ---------------------------------------------------------------------------------------------------------


def _tidy(node: Any) -> Any:  # noqa: ANN401 - a part of a document
    """Without titles of fields, which only repeat their names; with whole numbers, and null as one of the types."""
    if isinstance(node, list):
        return [_tidy(entry) for entry in node]
    if isinstance(node, float) and node.is_integer():
        return int(node)
    if not isinstance(node, dict):
        return node
    match node.get("anyOf"):
        case [{"type": str(kind), **first}, {"type": "null"}]:
            node = {**first, **node, "type": [kind, "null"]}
            del node["anyOf"]
    return {
        name: value if name in {"example", "examples"} else _tidy(value)
        for name, value in node.items()
        if name != "title" or not isinstance(value, str)
    }


def text() -> str:
    """The document as it is committed."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"
