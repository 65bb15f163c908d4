"""Builds the document of the whole API from the functions' routes."""

import inspect
import json
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any, get_type_hints, is_typeddict

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.openapi.models import APIKey, Contact, License, Server, Tag
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

import dropzone_ingest.routes
import dropzone_process.sweep
import dropzone_query.handler
import dropzone_web.handler
import dropzone_web.static
from dropzone.api import problems
from dropzone.api.access import missing_scope
from dropzone.api.answers import EXAMPLE_RAW_ID
from dropzone.api.formats import Format
from dropzone.api.pages import Listing, page
from dropzone.api.problems import FieldError, Problem, ProblemType
from dropzone.api.resolver import DESCRIBED, check_scopes
from dropzone.domain.access import Kind, Scope
from dropzone.domain.payloads import VERSIONS
from dropzone_openapi import gateway

VERSION = "0.1.0"
"""The version of the API and the package. While it is 0.x, a breaking change raises x; later, the first number."""

TARGET = Path(dropzone_web.static.__file__).parent / "openapi.json"

RELEASED = Path(__file__).parent / "released.json"
"""The released document: `--release` writes it, and the current one must stay compatible with it."""

Node = dict[str, Any]

_API_KEY = "apiKey"
_SIGN_IN = (
    "The key's scopes decide what it may do. If the stack's parameter SignIn is set, reads and POST "
    "/process are also available at another URL (the output SignedApiUrl), which takes an AWS signature "
    "(SigV4) or `Authorization: Bearer` with a token in place of a key: see docs/deploy.md."
)
_ABOUT: Node = {
    "title": "Dropzone",
    "version": VERSION,
    "openapi_version": "3.1.0",
    "description": (
        "Accepts measurement events over HTTPS, stores them exactly as received, validates them with "
        "data-quality rules, and writes clean rows to Postgres.\n"
        "\n"
        "Errors are problem documents (RFC 9457). Don't retry a 4xx other than 429. Retry a 5xx or a 429:"
        " it is safe."
    ),
    "license_info": License(name="MIT", identifier="MIT"),
    "contact": Contact(name="Dropzone's maintainers"),
    # Relative to the document, so that it is valid for any stage and prefix. Web serves it with an absolute URL.
    "servers": [Server(url=".")],
    "tags": [
        Tag(name="Events", description="Send events and look up their outcomes: status, received bytes, rejections."),
        Tag(name="Data", description="Read measurements, KPIs, sources, outcomes by rule, and contracts."),
        Tag(
            name="Processing",
            description="Process or replay objects on request. New objects are processed automatically.",
        ),
        Tag(name="Service", description="Whether the API answers."),
    ],
    "security_schemes": {
        _API_KEY: APIKey.model_validate({"name": "x-api-key", "in": "header", "description": _SIGN_IN})
    },
}
_REFERENCE = "#/components/schemas/{model}"
_REQUEST_ID = "0b9ca6bf-0d4a-4a8e-a8d2-6d4c0f4e7b11"
_VIOLATIONS = {
    problems.INVALID_EVENT.detail: [FieldError("data", "payload.missing_field", "is missing")],
    problems.INVALID_REQUEST.detail: [
        FieldError("limit", "request.out_of_range", "Input should be less than or equal to 1000")
    ],
}
_GATEWAY = {
    "413": "The body is larger than API Gateway or Lambda accepts.",
    "429": "Too many requests, in all or with this key.",
    "503": "The function behind the API is busy or can't be reached.",
    "504": "No response within API Gateway's 29 seconds.",
}
"""Descriptions of API Gateway's own responses."""


def _text(description: str, **schema: object) -> Node:
    return {"description": description, "schema": {"type": "string", **schema}}


