"""From the functions' routes to the one document of the whole API."""

import json
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

import dropzone_ingest.handler
import dropzone_process.sweep
import dropzone_query.handler
import dropzone_web.handler
from dropzone_openapi.gold import gold_components, gold_operations
from dropzone_openapi.operations import API_KEY, gateway_responses, operations
from dropzone_openapi.schemas import components

VERSION = "1.0.0"
"""The API's: its major number moves with a breaking change."""

TARGET = Path(dropzone_web.handler.__file__).parent / "static" / "openapi.json"

RELEASED = Path(__file__).parent / "released.json"
"""The document that clients were promised: `--release` writes it, and today's must keep it."""

_DESCRIPTION = """\
Measurement events in over HTTPS, stored exactly as received, validated by rules of data quality, and turned into \
clean rows of Postgres.

Refusals are problems (RFC 9457). 4xx other than 429: don't retry. 5xx and 429: retry, it is safe.
"""


class RoutesDifferError(Exception):
    """A route of the functions isn't described, or a description has no route."""


def resolvers() -> list[APIGatewayRestResolver]:
    """The resolvers of the functions behind the API; Ingest has none."""
    return [
        dropzone_process.sweep.app,
        dropzone_query.handler.app,
        dropzone_web.handler.app,
    ]


def routes() -> set[tuple[str, str]]:
    """Method and path of every route that is part of the document."""
    method, path = dropzone_ingest.handler.ROUTE
    return {(method.lower(), path)} | {
        (method, path)
        for app in resolvers()
        for path, methods in (app.get_openapi_schema(title="-", version="-").paths or {}).items()
        for method in methods.model_dump(exclude_none=True)
    }


def build() -> dict[str, Any]:
    """The document.

    Raises:
        RoutesDifferError: with the routes that differ.
    """
    described = operations() | gold_operations()
    if difference := routes() ^ described.keys():
        raise RoutesDifferError(", ".join(f"{method.upper()} {path}" for method, path in sorted(difference)))
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in described.items():
        operation["responses"] = dict(sorted(operation["responses"].items()))
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dropzone",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # Relative to this document's own address, so that it is true under any stage and prefix.
        "servers": [{"url": "./"}],
        "tags": [
            {"name": "Events", "description": "For those who send."},
            {"name": "Data", "description": "For those who want to know."},
            {"name": "Processing", "description": "For those who run it."},
            {"name": "Service"},
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {API_KEY: {"type": "apiKey", "in": "header", "name": "x-api-key"}},
            "schemas": components() | gold_components(),
            "responses": gateway_responses(),
        },
    }


def text() -> str:
    """The document as it is committed."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"
