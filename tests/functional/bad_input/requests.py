"""Requests as API Gateway hands them over, with everything in them that a client can choose, chosen badly.

The headers, the query and the path hold `SECRET`, so that it is seen wherever a part of one turns up.
"""

import base64
import json
from typing import Any, Final

from hypothesis import strategies as st

from functional.lambda_calls import EXAMPLE, api_event

SECRET: Final = "MARKER-OF-A-KEY"  # noqa: S105 - no password
"""Is in the requests' headers, queries and paths, and must not be written anywhere."""

Event = dict[str, Any]

_ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates and all
_LONG = "x" * 20_000
_HEADER_VALUES = st.one_of(
    _ANY_TEXT,
    st.sampled_from(["", " ", "\r\nX-Injected: 1", "a\nb", "\x00", "ü€😀", "*/*", SECRET, SECRET + _LONG]),
)
_CONTENT_TYPES = st.sampled_from(
    [
        "application/json",
        "APPLICATION/JSON ; charset=utf-8",
        'application/json; charset="utf-8"; x=";"; =; ;;',
        "application/json;" + _LONG,
        "application/vnd.api+json",
        "application/+json",
        "application/json\r\nX-Injected: 1",
        "application/jsonＪ",
        "application/ſson",
        "application/json, application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=" + SECRET,
        "text/plain",
        ";",
        "/",
        _LONG,
    ]
)
_ENCODINGS = st.sampled_from(["", "identity", "IDENTITY ", "gzip", "br, gzip", "deflate\r\n", "ü", _LONG, SECRET])
_NAMES = st.one_of(
    _ANY_TEXT,
    st.sampled_from(["Cookie", "Origin", "Accept", "Accept-Encoding", "X-Forwarded-For", "Host", "", "x" * 5_000]),
)


@st.composite
def _headers(draw: st.DrawFn) -> dict[str, str] | None:
    if draw(st.integers(0, 9)) == 0:
        return None
    headers = draw(st.dictionaries(_NAMES, _HEADER_VALUES, max_size=4))
    for name, values in (("content-type", _CONTENT_TYPES), ("content-encoding", _ENCODINGS)):
        if draw(st.integers(0, 2)) == 0:
            spelling = draw(st.sampled_from([name, name.title(), name.upper()]))
            headers[spelling] = draw(st.one_of(values, values, _HEADER_VALUES))
    return headers | {"x-api-key": SECRET, "Authorization": f"Bearer {SECRET}", "Cookie": f"session={SECRET}"}


_QUERY_NAMES = st.one_of(
    _ANY_TEXT,
    st.sampled_from(["limit", "cursor", "from", "to", "code"]),
    st.sampled_from(["LIMIT", "limit[]", "since", SECRET, SECRET + _LONG]),
)
INSTANTS: Final = [
    *("0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2019-05-01T06:00:00-04:00", "9999-12-31T23:59:59Z"),
    *("0001-01-01T00:00:00+23:59", "2019-05-01", SECRET),
]
_QUERY_VALUES = st.one_of(
    st.sampled_from([*INSTANTS, "data.empty"]),
    _ANY_TEXT,
    st.sampled_from(["1", "0", "-1", "1001", "1e2", "１", "1_0", "9" * 5_000, "NaN", "null", SECRET, " 5 "]),
    st.uuids().map(str),
)
_QUERIES = st.one_of(
    st.none(),
    st.dictionaries(_QUERY_NAMES, _QUERY_VALUES, max_size=3),
    st.just({f"{SECRET}-{number}": "1" for number in range(200)}),
)