_HEADERS: Node = {
    "Cache-Control": _text("How long the response may be cached."),
    "Content-Disposition": _text("A file name, if the body is meant to be saved."),
    "Content-Encoding": _text("The compression of the stored bytes, if any."),
    "Dropzone-Archived": _text(
        "The archived months in the range, which are not listed: the first 100, and how many more there are.",
        examples=["2019-04"],
    ),
    "Dropzone-Contract": _text("The contract that the body was sent to.", examples=["telegraf"]),
    "ETag": _text("Identifies this content, compressed or not; send it back in `If-None-Match`."),
    "Idempotent-Replayed": _text(
        "Present if an earlier request with the same key got the same response.", const="true"
    ),
    "Link": _text('The next page, if there is one: `<?…>; rel="next"`, a relative reference with the cursor.'),
    "Location": _text("The URL of the status, as a relative reference.", examples=[f"ingest/{EXAMPLE_RAW_ID}"]),
    "Retry-After": _text("Seconds to wait before a retry.", examples=["5"]),
}
_KEPT = ("ETag", "Cache-Control")
_IF_NONE_MATCH: Node = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    **_text(
        "The ETag of an earlier response. The response is 304 if nothing has changed since.",
        examples=['W/"1f0c5a2e9b7d4c63a8e1f2b3"'],
    ),
}
_BINARY: Node = {"schema": {"type": "string", "format": "binary"}}
_FORMATS = {
    Format.NDJSON: "One object of the list per line.",
    Format.CSV: "CSV as in RFC 4180.",
    Format.SPREADSHEET: (
        "CSV for spreadsheets: with a byte order mark, and an apostrophe before text that a spreadsheet would"
        " take for a formula."
    ),
}


def build() -> Node:
    """The document."""
    routes = _routes()
    bodies = [
        model for route in routes if (body := DESCRIBED[route.func].body) for model in chain(*body.kinds.values())
    ]
    queries = {route.operation_id: query for route in routes if (query := _query_of(route))}
    _, named = models_json_schema(
        [(model, "validation") for model in dict.fromkeys([*VERSIONS.values(), *bodies, *queries.values()])],
        ref_template=_REFERENCE,
    )
    document = _generated(routes)
    schemas = document["components"]["schemas"] | named["$defs"]
    operations = {each["operationId"]: each for item in document["paths"].values() for each in item.values()}
    for route in routes:
        operation = operations[route.operation_id]
        if query := queries.get(route.operation_id):
            others = [found for found in operation.get("parameters", []) if found["in"] != "query"]
            fields = schemas.pop(query.__name__)["properties"].items()
            operation["parameters"] = others + [{"name": name, "in": "query", "schema": each} for name, each in fields]
        if body := DESCRIBED[route.func].body:
            content = {kind: {"schema": _any_of(models)} for kind, models in body.kinds.items()}
            operation["requestBody"] = {"required": body.required, "description": body.text, "content": content}
        _finish(operation, schemas)
    used = {name: schema for name, schema in sorted(schemas.items()) if not name.endswith("ValidationError")}
    document["paths"] = _tidy(document["paths"])
    document["components"] |= {
        "schemas": {name: {"title": name, **_tidy(schema)} for name, schema in used.items()},
        "responses": {f"Gateway{status}": _gateway_response(status, gateway.OWN[status]) for status in gateway.OWN},
    }
    return document


def _any_of(models: Sequence[type]) -> Node:
    kinds = [{"$ref": _REFERENCE.format(model=model.__name__)} for model in models]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _routes() -> list[Route]:
    """The routes that are part of the document, with their docstrings as its text, and with their responses."""
    apps = (
        dropzone_ingest.routes.app,
        dropzone_process.sweep.app,
        dropzone_query.handler.app,
        dropzone_web.handler.app,
    )
    # Powertools offers no other access to them.
    routes = [route for app in apps for route in app._static_routes + app._dynamic_routes if route.include_in_schema]  # noqa: SLF001
    for app in apps:
        check_scopes(app)
    for route in routes:
        summary, _, description = (inspect.getdoc(route.func) or "").partition("\n\n")
        scopes = [scope.value for scope in Scope if scope in DESCRIBED[route.func].scopes]
        if scopes:
            needed = " or ".join(f"`{scope}`" for scope in scopes)
            description = "\n\n".join(filter(None, [description, f"Requires a key with the scope {needed}."]))
            route.openapi_extensions = {"x-scopes": scopes}
        route.summary, route.description = summary.removesuffix("."), description or None
        route.responses = _responses(route)
        # Reset what Powertools has cached, without the responses, if a request was answered before.
        route._dependant = route._body_field = None  # noqa: SLF001 - as above
    return routes


