"""`dropzone keys` on moto's AWS: the document that the functions read, and API Gateway's keys."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from dropzone.adapters.s3 import CLIENTS_KEY
from dropzone.domain.access import MAX_BINDING as LAYER_BINDING
from dropzone.domain.access import ClientsDocument, Decision, Identity, Kind, ListedClient, Scope, access_of, decide
from dropzone_cli import keys as core
from dropzone_cli.errors import CliError, ExitCode
from unit.cli.harness import API_ID, REGION, STACK, Cli, Stack

NONE: frozenset[Scope] = frozenset()


def identity(key: str) -> Identity:
    return Identity(Kind.KEY, sha256(key.encode()).hexdigest())


class World:
    """A stack with a plan for each kind of client."""

    def __init__(self, stack: Stack, cli: Cli) -> None:
        self.stack, self._cli = stack, cli
        self.gateway: Any = boto3.client("apigateway", region_name=REGION)
        for kind in ("devices", "analysts", "operators"):
            self.gateway.create_usage_plan(name=f"{STACK}-{kind}", apiStages=[{"apiId": API_ID, "stage": "v1"}])
        self.gateway.create_usage_plan(name="others-devices", apiStages=[{"apiId": "other", "stage": "v1"}])

    def run(self, *words: str, code: ExitCode = ExitCode.DONE) -> Any:  # noqa: ANN401 - JSON
        result = self._cli("keys", *words, "--stack-name", STACK, "--region", REGION, "--json")
        assert result.exit_code == code, (result.stdout, result.stderr)
        return json.loads(result.stdout) if result.stdout else None

    def document(self) -> ClientsDocument:
        """As the functions read it."""
        found = self.stack.s3.get_object(Bucket=self.stack.bucket, Key=CLIENTS_KEY)["Body"].read()
        return ClientsDocument.model_validate_json(found)

    def entry(self, key: str) -> ListedClient:
        return self.document().by_identity[identity(key).kind, identity(key).value]

    def decision(self, key: str, scope: Scope, when: timedelta = timedelta(0)) -> Decision:
        access = access_of(identity(key), self.document(), NONE)
        return decide(access, frozenset({scope}), datetime.now(UTC) + when)

    def plan_of(self, key_id: str) -> list[str]:
        plans = self.gateway.get_usage_plans()["items"]
        return [
            plan["name"]
            for plan in plans
            if key_id in {key["id"] for key in self.gateway.get_usage_plan_keys(usagePlanId=plan["id"])["items"]}
        ]


@pytest.fixture
def world(make_stack: Callable[..., Stack], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(core.Keys, "last_used", lambda *_: {})  # moto meters nothing
    return World(make_stack(), cli)


def test_new_key_does_what_the_document_says_and_no_more(world: World) -> None:
    made = world.run("create", "hall-3", "--scope", "ingest", "--source", "hall-3/*", "--expires", "90d")

    entry = world.entry(made["key"])
    assert (entry.name, entry.scopes) == ("hall-3", frozenset({Scope.INGEST}))
    assert entry.writes == entry.reads == ("hall-3/*",)
    assert made["key"] not in world.document().model_dump_json()
    assert world.decision(made["key"], Scope.INGEST) is Decision.ALLOWED
    assert world.decision(made["key"], Scope.READ) is Decision.SCOPE_MISSING
    assert world.decision(made["key"], Scope.INGEST, timedelta(days=90, minutes=1)) is Decision.EXPIRED
    assert world.plan_of(made["key_id"]) == [f"{STACK}-devices"]
    assert world.run("list")["keys"][0].keys() >= {"name", "scopes", "key_id", "expires", "last_used"}


def test_what_people_read_has_the_key_alone_on_stdout(world: World, cli: Cli) -> None:
    of = ("--stack-name", STACK, "--region", REGION)

    made = cli("keys", "create", "hall-3", "--scope", "ingest", "--source", "hall-3/*", *of)
    key = made.stdout.rstrip("\n")
    role = cli("keys", "create", "ann", "--scope", "read", "--role", ROLE, *of)
    listed = [line.split("\t") for line in cli("keys", "list", *of).stdout.splitlines()]
    checked = cli("keys", "check", *of)

    assert world.decision(key, Scope.INGEST) is Decision.ALLOWED
    assert made.stderr.startswith("This is the key of hall-3 (ingest). It is not shown again.\n")
    assert role.stdout.startswith("ann is listed (read). ")
    assert listed == [
        ["hall-3", "ingest", "hall-3/*", "-", "never", "-", listed[0][-1]],
        ["ann", "read", "-", "*", "never", "-", ROLE],
    ]
    assert listed[0][-1] in {each["id"] for each in world.gateway.get_api_keys()["items"]}
    assert (checked.exit_code, checked.stdout, checked.stderr) == (0, "", "All keys are listed and work.\n")


def test_the_last_day_of_use_is_as_api_gateway_has_metered_it() -> None:
    """On AWS alone: moto and the emulator meter nothing."""
    unused, refused = [[0, 9]] * 90, ClientError({"Error": {"Code": "NotFoundException"}}, "GetUsage")
    asked: list[dict[str, str]] = []
    pages: dict[str, list[dict[str, Any]]] = {
        "devices": [{"items": {"early": [[7, 9], *unused[1:]]}}, {"items": {"never": unused}}],
        "analysts": [
            {"items": {"early": [*unused[:-2], [1, 9], [0, 9]], "today": [[3, 9], *unused[1:-1], [1, 9]]}},
            {},
        ],
    }

    def usage(**call: str) -> list[dict[str, Any]]:
        asked.append(call)
        if call["usagePlanId"] == "metered by nobody":
            raise refused
        return pages[call["usagePlanId"]]

    gateway = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=usage))
    keys = core.Keys(SimpleNamespace(apigateway=lambda: gateway), "bucket", API_ID)  # type: ignore[arg-type] # as much as it needs
    plans = [{"id": plan} for plan in ("metered by nobody", *pages)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core.Keys, "plans", lambda _: plans)
        found = keys.last_used(datetime(2026, 3, 31, 12, tzinfo=UTC))

    assert found == {"early": "2026-03-30", "today": "2026-03-31"}
    assert asked[1] == {"usagePlanId": "devices", "startDate": "2026-01-01", "endDate": "2026-03-31"}


@pytest.mark.parametrize(
    ("scopes", "plan"),
    [("ingest", "devices"), ("read", "analysts"), ("operate", "operators"), ("ingest,read", "analysts")],
)
def test_scopes_choose_the_plan(world: World, scopes: str, plan: str) -> None:
    made = world.run("create", "someone", "--scope", scopes)

    assert world.plan_of(made["key_id"]) == [f"{STACK}-{plan}"]
    assert world.entry(made["key"]).writes is None


def test_writes_and_reads_may_differ(world: World) -> None:
    made = world.run("create", "one", "--scope", "ingest,read", "--writes", "a/*", "--reads", "b/*", "--reads", "c")

    entry = world.entry(made["key"])
    assert (entry.writes, entry.reads) == (("a/*",), ("b/*", "c"))


@pytest.mark.parametrize(
    "words",
    [
        ["Hall 3", "--scope", "ingest"],
        ["~x", "--scope", "ingest"],
        ["hall-3", "--scope", "admin"],
        ["hall-3"],
        ["hall-3", "--scope", "ingest", "--source", ""],
        ["hall-3", "--scope", "ingest", "--source", "x" * 201],
        ["hall-3", "--scope", "ingest", *("--source " + "é" * 150).split(), "--source", "é" * 149],
        ["hall-3", "--scope", "ingest", "--expires", "yesterday"],
        ["hall-3", "--scope", "ingest", "--expires", "2020-01-01T00:00Z"],
        ["hall-3", "--scope", "ingest", "--expires", "2099-01-01T00:00"],
        ["hall-3", "--scope", "ingest", "--expires", "0d"],
    ],
    ids=str,
)
def test_wrong_words_make_no_key(world: World, words: list[str]) -> None:
    before = len(world.gateway.get_api_keys()["items"])

    world.run("create", *words, code=ExitCode.USAGE)

    assert len(world.gateway.get_api_keys()["items"]) == before


def test_limit_of_a_binding_is_the_layer_s() -> None:
    assert core.MAX_BINDING == LAYER_BINDING
    assert core.DOCUMENT == CLIENTS_KEY
    assert tuple(Scope) == core.SCOPES


def test_name_is_given_once_also_after_it_was_revoked(world: World) -> None:
    first = world.run("create", "hall-3", "--scope", "ingest")
    world.run("create", "hall-3", "--scope", "read", code=ExitCode.USAGE)

    world.run("revoke", "hall-3")

    world.run("create", "hall-3", "--scope", "read", code=ExitCode.USAGE)
    assert world.decision(first["key"], Scope.INGEST) is Decision.EXPIRED
    assert first["key_id"] not in {key["id"] for key in world.gateway.get_api_keys()["items"]}
    assert world.run("list")["keys"] == []
    assert len(world.run("list", "--all")["keys"]) == 1


def test_both_keys_work_for_a_while_after_a_rotation(world: World) -> None:
    old = world.run("create", "hall-3", "--scope", "ingest", "--source", "hall-3/*", "--expires", "90d")

    new = world.run("rotate", "hall-3", "--overlap", "2d")

    assert new["key"] != old["key"]
    for key in (old["key"], new["key"]):
        assert world.entry(key).name == "hall-3"
        assert world.entry(key).writes == ("hall-3/*",)
        assert world.decision(key, Scope.INGEST) is Decision.ALLOWED
    later = timedelta(days=2, minutes=1)
    assert world.decision(old["key"], Scope.INGEST, later) is Decision.EXPIRED
    assert world.decision(new["key"], Scope.INGEST, later) is Decision.ALLOWED
    # As long as the old one was to live.
    assert world.decision(new["key"], Scope.INGEST, timedelta(days=90, minutes=1)) is Decision.EXPIRED

    assert world.run("revoke", "hall-3", "--key-id", old["key_id"]) == {"revoked": [old["key_id"]]}
    assert world.decision(old["key"], Scope.INGEST) is Decision.EXPIRED
    assert world.decision(new["key"], Scope.INGEST) is Decision.ALLOWED


ROLE = "arn:aws:iam::111122223333:role/analyst"


@pytest.mark.parametrize(("option", "kind", "value"), [("--role", Kind.ROLE, ROLE), ("--subject", Kind.SUBJECT, "ann")])
def test_who_signs_in_is_listed_without_a_key(world: World, option: str, kind: Kind, value: str) -> None:
    world.run("create", "hall-3", "--scope", "ingest")
    keys = world.gateway.get_api_keys()["items"]

    world.run("create", "ann", "--scope", "read", "--reads", "hall-3/*", "--expires", "90d", option, value)

    listed = world.document().by_identity[kind, value]
    assert (listed.name, listed.scopes, listed.reads) == ("ann", frozenset({Scope.READ}), ("hall-3/*",))
    assert listed.expires is not None
    assert len(world.gateway.get_api_keys()["items"]) == len(keys)
    assert world.run("check") == {"findings": []}
    world.run("create", "again", "--scope", "read", option, value, code=ExitCode.USAGE)
    world.run("rotate", "ann", code=ExitCode.USAGE)

    world.run("revoke", "ann")

    access = access_of(Identity(kind, value), world.document(), NONE)
    assert decide(access, frozenset({Scope.READ}), datetime.now(UTC)) is Decision.EXPIRED


@pytest.mark.parametrize(
    "words",
    [
        ("--scope", "read", "--role", "analyst"),
        ("--scope", "read", "--role", "arn:aws:sts::111122223333:assumed-role/analyst/ann"),
        ("--scope", "read", "--role", ROLE, "--subject", "ann"),
        ("--scope", "read", "--subject", ""),
        ("--scope", "operate", "--source", "hall-3/*"),
        ("--scope", "read,operate", "--reads", "hall-3/*"),
    ],
)
def test_entry_that_would_not_hold_is_refused(world: World, words: tuple[str, ...]) -> None:
    world.run("create", "ann", *words, code=ExitCode.USAGE)

    assert [key["name"] for key in world.gateway.get_api_keys()["items"]] == ["measurements-first"]


def test_rotation_never_lengthens_a_life(world: World) -> None:
    old = world.run("create", "hall-3", "--scope", "ingest", "--expires", "1d")

    world.run("rotate", "hall-3", "--overlap", "4w", "--expires", "1w")

    assert world.decision(old["key"], Scope.INGEST, timedelta(days=1, minutes=1)) is Decision.EXPIRED


@pytest.mark.parametrize("words", [["rotate", "nobody"], ["revoke", "nobody"]])
def test_unknown_name_is_said(world: World, words: list[str]) -> None:
    world.run(*words, code=ExitCode.USAGE)


def test_key_that_cannot_be_listed_is_taken_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise CliError("no")

    monkeypatch.setattr(core.Keys, "_change", refuse)
    before = [key["id"] for key in world.gateway.get_api_keys()["items"]]

    world.run("create", "hall-3", "--scope", "ingest", code=ExitCode.OUT_OF_REACH)

    assert [key["id"] for key in world.gateway.get_api_keys()["items"]] == before


def test_change_of_another_at_the_same_time_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("create", "one", "--scope", "read")
    read, others = core.Keys._read, iter(["two"])

    def read_and_be_overtaken(keys: core.Keys) -> Any:  # noqa: ANN401
        found = read(keys)
        if len(found[0]) == 1 and (name := next(others, None)):
            entry = {"name": name, "sha256": "b" * 64, "scopes": ["read"]}
            body = json.dumps({"clients": [*found[0], entry]}).encode()
            world.stack.s3.put_object(Bucket=world.stack.bucket, Key=CLIENTS_KEY, Body=body)
        return found

    monkeypatch.setattr(core.Keys, "_read", read_and_be_overtaken)
    world.run("create", "three", "--scope", "read")

    assert [client.name for client in world.document().clients] == ["one", "two", "three"]


def test_check_finds_what_is_not_listed_and_what_does_not_work(world: World) -> None:
    assert world.run("check") == {"findings": []}
    plan = next(plan["id"] for plan in world.gateway.get_usage_plans()["items"] if plan["name"] == f"{STACK}-devices")
    by_hand = world.gateway.create_api_key(name="by hand", enabled=True)["id"]
    world.gateway.create_usage_plan_key(usagePlanId=plan, keyId=by_hand, keyType="API_KEY")
    gone = world.run("create", "gone", "--scope", "read")["key_id"]
    world.gateway.delete_usage_plan_key(usagePlanId=plan_id(world, "analysts"), keyId=gone)
    soon = world.run("create", "soon", "--scope", "read", "--expires", "3d")["key_id"]

    findings = world.run("check", code=ExitCode.NOT_ALL_WELL)["findings"]

    assert {each["key_id"]: each["finding"].partition(":")[0].split(" on ")[0] for each in findings} == {
        by_hand: "not listed",
        gone: "listed, but in no usage plan",
        soon: "expires",
    }


def plan_id(world: World, kind: str) -> str:
    plans = world.gateway.get_usage_plans()["items"]
    return next(str(plan["id"]) for plan in plans if plan["name"] == f"{STACK}-{kind}")


def test_damaged_document_is_said_and_left_alone(world: World) -> None:
    world.stack.s3.put_object(Bucket=world.stack.bucket, Key=CLIENTS_KEY, Body=b"{}")

    for words in (["list"], ["create", "x", "--scope", "read"]):
        world.run(*words, code=ExitCode.OUT_OF_REACH)

    found = world.stack.s3.get_object(Bucket=world.stack.bucket, Key=CLIENTS_KEY)["Body"].read()
    assert found == b"{}"
