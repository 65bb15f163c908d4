"""`GET /`, `GET /docs`, and what they load, without a key: pages are asked for again by their tag, assets are kept."""

import base64
import gzip
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from dropzone_web.handler import handler
from functional.lambda_calls import api_event, header, json_body
from support.lambda_context import Context


def get(
    path: str,
    *,
    stage_path: str | None = None,
    query: Mapping[str, str] | None = None,
    known: str | None = None,
    encoding: str | None = None,
) -> dict[str, Any]:
    headers = {"If-None-Match": known, "Accept-Encoding": encoding}
    event = api_event(b"", like="api-health", path=path, query=query, headers=headers)
    event["requestContext"]["path"] = stage_path if stage_path is not None else f"/v1{path}"
    return handler(event, Context())


@pytest.mark.parametrize(
    ("path", "styles", "images"), [("/", "'self'", "data:"), ("/docs", "'self' 'unsafe-inline'", "'self' data:")]
)
def test_a_page_allows_nothing_but_its_own_files(path: str, styles: str, images: str) -> None:
    answer = get(path)

    assert answer["statusCode"] == 200
    assert header(answer, "Content-Type") == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in str(header(answer, "Content-Security-Policy")).split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": styles,
        "img-src": images,
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert header(answer, "X-Content-Type-Options") == "nosniff"
    assert header(answer, "Referrer-Policy") == "no-referrer"


def test_every_reference_is_relative_and_answered() -> None:
    body = get("/")["body"]

    references = re.findall(r'(?:src|href)="([^"]+)"', body)
    loaded = {reference for reference in references if reference.startswith("page/")}
    assert set(references) - loaded == {"data:,", "docs", "#"}
    scripts = {f"page/{name}" for name in PAGE_ASSETS if name.endswith(".js")}
    imported = {
        f"page/{name}"
        for path in scripts
        for name in re.findall(r'["\']\./([^"\']+\.js)["\']', get(f"/{path}")["body"])
    }
    # Modules that import each other, and none that nobody asks for.
    assert imported | {path for path in loaded if path.endswith(".js")} == scripts
    assert [get(f"/{path}")["statusCode"] for path in loaded | scripts] == [200] * len(loaded | scripts)


def test_nothing_is_inline_and_nothing_is_parsed_as_html() -> None:
    assert not re.search(r"<style|<script>|\son[a-z]+=|style=", get("/")["body"])
    for file in (Path(__file__).parents[2] / "page").glob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\.innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), file.name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), file.name


TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
PAGE_ASSETS = sorted(file.name for file in files("dropzone_web.static").joinpath("page").iterdir())
DOCS_ASSETS = sorted(re.findall(r'"docs/([^"]+)"', get("/docs")["body"]))


@pytest.mark.parametrize(
    "path", [*(f"/page/{name}" for name in PAGE_ASSETS), *(f"/docs/{name}" for name in DOCS_ASSETS)]
)
def test_an_asset_is_named_by_its_content_and_kept(path: str) -> None:
    answer = get(path)

    assert (answer["statusCode"], header(answer, "Content-Type")) == (200, TYPES[path.rpartition(".")[2]])
    assert header(answer, "Cache-Control") == "public, max-age=31536000, immutable"
    assert re.search(r"-(\w{8}|[0-9a-f]{16})\.(js|css)$", path)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_is_asked_for_again_by_its_tag(path: str) -> None:
    answer = get(path)

    assert header(answer, "Cache-Control") == "no-cache"
    etag = str(header(answer, "ETag"))
    for known in (etag, etag.removeprefix("W/")):
        again = get(path, known=f'"other", {known}')
        assert (again["statusCode"], again["body"], header(again, "ETag")) == (304, "", etag)
    assert get(path, known='"other"')["statusCode"] == 200


@pytest.mark.parametrize("path", ["/", f"/page/{PAGE_ASSETS[0]}", f"/docs/{DOCS_ASSETS[-1]}", "/openapi.json"])
def test_files_are_compressed(path: str) -> None:
    plain, packed = get(path), get(path, encoding="gzip, deflate, br")

    assert (header(packed, "Content-Encoding"), header(packed, "ETag")) == ("gzip", header(plain, "ETag"))
    assert gzip.decompress(base64.b64decode(packed["body"])).decode() == plain["body"]
    assert len(packed["body"]) < len(plain["body"]) * 0.7
    assert header(plain, "Vary") == header(packed, "Vary") == "Accept-Encoding"


@pytest.mark.parametrize("asset", ["none.js", "page.html", "../handler.py", "%2e%2e%2fhandler.py"])
def test_no_other_file_is_sent(asset: str) -> None:
    answer = get(f"/page/{asset}")

    assert answer["statusCode"] == 404
    assert json_body(answer)["type"] == "urn:dropzone:problem:not-found"


@pytest.mark.parametrize(("stage_path", "location"), [("/v1", "v1/?slash"), ("/base", "base/?slash")])
def test_a_root_without_its_slash_is_sent_to_the_one_with_it_once(stage_path: str, location: str) -> None:
    answer = get("/", stage_path=stage_path)

    assert (answer["statusCode"], header(answer, "Location")) == (302, location)
    assert get("/", stage_path=stage_path, query={"slash": ""})["statusCode"] == 200


@pytest.mark.parametrize("stage_path", ["/v1/", "/", ""])
def test_a_root_with_its_slash_is_the_page(stage_path: str) -> None:
    assert get("/", stage_path=stage_path)["statusCode"] == 200
