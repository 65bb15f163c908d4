"""Every route with every scope, by the real handlers: what opens, what is refused and how, and what is logged."""

import json
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from types import ModuleType
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from dropzone.api import problems
from dropzone.api.resolver import DESCRIBED, Described, check_scopes, make_app
from dropzone.domain.access import PUBLIC, ClientsDocument, ListedClient, Scope
from dropzone.ports import BronzeUnavailableError, RawObject
from dropzone_ingest import handler as ingest
from dropzone_ingest import routes as documented_ingest
from dropzone_process import sweep
from dropzone_query import handler as query
from dropzone_web import handler as web
from functional.lambda_calls import EXAMPLE, api_event, header, json_body
from functional.test_bad_input import ENVIRONMENT
from support.factories import raw_id
from support.fakes import InMemoryBronze, InMemoryClients, InMemorySilver
from support.lambda_context import Context
from support.reads import Rows
from support.traces import assert_no_trace

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
OURS, OTHERS = raw_id(), raw_id()


class Route(NamedTuple):
    method: str
    path: str
    scopes: frozenset[Scope]
    module: ModuleType


READ, OPERATE, INGEST = frozenset({Scope.READ}), frozenset({Scope.OPERATE}), frozenset({Scope.INGEST})
EXPECTED = {
    ("POST", "/ingest"): INGEST,
    ("POST", "/ingest/<id>"): INGEST,
    ("GET", "/ingest/<id>"): INGEST | READ,
    ("GET", "/ingest/<id>/raw"): INGEST | OPERATE,
    ("GET", "/rejections"): READ,
    ("GET", "/measurements"): READ,
    ("GET", "/measurements/<measured_at>"): READ,
    ("GET", "/sources"): READ,
    ("GET", "/kpis"): READ,
    ("GET", "/quality"): READ,
    ("GET", "/contracts"): READ,
    ("GET", "/contracts/<id>"): READ,
    ("POST", "/process"): OPERATE,
}
"""What opens each route that needs a key. All others are of Web, which has nothing to protect."""


def declared() -> dict[tuple[str, str], Route]:
    apps = {documented_ingest.app: ingest, sweep.app: sweep, query.app: query, web.app: web}
    return {
        (route.method, route.path): Route(route.method, route.path, DESCRIBED[route.func].scopes, module)
        for app, module in apps.items()
        for route in app._static_routes + app._dynamic_routes
    }


def test_each_route_opens_to_the_scopes_that_it_should() -> None:
    assert {key: route.scopes for key, route in declared().items() if route.module is not web} == EXPECTED
    assert {route.scopes for route in declared().values() if route.module is web} == {PUBLIC}


@pytest.mark.parametrize("path", ["/static", "/dynamic/<id>"])
def test_route_without_a_scope_fails_the_check_and_opens_for_nobody(path: str) -> None:
    app = make_app(query.logger, query.authorizer)

    @app.get(path)
    def undeclared(id: str = "") -> dict[str, str]:
        return {"secret": id}

    with pytest.raises(LookupError, match=r"GET /.+scopes"):
        check_scopes(app)
    answer = app.resolve(api_event(b"", path=path.replace("<id>", "1")) | {"httpMethod": "GET"}, Context())
    assert answer["statusCode"] == 404


def test_route_that_needs_a_key_in_a_function_without_an_authorizer_opens_for_nobody() -> None:
    app = make_app(query.logger)

    @app.get("/secret")
    @Described(READ)
    def secret() -> dict[str, str]:
        return {"secret": "1"}

    answer = app.resolve(api_event(b"", path="/secret") | {"httpMethod": "GET"}, Context())
    assert answer["statusCode"] == 500


# ---- calls -----------------------------------------------------------------------------------------------------------


class Bronze(InMemoryBronze):
    """The raw objects, and who sent them."""

    def sender(self, identifier: UUID) -> str | None:
        found = self.objects.get(identifier)
        return None if found is None else found.client