def _generated(routes: Iterable[Route]) -> Node:
    """The document that Powertools generates from routes."""
    app = APIGatewayRestResolver(enable_validation=True)
    app._static_routes.extend(routes)  # noqa: SLF001 - as above
    return json.loads(app.get_openapi_json_schema(**_ABOUT))  # type: ignore[no-any-return]


def _query_of(route: Route) -> type[BaseModel] | None:
    """The model of a route's query. Powertools would reduce its fields to their basic types."""
    models = [field.type_ for field in route.dependant.query_params]
    return models[0] if models else DESCRIBED[route.func].query


# ---- parameters ------------------------------------------------------------------------------------------------------


def _parameter(parameter: Node) -> Node:
    """A parameter with its own description, and without null in its schema: the parameter is left out instead."""
    schema = dict(parameter["schema"])
    if alternatives := [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]:
        schema = (alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}) | schema
    if schema.get("default", "") is None:
        del schema["default"]
    description = schema.pop("description", parameter.get("description"))
    # Powertools writes the names of headers in lower case.
    name = parameter["name"].title() if parameter["in"] == "header" else parameter["name"]
    # Swagger UI fills in a parameter's own example, but only shows that of its schema. A path needs one, and without a
    # limit it would render thousands of rows for minutes.
    example = {"example": schema["examples"][0]} if parameter["in"] == "path" or name == "limit" else {}
    return {"required": False, **parameter, "name": name, "description": description, "schema": schema, **example}


# ---- responses -------------------------------------------------------------------------------------------------------


def _responses(route: Route) -> dict[int, Any]:
    """The responses of a route's function, with models from which Powertools generates schemas."""
    described = DESCRIBED[route.func]
    headers = described.headers
    content: Node = {"application/octet-stream": _BINARY, "*/*": _BINARY}
    description = "The stored bytes."
    if listing := described.listing:
        description = f"The {listing.name}, in the format that `Accept` asks for."
        content = {Format.JSON.value: {"model": listing.page}, **_other_formats(listing)}
        headers = (*_KEPT, "Link", "Content-Disposition", *headers)
    elif is_typeddict(model := described.answer or get_type_hints(route.func)["return"]):
        description = (inspect.getdoc(model) or "").partition("\n")[0]
        content = {Format.JSON.value: {"model": model}}
        for kind, text in described.texts.items():
            content[kind] = {"schema": {"type": "string"}, "examples": {"example": {"value": text}}}
    kinds = [*described.problems, problems.INTERNAL_ERROR]
    if described.scopes:
        scope_missing = problems.SCOPE_MISSING._replace(example=_without_scope(described.scopes))
        kinds += [gateway.FORBIDDEN, scope_missing, problems.KEY_EXPIRED, problems.KEY_UNKNOWN]
    if route.tags != ["Service"]:
        kinds += [problems.INVALID_REQUEST, problems.UNAVAILABLE]
    answers = _problems(kinds)
    answers[route.status_code] = {"description": description, "content": content, **_with_headers(*headers)}
    if "ETag" in headers:
        answers[304] = {"description": "Not modified: the client has this content, according to its `If-None-Match`."}
    return dict(sorted(answers.items()))


