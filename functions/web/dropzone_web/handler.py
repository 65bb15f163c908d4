"""Routes that need neither a key nor data: the page `GET /`, `/health`, `/docs`, `/openapi.json`."""

import json
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Literal, TypedDict

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.api import problems
from dropzone.api.answers import answer
from dropzone.api.gateway import gateway_context, header
from dropzone.api.pages import is_given
from dropzone.api.resolver import Described, make_app, problem, resolve
from dropzone.domain.access import PUBLIC
from dropzone.settings import ApiSettings

_OWN = "dropzone_web.static"
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}
# Swagger UI is part of Powertools; its assets are served from here.
_POWERTOOLS, _SWAGGER_UI = "aws_lambda_powertools", "event_handler/openapi/swagger_ui"
_DOCS_ASSETS = {
    "swagger-ui.css": (_POWERTOOLS, f"{_SWAGGER_UI}/swagger-ui.min.css"),
    "swagger-ui.js": (_POWERTOOLS, f"{_SWAGGER_UI}/swagger-ui-bundle.min.js"),
    "docs.js": (_OWN, "docs.js"),
}
_CACHED = {"Cache-Control": "public, max-age=3600"}
# Headers of files whose names change with their content.
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}

# Swagger UI sets styles on elements; everything else is served from here.
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

# The page needs no inline styles.
_STRICT_HEADERS = _PAGE_HEADERS | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
_WITH_SLASH = "slash"
_RELATIVE_SERVER = '"url": "."'


@answer({"status": "ok"})
class Health(TypedDict):
    """The API answers."""

    status: Literal["ok"]


logger = Logger(service="web")
app = make_app(logger)

settings = cache(ApiSettings.from_environment)


@app.get("/health", operation_id="getHealth", tags=["Service"])
@Described(PUBLIC)
def get_health() -> Health:
    """Check that the API answers.

    Needs no API key. It reads neither S3 nor the database.
    """
    return {"status": "ok"}


@app.get("/openapi.json", include_in_schema=False)
@Described(PUBLIC)
def get_openapi() -> Response[Any]:
    """The API document, with the URL of this API as its server, which generators need."""
    text, context = _text(_OWN, "openapi.json"), gateway_context(app.current_event.raw_event)
    # Only API Gateway knows its domain.
    if domain := context.get("domainName"):
        stage = str(context.get("path")).rstrip("/").removesuffix("/openapi.json")
        text = text.replace(_RELATIVE_SERVER, f'"url": {json.dumps(f"https://{domain}{stage}")}', 1)
    return Response(status_code=HTTPStatus.OK.value, content_type="application/json", body=text, headers=dict(_CACHED))


@app.get("/", include_in_schema=False)
@Described(PUBLIC)
def get_page() -> Response[Any]:
    """The page that shows the data."""
    if address := _address_with_slash():
        return Response(status_code=HTTPStatus.FOUND.value, headers={"Location": address, "Cache-Control": "no-cache"})
    return _checked(_text(_OWN, "page.html"), _STRICT_HEADERS)


@app.get("/page/<asset>", include_in_schema=False)
@Described(PUBLIC)
def get_page_asset(asset: str) -> Response[Any]:
    """The page's assets, whose names change with their content; they are built from page/."""
    if asset not in _page_assets():
        return problem(app, problems.NO_SUCH_FILE)
    return _asset(asset, _text(_OWN, f"page/{asset}"))


@app.get("/docs", include_in_schema=False)
@Described(PUBLIC)
def get_docs() -> Response[Any]:
    """The page of Swagger UI."""
    return _checked(_docs_page(), _PAGE_HEADERS)


@app.get("/docs/<asset>", include_in_schema=False)
@Described(PUBLIC)
def get_docs_asset(asset: str) -> Response[Any]:
    """Swagger UI's assets, whose names change with their content."""
    known = {_named(name): place for name, place in _DOCS_ASSETS.items()}
    if asset not in known:
        return problem(app, problems.NO_SUCH_FILE)
    return _asset(asset, _text(*known[asset]))


def _preflight(methods: str) -> Callable[[], Response[Any]]:
    """The response to a CORS preflight; without headers if no origin is configured."""

    @Described(PUBLIC)
    def preflight() -> Response[Any]:
        allowed = {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": "Content-Encoding, Content-Type, Idempotency-Key, If-None-Match, X-Api-Key",
            "Access-Control-Max-Age": "3600",
        }
        return Response(
            status_code=HTTPStatus.NO_CONTENT.value,
            headers=allowed if settings().cors_origin is not None else {},
            body="",
        )

    return preflight


for _methods, _paths in {
    "POST": ("/ingest", "/process"),
    "GET, HEAD, POST": ("/ingest/<id>",),
    "GET, HEAD": (
        *("/contracts", "/contracts/<id>", "/ingest/<id>/raw", "/kpis", "/measurements", "/measurements/<measured_at>"),
        *("/quality", "/rejections", "/sources"),
    ),
}.items():
    for _path in _paths:
        app.route(_path, method="OPTIONS", include_in_schema=False)(_preflight(_methods))


def _address_with_slash() -> str | None:
    """Where to redirect the stage's root without a trailing slash, which relative URLs need; None for other paths.

    The query prevents a loop if a gateway removes the slash again; the page hides it.
    """
    path = str(gateway_context(app.current_event.raw_event).get("path") or "/")
    if path.endswith("/") or _WITH_SLASH in (app.current_event.query_string_parameters or {}):
        return None
    return f"{path.rpartition('/')[2]}/?{_WITH_SLASH}"


def _checked(html: str, headers: dict[str, str]) -> Response[Any]:
    """A page, or 304 if the browser already has it."""
    # Weak, since it covers both the compressed and the uncompressed file.
    etag = f'W/"{_digest(html)}"'
    tagged = headers | {"ETag": etag}
    if is_given(etag, header(app.current_event.raw_event, "If-None-Match")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED.value, headers=tagged, body="")
    return Response(status_code=HTTPStatus.OK.value, content_type="text/html; charset=utf-8", body=html, headers=tagged)


def _asset(name: str, text: str) -> Response[Any]:
    content_type = _TYPES[name.rpartition(".")[2]]
    return Response(status_code=HTTPStatus.OK.value, content_type=content_type, body=text, headers=dict(_KEPT))


@cache
def _page_assets() -> frozenset[str]:
    return frozenset(file.name for file in files(_OWN).joinpath("page").iterdir())


@cache
def _docs_page() -> str:
    """The page of Swagger UI, with the current names of its assets."""
    html = _text(_OWN, "docs.html")
    for name in _DOCS_ASSETS:
        html = html.replace(f'"docs/{name}"', f'"docs/{_named(name)}"')
    return html


@cache
def _named(name: str) -> str:
    """The name of an asset of Swagger UI, including a digest of its content."""
    stem, _, ending = name.rpartition(".")
    return f"{stem}-{_digest(_text(*_DOCS_ASSETS[name]))}.{ending}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


@cache
def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return resolve(app, event, context, settings().cors_origin)