class World:
    """All functions, with keys named after what they may do."""

    def __init__(self) -> None:
        self.clients = InMemoryClients()
        self.bronze = Bronze()
        self.silver = InMemorySilver()
        for identifier, client in ((OURS, "ours"), (OTHERS, "others")):
            self.bronze.objects[identifier] = RawObject(identifier, EXAMPLE, "application/json", "c", client=client)

    def allow(self, key: str, *scopes: Scope, **fields: Any) -> None:  # noqa: ANN401 - the entry's
        self.enlist(*scopes, sha256=sha256(key.encode()).hexdigest(), **fields)

    def enlist(self, *scopes: Scope, **fields: Any) -> None:  # noqa: ANN401 - the entry's
        entry = ListedClient(name=fields.pop("name", "ours"), scopes=frozenset(scopes), **fields)
        self.clients.document = ClientsDocument(clients=(*self.clients.document.clients, entry))

    def call(self, route: Route, key: str, identifier: UUID = OURS, **parts: Any) -> dict[str, Any]:  # noqa: ANN401 - of a request
        path = route.path.replace("<id>", str(identifier)).replace("<measured_at>", "2026-03-04T12:00Z")
        if route.path == "/contracts/<id>":
            path = "/contracts/default"
        if (route.method, route.path) == ("POST", "/ingest/<id>"):
            path = "/ingest/telegraf"
        body = EXAMPLE if path.startswith("/ingest") and route.method == "POST" else b""
        signed_in = parts.pop("signed_in", None)
        event = api_event(body, like="api-ingest", path=path, **parts) | {"httpMethod": route.method}
        if path == "/ingest/telegraf":
            event["pathParameters"] = {"id": "telegraf"}
        event["requestContext"]["identity"]["apiKey"] = key
        if signed_in is not None:
            event |= {"version": "1.0"}
            event["requestContext"] |= signed_in
        answer: dict[str, Any] = route.module.handler(event, Context())
        return answer


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    for name, value in (ENVIRONMENT | {"DEFAULT_SCOPES": "none"}).items():
        monkeypatch.setenv(name, value)
    for module in (ingest, sweep, query, web):
        monkeypatch.setattr(module, "settings", cache(module.settings.__wrapped__))
        monkeypatch.setattr(module, "bronze", lambda: world.bronze, raising=False)
        monkeypatch.setattr(module, "silver", lambda: world.silver, raising=False)
        monkeypatch.setattr(module, "clients", lambda: world.clients, raising=False)
    known = {"status": "processed", "settled_at": NOON, "items": 1}
    measured = {"measured_at": NOON, "source": "a"}
    monkeypatch.setattr(query, "database", lambda: Rows(objects=[known], events=[], measurements=[measured]))
    return world


KEYED = [route for route in declared().values() if route.scopes]
PUBLIC_ROUTES = [route for route in declared().values() if not route.scopes]
ROUTES = pytest.mark.parametrize("route", KEYED, ids=lambda route: f"{route.method} {route.path}")


def problem(answer: dict[str, Any]) -> str:
    assert answer["statusCode"] == 403
    assert header(answer, "Content-Type") == "application/problem+json"
    return str(json_body(answer)["type"]).removeprefix("urn:dropzone:problem:")


@ROUTES
@pytest.mark.parametrize("scope", Scope)
def test_scope_opens_a_route_or_is_missing(world: World, route: Route, scope: Scope) -> None:
    world.allow("key", scope)

    answer = world.call(route, "key")

    if scope in EXPECTED[route.method, route.path]:
        assert answer["statusCode"] in {200, 202}, answer
    else:
        assert problem(answer) == "scope-missing"
        detail = json_body(answer)["detail"]
        assert f"this key has: {scope}." in detail
        assert all(needed in detail for needed in route.scopes)


@ROUTES
def test_key_without_an_entry_is_unknown(world: World, route: Route) -> None:
    assert problem(world.call(route, "another")) == "key-unknown"


@ROUTES
def test_request_without_a_key_is_unknown(world: World, route: Route) -> None:
    assert problem(world.call(route, "")) == "key-unknown"


@ROUTES
def test_expired_key_opens_nothing(world: World, route: Route) -> None:
    world.allow("key", *Scope, expires=NOON)

    assert problem(world.call(route, "key")) == "key-expired"