def _without_scope(opened_by: frozenset[Scope]) -> str:
    """The text of the problem for a key without one of a route's scopes."""
    other = next(scope for scope in Scope if scope not in opened_by)
    return missing_scope(Kind.KEY, frozenset({other}), opened_by)


def _with_headers(*names: str) -> Node:
    return {"headers": {name: _HEADERS[name] for name in names}} if names else {}


def _other_formats(listing: Listing[Any]) -> Node:
    """A list in formats other than JSON."""
    (example,) = TypeAdapter(listing.page).json_schema()["examples"]
    rows = example[listing.name]
    return {
        form.value: {
            "schema": {"type": "string", "description": description},
            "examples": {"example": {"value": page(listing, rows, len(rows), query={}, form=form)[0]}},
        }
        for form, description in _FORMATS.items()
    }


def _problems(kinds: Iterable[ProblemType]) -> dict[int, Any]:
    """The responses for problems by status; problems with the same status share an entry."""
    answers: dict[int, Any] = {}
    for kind in kinds:
        status = kind.status.value
        known = answers.setdefault(status, {"description": kind.status.phrase, "content": {}})
        media = known["content"].setdefault(problems.CONTENT_TYPE, {"model": Problem, "examples": {}})
        media["examples"][kind.name] = _example(kind)
        if kind is problems.UNAVAILABLE:
            known |= _with_headers("Retry-After")
    return answers


def _example(kind: ProblemType) -> Node:
    violations = _VIOLATIONS.get(kind.detail, ())
    return {"value": problems.document(kind, kind.example, request_id=_REQUEST_ID, violations=violations)}


def _gateway_response(status: str, kinds: Sequence[ProblemType]) -> Node:
    """A response by API Gateway itself, which tells when to retry if that helps."""
    examples = {kind.name: _example(kind) for kind in kinds}
    return {
        "description": _GATEWAY[status],
        "content": {problems.CONTENT_TYPE: {"schema": _any_of([Problem]), "examples": examples}},
        **(_with_headers("Retry-After") if int(status) >= HTTPStatus.TOO_MANY_REQUESTS else {}),
    }


def _finish(operation: Node, schemas: Node) -> None:
    """Add what API Gateway does (keys and its own responses), and what caches and readers need."""
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
    for status, kinds in gateway.OWN.items():
        if status == "413" and "requestBody" not in operation:
            continue
        if status in responses:
            # The function has a response with this status as well.
            media = responses[status]["content"][problems.CONTENT_TYPE]
            media["examples"] |= {f"{kind.name} (API Gateway)": _example(kind) for kind in kinds}
        elif status == "429" and not has_key:
            responses[status] = _gateway_response(status, [gateway.THROTTLED])
        else:
            responses[status] = {"$ref": f"#/components/responses/Gateway{status}"}
    operation["responses"] = dict(sorted(responses.items()))
    parts = [*responses.values(), operation.get("requestBody", {})]
    for media in (media for part in parts for media in part.get("content", {}).values()):
        kinds = media.get("schema", {}).get("anyOf", [media.get("schema", {})])
        names = [kind.get("$ref", "").rpartition("/")[2] for kind in kinds]
        if examples := [value for name in names for value in schemas.get(name, {}).get("examples", [])]:
            media["examples"] = {f"example {number}": {"value": value} for number, value in enumerate(examples, 1)}


# ---- schemas ---------------------------------------------------------------------------------------------------------


def _tidy(node: Any) -> Any:  # noqa: ANN401 - a part of a document
    """Remove titles of fields, which only repeat their names, and line ends within paragraphs.

    Floats that are whole become integers, and null becomes one of the types.
    """
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
    if isinstance(text := node.get("description"), str):
        node = {**node, "description": re.sub(r"(?<!\n)\n(?!\n)", " ", text)}
    return {
        name: value if name in {"example", "examples"} else _tidy(value)
        for name, value in node.items()
        if name != "title" or not isinstance(value, str)
    }


def text() -> str:
    """The text of the document as it is committed."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"