_ASSETS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            *("swagger-ui.css", "swagger-ui.js", "docs.js", "openapi.json", "docs.html", "__init__.py", ".", "..", ""),
            *("../handler.py", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e", "....//", "/etc/passwd"),
            *("docs.js/", "docs.js%00", "docs.js\x00.css", "docs.js\n", "docs.js?x", "DOCS.JS", "a" * 10_000, SECRET),
            *("\\..\\..", "docs.js\r\nX-Injected: 1", "{asset}", "<asset>", "__class__", "%s%n", "${jndi:x}"),
        ]
    ),
)
_PATHS = st.one_of(
    st.sampled_from(
        ["/ingest", "/process", "/health", "/docs", "/openapi.json", "/", "", "//", "/ingest/", "//ingest"]
    ),
    st.sampled_from(["/INGEST", "ingest", "/ingest/../process", "/ingest\n", "/ingest\x00", "/%69ngest", "/" + _LONG]),
    st.just(f"/{SECRET}"),
    _ASSETS.map(lambda asset: f"/docs/{asset}"),
    _ANY_TEXT,
)
_METHODS = st.sampled_from(
    [
        *("POST", "GET", "OPTIONS", "HEAD", "PUT", "DELETE", "TRACE", "CONNECT", "PROPFIND", "post", "", "POST "),
        *("G\r\nET", "x" * 1_000, SECRET, "resolve", "__init__"),
    ]
)
_LIKELY = 7
"""Of ten requests, those that reach a route."""
_CONTEXTS = st.sampled_from(
    [None, {}, {"requestId": None}, {"requestId": ""}, {"requestId": "r" * 500}, {"identity": None}, "absent", "given"]
)
_REPLAYS = st.fixed_dictionaries(
    {"reprocess": st.sampled_from([True, True, True, False, "true", 1, None])},
    optional={
        "dry_run": st.sampled_from([True, False, "x"]),
        "from": st.sampled_from([*INSTANTS, 5, None]),
        "to": st.sampled_from(INSTANTS),
        "code": st.sampled_from(["data.empty", "payload.not_json", SECRET, 5]),
        "raw_ids": st.sampled_from(
            [
                *([], [SECRET], ["0" * 32], [5], SECRET, ["019f7ed9-87c3-7a4e-8f21-5b6c7d8e9f01"] * 2),
                ["019f7ed9-87c3-7a4e-8f21-5b6c7d8e9f01"] * 1_001,
            ]
        ),
        "cursor": st.sampled_from(["ffffffff-ffff-ffff-ffff-ffffffffffff", SECRET]),
        SECRET: st.just(SECRET),
    },
)
_BODIES = st.one_of(
    _REPLAYS.map(lambda body: (json.dumps(body), False)),
    st.just((base64.b64encode(EXAMPLE).decode(), True)),
    st.sampled_from(
        [
            *((None, False), (None, True), ("", True), ("", False), ("=", True), ("!!!", True), ("e30", True)),
            *(("e30=\r\n", True), ("ü", True), ("\ud800", True), ("\ud800", False), ("{}", False), ("[]", False)),
            ('{"limit": 1, "cursor": "MARKER-OF-A-KEY"}', False),
            ('{"MARKER-OF-A-KEY": 1}', False),
            ('{"limit": ' + "9" * 5_000 + "}", False),
            ('{"limit": 1e400}', False),
            ('{"limit": 1e300}', False),
            ('{"limit": -0.0}', False),
            ('{"limit": NaN}', False),
            ('{"limit": 1, "limit": "x"}', False),
            ("{" + ",".join(f'"MARKER-OF-A-KEY-{number}": 0' for number in range(500)) + "}", False),
            ('{"' + r"\u0000" * 1_000 + 'MARKER-OF-A-KEY": 0}', False),
            (EXAMPLE.decode(), False),
            (EXAMPLE.decode(), True),
        ]
    ),
    st.binary(max_size=20).map(lambda body: (base64.b64encode(body).decode(), True)),
)


def _repeated(values: dict[str, str] | None) -> dict[str, list[str]] | None:
    return None if values is None else {name: [value, value, SECRET] for name, value in values.items()}


@st.composite
def requests(draw: st.DrawFn, method: str, path: str) -> Event:
    """Requests of every kind, most of them for a function's own route."""
    event = api_event()
    if draw(st.integers(1, 10)) > _LIKELY:
        method, path = draw(st.one_of(_METHODS, st.just(method))), draw(_PATHS)
    headers, query = draw(_headers()), draw(_QUERIES)
    event["httpMethod"], event["path"] = method, path
    event["headers"] = headers
    event["multiValueHeaders"] = draw(st.sampled_from([None, _repeated(headers)]))
    event["queryStringParameters"] = query
    event["multiValueQueryStringParameters"] = draw(st.sampled_from([None, _repeated(query)]))
    event["pathParameters"] = draw(st.sampled_from([None, {"asset": path}, {"asset": None}, {"": SECRET}]))
    event["body"], event["isBase64Encoded"] = draw(_BODIES)
    context = draw(_CONTEXTS)
    if context == "absent":
        del event["requestContext"]
    elif context != "given":
        event["requestContext"] = context
    return event


def requests_for_files() -> st.SearchStrategy[Event]:
    """Requests below `/docs/`, whose last part is the client's to choose."""
    return _ASSETS.flatmap(lambda asset: requests("GET", f"/docs/{asset}"))


def requests_for_objects() -> st.SearchStrategy[Event]:
    """Requests below `/ingest/`, whose last part should be an identifier."""
    identifiers = st.one_of(st.uuids().map(str), st.uuids().map(lambda raw_id: raw_id.hex), _ASSETS)
    return identifiers.flatmap(lambda raw_id: requests("GET", f"/ingest/{raw_id}"))