@ROUTES
def test_nothing_opens_while_the_document_cannot_be_read(
    world: World, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unreadable:
        def current(self) -> ClientsDocument:
            raise BronzeUnavailableError("S3 answered 403")

    monkeypatch.setattr(route.module, "clients", Unreadable)

    answer = world.call(route, "key")

    assert answer["statusCode"] == 503
    assert header(answer, "Retry-After") == "5"
    assert world.bronze.objects.keys() == {OURS, OTHERS}


@pytest.mark.parametrize("route", PUBLIC_ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_public_route_asks_for_nothing(world: World, route: Route) -> None:
    answer = world.call(route._replace(path=route.path.replace("<asset>", "x")), "")

    if "<asset>" in route.path:
        assert json_body(answer)["detail"] == problems.NO_SUCH_FILE.detail
    else:
        assert answer["statusCode"] in {200, 204, 302}


@pytest.mark.parametrize("path", ["/measurements", "/process"])
def test_who_may_not_ask_does_not_learn_what_is_wrong_with_the_parameters(world: World, path: str) -> None:
    world.allow("key", Scope.INGEST)
    route = declared()["POST" if path == "/process" else "GET", path]

    assert problem(world.call(route, "key", query={"limit": "no", "nothing": "1"})) == "scope-missing"


def test_head_is_decided_as_get(world: World) -> None:
    world.allow("key", Scope.INGEST)
    route = declared()["GET", "/kpis"]._replace(method="HEAD")

    answer = world.call(route, "key")

    assert (answer["statusCode"], answer["body"]) == (403, "")


# ---- what was sent with another key ----------------------------------------------------------------------------------

STATUS, RAW = declared()["GET", "/ingest/<id>"], declared()["GET", "/ingest/<id>/raw"]


@pytest.mark.parametrize("route", [STATUS, RAW], ids=["status", "raw"])
def test_device_sees_its_own_objects_and_does_not_learn_of_others(world: World, route: Route) -> None:
    world.allow("key", Scope.INGEST)
    never = raw_id()

    assert world.call(route, "key", OURS)["statusCode"] == 200
    other, missing = world.call(route, "key", OTHERS), world.call(route, "key", never)
    assert other["statusCode"] == missing["statusCode"] == 404
    # Not even by another text.
    assert json_body(other) == json_body(missing)


def test_client_sees_what_it_sent_with_its_earlier_key(world: World) -> None:
    world.allow("new", Scope.INGEST)
    world.allow("old", Scope.INGEST, expires=NOON)

    assert world.call(STATUS, "new", OURS)["statusCode"] == 200
    assert problem(world.call(STATUS, "old", OURS)) == "key-expired"


def test_reader_sees_the_status_of_any_object_and_the_bytes_of_none(world: World) -> None:
    world.allow("key", Scope.READ, name="reader")

    assert world.call(STATUS, "key", OTHERS)["statusCode"] == 200
    assert problem(world.call(RAW, "key", OTHERS)) == "scope-missing"


def test_operator_sees_the_bytes_of_any_object(world: World) -> None:
    world.allow("key", Scope.OPERATE, name="operator")

    assert world.call(RAW, "key", OTHERS)["statusCode"] == 200


def test_tag_of_another_s_object_is_no_proof(world: World) -> None:
    world.allow("key", Scope.INGEST)

    assert world.call(RAW, "key", OTHERS, headers={"If-None-Match": f'"{OTHERS}"'})["statusCode"] == 404


# ---- what is kept and logged -----------------------------------------------------------------------------------------

SEND = declared()["POST", "/ingest"]


def test_object_keeps_who_sent_it_and_the_binding_of_that_moment(world: World) -> None:
    world.allow("bound", Scope.INGEST, writes=("hall-3/*",))

    sent = UUID(json_body(world.call(SEND, "bound"))["raw_id"])

    assert (world.bronze.objects[sent].client, world.bronze.objects[sent].writes) == ("ours", ("hall-3/*",))


def test_request_is_logged_with_client_scopes_and_decision_and_without_the_key(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (ingest, query):
        monkeypatch.setattr(module.logger.registered_handler, "stream", _Stdout())
    world.allow("THE-KEY-ITSELF", Scope.INGEST)

    world.call(SEND, "THE-KEY-ITSELF")
    world.call(declared()["GET", "/kpis"], "THE-KEY-ITSELF")
    world.call(STATUS, "THE-KEY-ITSELF")
    written = capsys.readouterr().out

    assert_no_trace(written, "THE-KEY-ITSELF")
    assert sha256(b"THE-KEY-ITSELF").hexdigest() not in written
    lines = [json.loads(line) for line in written.splitlines()]
    [accepted] = [line for line in lines if line.get("message") == "accepted"]
    [allowed] = [line for line in lines if line.get("message") == "allowed"]
    for line in (accepted, allowed):
        assert (line["client"], line["scopes"], line["decision"]) == ("ours", ["ingest"], "allowed")
    [refused] = [line for line in lines if line.get("message") == "refused"]
    assert (refused["client"], refused["scopes"], refused["opened_by"]) == ("ours", ["ingest"], ["read"])
    assert refused["reason"] == "scope-missing"
    [denied] = [line for line in lines if "Denied" in line]
    assert denied["service"] == "access"
    [count] = [line for line in lines if "Refused" in line]
    assert (count["reason"], count["service"]) == ("scope-missing", "query")


class _Stdout:
    """Whatever sys.stdout is at the moment."""

    def write(self, text: str) -> int:
        import sys  # noqa: PLC0415

        return sys.stdout.write(text)

    def flush(self) -> None:
        pass


# ---- who has signed in ----------------------------------------------------------------------------------------------

SIGNED = [route for route in KEYED if route.module is not ingest]
SIGNED_ROUTES = pytest.mark.parametrize("route", SIGNED, ids=lambda route: f"{route.method} {route.path}")
ROLE = "arn:aws:iam::111122223333:role/analyst"
SESSION = "arn:aws:sts::111122223333:assumed-role/analyst/ann@example.com"


def token(**claims: object) -> dict[str, Any]:
    """As API Gateway has checked it."""
    return {"authorizer": {"claims": {"sub": "ann", **claims}, "scopes": None}}


def role(arn: str = SESSION) -> dict[str, Any]:
    return {"identity": {"userArn": arn, "sourceIp": "192.0.2.1"}}


@SIGNED_ROUTES
@pytest.mark.parametrize("scope", Scope)
def test_token_opens_what_its_scopes_open(world: World, route: Route, scope: Scope) -> None:
    answer = world.call(route, "", signed_in=token(scope=f"openid {scope} profile"))

    if scope not in EXPECTED[route.method, route.path]:
        assert problem(answer) == "scope-missing"
        assert f"this token has: {scope}." in json_body(answer)["detail"]
    elif scope is Scope.INGEST:
        # It has sent nothing.
        assert answer["statusCode"] == 404
    else:
        assert answer["statusCode"] == 200, answer


@SIGNED_ROUTES
@pytest.mark.parametrize("scope", Scope)
def test_role_opens_what_its_entry_says(world: World, route: Route, scope: Scope) -> None:
    world.enlist(scope, role=ROLE)

    answer = world.call(route, "", signed_in=role())

    if scope in EXPECTED[route.method, route.path]:
        assert answer["statusCode"] == 200, answer
    else:
        assert problem(answer) == "scope-missing"
        assert f"this role has: {scope}." in json_body(answer)["detail"]


@SIGNED_ROUTES
@pytest.mark.parametrize(
    ("signed_in", "reason"),
    [
        (role(), "key-unknown"),
        (role("arn:aws:sts::111122223333:assumed-role/admin/analyst"), "key-unknown"),
        (role("arn:aws:sts::444455556666:assumed-role/analyst/ann"), "key-unknown"),
        (role("arn:aws:iam::111122223333:user/analyst"), "key-unknown"),
        (role("arn:aws:iam::111122223333:root"), "key-unknown"),
        (role("analyst"), "key-unknown"),
        (token(), "scope-missing"),
        (token(scope=""), "scope-missing"),
        (token(scope="reader operated READ openid"), "scope-missing"),
        (token(scp="read operate"), "scope-missing"),
        ({"identity": {"userArn": None}, "authorizer": {"claims": None, "scopes": None}}, "key-unknown"),
        ({"identity": {}, "authorizer": None}, "key-unknown"),
    ],
)
def test_who_is_not_listed_or_has_another_scope_opens_nothing(
    world: World, route: Route, signed_in: dict[str, Any], reason: str
) -> None:
    for number, arn in enumerate(["arn:aws:iam::111122223333:role/other", "arn:aws:iam::111122223333:user/other"]):
        world.enlist(*Scope, role=arn, name=f"other-{number}")

    assert problem(world.call(route, "", signed_in=signed_in)) == reason


@SIGNED_ROUTES
def test_default_scopes_are_of_keys_and_roles_and_never_of_nobody(
    world: World, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFAULT_SCOPES", "ingest,read,operate")

    assert world.call(route, "", signed_in=role())["statusCode"] == 200
    assert problem(world.call(route, "key", signed_in={"identity": {"apiKey": "key"}})) == "key-unknown"


@SIGNED_ROUTES
def test_key_beside_a_sign_in_counts_for_nothing(world: World, route: Route) -> None:
    world.allow("key", *Scope)

    for signed_in, reason in (
        (token(), "scope-missing"),
        (role(), "key-unknown"),
        ({"authorizer": {"claims": None}}, "key-unknown"),
    ):
        beside = {"identity": {"apiKey": "key", **signed_in.get("identity", {})}}
        assert problem(world.call(route, "key", signed_in={**signed_in, **beside})) == reason


USER = "arn:aws:iam::111122223333:user/ann"


@pytest.mark.parametrize(
    ("listed", "arn"),
    [
        (ROLE, SESSION),
        (ROLE, ROLE),
        (ROLE, "arn:aws:iam::111122223333:role/service-role/analyst"),
        (ROLE, "arn:aws:sts::111122223333:assumed-role/analyst/another"),
        (USER, USER),
        (USER, "arn:aws:iam::111122223333:user/team/hall/ann"),
    ],
)
def test_role_or_user_is_known_in_any_session_and_under_any_path(world: World, listed: str, arn: str) -> None:
    world.enlist(Scope.READ, role=listed)

    assert world.call(declared()["GET", "/kpis"], "", signed_in=role(arn))["statusCode"] == 200


@pytest.mark.parametrize(
    ("value", "opens"),
    [
        ("dropzone/read", True),
        ("openid dropzone/read", True),
        ("[admins dropzone/read]", True),
        (["admins", "dropzone/read"], True),
        ("read", False),
        ("xdropzone/read", False),
        ("dropzone/reads", False),
        ("[dropzone/operate]", False),
    ],
)
def test_claim_and_prefix_of_scopes_are_parameters(
    world: World, value: object, *, opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SCOPES_CLAIM", "cognito:groups")
    monkeypatch.setenv("JWT_SCOPE_PREFIX", "dropzone/")

    answer = world.call(declared()["GET", "/kpis"], "", signed_in=token(**{"cognito:groups": value, "scope": "x"}))

    assert (answer["statusCode"] == 200) is opens


@SIGNED_ROUTES
def test_key_opens_no_more_than_keys_may(world: World, route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_SCOPES", "ingest")
    world.allow("key", *Scope)

    answer = world.call(route, "key")

    if Scope.INGEST in EXPECTED[route.method, route.path]:
        assert answer["statusCode"] == 200
    else:
        assert problem(answer) == "scope-missing"
        assert world.call(route, "", signed_in=token(scope="read operate"))["statusCode"] == 200


@SIGNED_ROUTES
def test_key_that_is_bound_to_sources_operates_on_nothing(world: World, route: Route) -> None:
    world.allow("key", Scope.OPERATE, writes=("hall-3/*",), name="bound")

    assert problem(world.call(route, "key", OTHERS)) == "scope-missing"
