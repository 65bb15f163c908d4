"""The other commands: what they ask the API, what they print, how they end."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st
from typer.core import TyperGroup

from dropzone.domain.identifiers import object_key
from dropzone.domain.outcomes import Change, Code
from dropzone.queries.status import State
from dropzone_cli import details, output
from dropzone_cli.commands import fleet
from dropzone_cli.main import app
from support.factories import raw_id, raw_ids
from unit.cli.harness import Cli, FakeApi, Stack, document

pytestmark = pytest.mark.usefixtures("local")  # where no stack on AWS is named

FIGURES = {
    "received_at": "2026-11-24T16:44:35.108Z",
    "settled_at": "2026-11-24T16:44:36.201544Z",
    "measured_at": "2019-05-01T10:00:00Z",
    "source": "",
    "mean": 1.0,
    "std_dev": 1.0,
    "sample_count": 2,
    "min": 0.0,
    "max": 2.0,
}
PROCESSED: dict[str, Any] = {"status": "processed", **FIGURES}
SUPERSEDED: dict[str, Any] = {"status": "superseded", **FIGURES, "superseded_by": str(raw_id())}
REJECTED: dict[str, Any] = {
    "status": "rejected",
    "violations": [
        {"code": "data.empty", "field": "data", "message": "is empty"},
        {"code": "data.not_numeric", "field": "data", "message": "holds a \x1b string", "index": 3},
    ],
}
ACCEPTED: dict[str, Any] = {"status": "accepted", "attempts": 0}
STUCK: dict[str, Any] = {"status": "stuck", "attempts": 5, "last_error": "its process died"}


def page(**answer: object) -> httpx.Response:
    return httpx.Response(200, json=answer)


# ---- status


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([PROCESSED], 0),
        ([PROCESSED, SUPERSEDED], 0),
        ([PROCESSED, REJECTED], 1),
        ([STUCK], 1),
        ([None], 1),
        ([ACCEPTED], 4),
        ([ACCEPTED, PROCESSED], 4),
        ([ACCEPTED, REJECTED], 1),
    ],
)
def test_exit_code_of_status(cli: Cli, api: FakeApi, statuses: list[dict[str, Any] | None], code: int) -> None:
    wanted = raw_ids(len(statuses))
    api.statuses = {
        identifier: status for identifier, status in zip(wanted, statuses, strict=True) if status is not None
    }

    result = cli("status", *wanted)

    assert result.exit_code == code
    lines = [line.split("\t")[:2] for line in result.stdout.splitlines()]
    assert lines == [
        [str(identifier), status["status"] if status else "unknown"]
        for identifier, status in zip(wanted, statuses, strict=True)
    ]


def test_status_shows_details(cli: Cli, api: FakeApi) -> None:
    wanted = raw_ids(4)
    api.statuses = dict(zip(wanted, [PROCESSED, SUPERSEDED, REJECTED, STUCK], strict=True))

    lines = cli("status", *wanted).stdout.splitlines()

    assert [line.split("\t")[2] for line in lines] == [
        "2019-05-01T10:00:00Z mean 1.0 std_dev 1.0 of 2",
        f"2019-05-01T10:00:00Z mean 1.0 std_dev 1.0 of 2, superseded by {SUPERSEDED['superseded_by']}",
        "data.empty: data is empty; data.not_numeric: data holds a \\x1b string",
        "5 failed tries: its process died",
    ]


def test_status_as_json(cli: Cli, api: FakeApi) -> None:
    there, absent = raw_ids(2)
    api.statuses = {there: REJECTED}

    result = cli("status", there, absent, "--json")

    assert document(result) == {
        "statuses": [{"raw_id": str(there), **REJECTED}, {"raw_id": str(absent), "status": "unknown"}]
    }


def test_status_waits_until_none_is_waiting(cli: Cli, api: FakeApi) -> None:
    done, slow = raw_ids(2)
    api.statuses = {done: PROCESSED, slow: ACCEPTED}
    sleep = cli.sleep

    def process_later(seconds: float) -> None:
        sleep(seconds)
        if cli.now > 5:
            api.statuses[slow] = SUPERSEDED

    cli.sleep = process_later  # type: ignore[method-assign]

    result = cli("status", done, slow, "--wait")

    assert result.exit_code == 0
    assert 5 < cli.now < 12
    # What is completed isn't asked after again.
    assert [request.url.path for request in api.requests].count(f"/restapis/abc/v1/_user_request_/ingest/{done}") == 1


def test_status_does_not_wait_for_ever(cli: Cli, api: FakeApi) -> None:
    slow = raw_id()
    api.statuses = {slow: ACCEPTED}

    result = cli("status", slow, "--wait", "--timeout", 10)

    assert (result.exit_code, cli.now) == (4, 10)
    assert "1 of 1 still waiting after 10 s" in result.stderr


@pytest.mark.parametrize("status", [STUCK, None])
def test_status_does_not_wait_for_what_wont_change(cli: Cli, api: FakeApi, status: dict[str, Any] | None) -> None:
    identifier = raw_id()
    api.statuses = {identifier: status} if status else {}

    assert cli("status", identifier, "--wait").exit_code == 1
    assert cli.slept == []


def test_on_a_terminal_there_are_tables(cli: Cli, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = raw_ids(2)
    api.statuses = {one: PROCESSED, other: STUCK}
    monkeypatch.setattr(output.Output, "for_eyes", True)
    monkeypatch.setenv("COLUMNS", "120")

    several, single = cli("status", one, other).stdout, cli("status", one).stdout

    assert several.splitlines()[0].split() == ["raw_id", "status", "details"]
    assert f"{other}  stuck" in several
    assert "sample_count" in single
    assert "\t" not in several + single


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nope"],
        ["status"],
        ["status", "not-a-uuid"],
        ["status", "01a20e71-e5a4-700b-bae4-431c79e16819", "--timeout", "-1"],
        ["dlq"],
        ["dlq", "list", "--limit", "0"],
        ["dlq", "redrive", "x"],
        ["rejected", "list", "--from", "yesterday"],
        ["rejected", "show"],
        ["rejected", "show", "01a20e71-e5a4-700b-bae4-431c79e16819", "--raw", "--output", "x"],
        ["rejected", "show", "01a20e71-e5a4-700b-bae4-431c79e16819", "--raw", "--json"],
        ["replay", "--cursor", "x"],
        ["replay", "--raw-id", "01a20e71-e5a4-700b-bae4-431c79e16819", "--code", "data.empty"],
        ["replay", "--raw-id", "01a20e71-e5a4-700b-bae4-431c79e16819", "--contract", "hall"],
        ["replay", "--contract", "hall", "--code", "data.empty"],
        ["sweep", "--limit", "many"],
    ],
)
def test_wrong_calls(cli: Cli, api: FakeApi, arguments: list[str]) -> None:
    assert cli(*arguments).exit_code == 2
    assert api.requests == []


# ---- rejected


def rejection(number: int) -> dict[str, Any]:
    return {
        "raw_id": str(UUID(int=number)),
        "item": number,
        "received_at": "2026-11-24T16:44:35.108Z",
        "processed_at": "2026-11-24T16:44:36.000Z",
        "ruleset": 1,
        "violations": REJECTED["violations"],
    }


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (("rejected", "list"), {"rejections": []}),
        (("kpis",), {"kpis": []}),
        (("replay",), {"checked": 0, "processed": 0, "failed": 0}),
    ],
)
def test_a_time_may_be_how_long_ago(cli: Cli, api: FakeApi, command: tuple[str, ...], answer: dict[str, Any]) -> None:
    api.answers = [page(**answer)]

    assert cli(*command, "--from", "7d").exit_code == 0

    [request] = api.requests
    since = datetime.fromisoformat(request.url.params.get("from") or api.bodies[0]["from"])
    assert timedelta(0) <= datetime.now(UTC) - since - timedelta(days=7) < timedelta(minutes=5)


def test_rejected_events_page_by_page(cli: Cli, api: FakeApi) -> None:
    cursor = str(raw_id())
    api.answers = [
        page(rejections=[rejection(number) for number in range(1_000)], cursor=cursor),
        page(rejections=[rejection(number) for number in range(1_000, 1_500)]),
    ]

    result = cli(
        "rejected", "list", "--limit", 2_000, "--code", "data.empty", "--from", "2026-11-24", "--to", "2026-11-25"
    )

    asked = {"code": "data.empty", "from": "2026-11-24T00:00:00Z", "to": "2026-11-25T00:00:00Z", "limit": "1000"}
    assert [dict(request.url.params) for request in api.requests] == [asked, asked | {"cursor": cursor}]
    lines = result.stdout.splitlines()
    assert len(lines) == 1_500
    assert lines[7].split("\t") == [
        "2026-11-24T16:44:35.108Z",
        str(UUID(int=7)),
        "7",
        "",
        "data.empty: data is empty; data.not_numeric: data holds a \\x1b string",
    ]
    assert result.stderr == "1,500 rejected events.\n"


def test_rejected_events_up_to_a_limit(cli: Cli, api: FakeApi) -> None:
    cursor = str(raw_id())
    api.answers = [page(rejections=[rejection(1)], cursor=cursor)]

    result = cli("rejected", "list", "--limit", 1, "--json")

    assert document(result) == {"rejections": [rejection(1)], "cursor": cursor}
    assert dict(api.requests[0].url.params) == {"limit": "1"}


def test_no_rejected_events(cli: Cli, api: FakeApi) -> None:
    api.answers = [page(rejections=[])]

    result = cli("rejected", "list")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "0 rejected events.\n")


BODY = b'{"time_stamp": "\x1b[31m\xe2\x80\xae", "data": []}\r\n\xff'


def put(stack: Stack, body: bytes) -> UUID:
    identifier = raw_id()
    stack.s3.put_object(Bucket=stack.bucket, Key=object_key(identifier), Body=body)
    return identifier


def test_one_rejected_event_with_its_beginning(cli: Cli, api: FakeApi, stack: Stack) -> None:
    identifier = put(stack, BODY)
    api.statuses = {identifier: REJECTED}

    result = cli("rejected", "show", identifier)

    assert result.exit_code == 0
    assert "violation\tdata.empty: data is empty\n" in result.stdout
    assert result.stdout.endswith('\n{"time_stamp": "\\x1b[31m\\u202e", "data": []}\\r\n\\xff\n')
    assert f"size\t{len(BODY)} bytes\n" in result.stdout


def test_the_preview_is_bounded(cli: Cli, api: FakeApi, stack: Stack) -> None:
    identifier = put(stack, b"x" * 5_000)
    api.statuses = {identifier: REJECTED}

    result = cli("rejected", "show", identifier)
    printed = document(cli("rejected", "show", identifier, "--json"))

    assert result.stdout.splitlines()[-1] == "x" * 2_048
    assert "2,952 bytes more" in result.stderr
    assert printed["status"] == {"raw_id": str(identifier), **REJECTED}
    assert printed["object"] == {
        "key": f"raw/{identifier}.json",
        "size": 5_000,
        "packed": False,
        "preview": "x" * 2_048,
        "truncated": True,
    }


@pytest.mark.parametrize("body", [BODY, b"", bytes(range(256)) * 10_000], ids=["strange", "empty", "long"])
def test_the_bytes_are_exact(cli: Cli, api: FakeApi, stack: Stack, tmp_path: Path, body: bytes) -> None:
    identifier = put(stack, body)

    assert cli("rejected", "show", identifier, "--raw").stdout_bytes == body
    result = cli("rejected", "show", identifier, "--output", tmp_path / "event.json")

    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "event.json").read_bytes() == body
    assert api.requests == []


def test_a_file_that_cant_be_written(cli: Cli, stack: Stack, tmp_path: Path) -> None:
    result = cli("rejected", "show", put(stack, BODY), "--output", tmp_path / "no" / "folder")

    assert result.exit_code == 2
    assert "can't be written" in result.stderr


def test_bytes_that_are_gone(cli: Cli, api: FakeApi, stack: Stack) -> None:
    identifier = raw_id()
    assert stack.dead == []
    assert (cli("rejected", "show", identifier, "--raw")).exit_code == 1
    api.statuses = {identifier: REJECTED}

    result = cli("rejected", "show", identifier)

    assert result.exit_code == 1
    assert "data.empty" in result.stdout
    assert "has no object" in result.stderr


# ---- replay and sweep


def replayed(checked: int, cursor: UUID | str | None = None, unread: int = 0, **changes: int) -> httpx.Response:
    counts: dict[str, object] = {
        "checked": checked,
        "processed": checked,
        "failed": 0,
        "changes": {change.value: changes.get(change.value, 0) for change in Change},
        "unread": unread,
    }
    return httpx.Response(200, json=counts if cursor is None else counts | {"cursor": str(cursor)})


def test_every_kind_of_change_has_words() -> None:
    assert fleet._KINDS.keys() == {change.value for change in Change}


def test_replay_goes_from_cursor_to_cursor(cli: Cli, api: FakeApi) -> None:
    first, second = raw_ids(2)
    api.answers = [
        replayed(200, first, same=190, now_processed=10),
        replayed(200, second, same=200),
        replayed(3, same=1, new=2),
    ]

    result = cli("replay", "--from", "2026-11-24T00:00:00+01:00", "--code", Code.DATA_EMPTY)

    asked = {"reprocess": True, "from": "2026-11-23T23:00:00Z", "code": "data.empty", "limit": 200}
    assert api.bodies == [asked, asked | {"cursor": str(first)}, asked | {"cursor": str(second)}]
    assert [line.split(maxsplit=1) for line in result.stdout.splitlines()] == [
        ["403", "objects replayed"],
        ["391", "unchanged"],
        ["2", "validated for the first time"],
        ["10", "rejected before, processed now"],
    ]
    assert (result.exit_code, result.stderr) == (0, "")


def test_replay_as_json_and_dry(cli: Cli, api: FakeApi) -> None:
    api.answers = [replayed(5, same=4, now_rejected=1)]

    printed = document(cli("replay", "--contract", "hall", "--from", "2026-11-24T00:00Z", "--dry-run", "--json"))

    asked = {"reprocess": True, "contract": "hall", "from": "2026-11-24T00:00:00Z", "dry_run": True, "limit": 200}
    assert api.bodies == [asked]
    assert (printed["dry_run"], printed["checked"], printed["changes"]["now_rejected"]) == (True, 5, 1)
    assert "cursor" not in printed


def test_replay_up_to_a_limit_prints_its_cursor(cli: Cli, api: FakeApi) -> None:
    first, second, third = raw_ids(3)
    api.answers = [replayed(200, second, same=200), replayed(49, third, unread=1, same=49)]

    result = cli("replay", "--limit", 250, "--cursor", first)

    assert api.bodies == [
        {"reprocess": True, "limit": 200, "cursor": str(first)},
        {"reprocess": True, "limit": 50, "cursor": str(second)},
    ]
    assert f"--cursor {third}" in result.stderr
    assert (result.exit_code, "1 object could not be read" in result.stderr) == (1, True)


def test_replay_goes_on_within_an_object(cli: Cli, api: FakeApi) -> None:
    # GIVEN an object for which a call doesn't suffice
    first, second = raw_ids(2)
    within = [f"{second}.{item}.rejected" for item in (55_000, 60_000)]
    api.answers = [replayed(0, within[0], same=5_000), replayed(0, within[1], same=5_000)]

    # WHEN a replay begins within it
    names = ["--raw-id", first, "--raw-id", second]
    api.answers += [replayed(1, same=10)]
    result = cli("replay", *names, "--cursor", f"{second}.50000")

    # THEN the cursor goes with each call, and of the objects those are named that are left
    asked = {"reprocess": True, "raw_ids": [str(second)], "limit": 200}
    assert api.bodies == [asked | {"cursor": cursor} for cursor in (f"{second}.50000", *within)]
    assert "1 object replayed" in result.stdout
    assert result.exit_code == 0


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A Ctrl-C as soon as there is progress, and where that was."""
    advance, seen = output.Display.advance, list[str]()

    def interrupt(display: output.Display, number: int, at: str = "") -> None:
        advance(display, number, at)
        seen.append(at)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(output.Display, "advance", interrupt)
    return seen


def test_replay_interrupted_within_an_object_prints_its_cursor(cli: Cli, api: FakeApi, interrupted: list[str]) -> None:
    cursor = f"{raw_id()}.5000"
    api.answers = [replayed(0, cursor, same=5_000)]
    result = cli("replay")
    assert (result.exit_code, f"--cursor {cursor}" in result.stderr) == (130, True)
    assert [at.endswith("UTC, event 5,000") for at in interrupted] == [True]


def test_a_later_group_of_named_objects_begins_without_the_cursor(cli: Cli, api: FakeApi) -> None:
    wanted = raw_ids(1_001)
    names = [part for identifier in wanted for part in ("--raw-id", identifier)]
    api.answers = [replayed(1_000, same=1_000), replayed(1, same=1)]
    cli("replay", *names, "--cursor", f"{wanted[0]}.5")
    assert [body.get("cursor") for body in api.bodies] == [f"{wanted[0]}.5", str(UUID(int=wanted[1_000].int - 1))]


def test_replay_of_named_objects_in_groups(cli: Cli, api: FakeApi) -> None:
    wanted = raw_ids(1_001)
    api.answers = [replayed(1_000, same=1_000), replayed(1, same=1)]

    result = cli("replay", *(part for identifier in reversed(wanted) for part in ("--raw-id", identifier)))

    assert [body["raw_ids"] for body in api.bodies] == [[*map(str, wanted[:1_000])], [str(wanted[1_000])]]
    assert "1,001 objects replayed" in result.stdout
    assert (result.exit_code, result.stderr) == (0, "")


def test_replay_of_named_objects_with_a_limit_at_the_end_of_a_group(cli: Cli, api: FakeApi) -> None:
    wanted = raw_ids(1_001)
    names = [part for identifier in wanted for part in ("--raw-id", identifier)]
    api.answers = [replayed(1_000, same=1_000)]

    result = cli("replay", *names, "--limit", 1_000, "--json")
    api.answers = [replayed(1, same=1)]
    rest = cli("replay", *names, "--cursor", document(result)["cursor"], "--json")

    assert api.bodies[-1]["raw_ids"] == [str(wanted[-1])]
    assert document(rest)["checked"] == 1


@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_interrupted_replay_prints_its_cursor(cli: Cli, api: FakeApi, as_json: list[str]) -> None:
    cursor = raw_id()
    api.answers = [replayed(200, cursor, same=200)]

    result = cli("replay", *as_json)

    assert result.exit_code == 130
    assert f"--cursor {cursor}" in result.stderr
    if as_json:
        assert (document(result)["checked"], document(result)["cursor"]) == (200, str(cursor))
    else:
        assert "200 objects replayed" in result.stdout


@pytest.mark.parametrize("command", ["replay", "sweep"])
def test_failed_run_prints_its_cursor(cli: Cli, api: FakeApi, command: str) -> None:
    cursor = raw_id()
    api.answers = [replayed(200, cursor, same=200), httpx.Response(403, json={"message": "Forbidden"})]

    result = cli(command)

    assert result.exit_code == 3
    assert f"--cursor {cursor}" in result.stderr
    assert "200 objects" in result.stdout


def test_sweep_goes_on_until_there_is_no_cursor(cli: Cli, api: FakeApi) -> None:
    first, second = raw_ids(2)
    api.answers = [
        page(checked=200, processed=150, failed=50, cursor=str(first)),
        page(checked=0, processed=0, failed=0, cursor=str(second)),
        page(checked=1, processed=1, failed=0),
    ]

    result = cli("sweep")

    assert result.stdout == "201 objects checked: 151 processed, 50 rejected\n"
    assert api.bodies == [{"limit": 200}, {"limit": 200, "cursor": str(first)}, {"limit": 200, "cursor": str(second)}]


def test_sweep_up_to_a_limit(cli: Cli, api: FakeApi) -> None:
    cursor = raw_id()
    api.answers = [page(checked=7, processed=7, failed=0, cursor=str(cursor))]

    result = cli("sweep", "--limit", 7, "--json")

    assert api.bodies == [{"limit": 7}]
    assert document(result) == {"checked": 7, "processed": 7, "failed": 0, "cursor": str(cursor)}


# ---- open and the rest


def test_a_bug_is_no_traceback(api: FakeApi, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeApi, "__call__", lambda *_: 1 / 0)
    with pytest.raises(AssertionError, match="a bug in dropzone"):
        cli("sweep")
    assert api.requests == []


COMMANDS = [
    "send",
    *("keys create", "keys list", "keys rotate", "keys revoke", "keys check"),
    "status",
    "rejected list",
    "rejected show",
    "rejected export",
    "contract check",
    "contract try",
    "contract new",
    "replay",
    "sweep",
    "archive",
    "sources",
    "kpis",
    "measurements",
    "quality",
    "dlq list",
    "dlq redrive",
    "dlq purge",
    "open",
]


@pytest.mark.parametrize("path", ["", "rejected", "dlq", *COMMANDS])
def test_help_shows_the_options(cli: Cli, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    result = cli(*path.split(), "--help")

    assert result.exit_code == 0
    assert f"dropzone {path}".rstrip() in result.stdout.replace("root", "dropzone")
    assert "<bool>" not in result.stdout  # a switch has no value
    if path in COMMANDS:
        assert "--json" in result.stdout
        # What needs no stack doesn't ask for one.
        for option in ("--stack-name", "--region", "--aws-profile"):
            assert (option in result.stdout) == (path != "contract check")


def test_the_commands_above_are_all_there_are() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    found = {
        f"{name} {inner}".strip()
        for name, command in root.commands.items()
        for inner in (command.commands if isinstance(command, TyperGroup) else [""])
    }
    assert found == set(COMMANDS)


def test_help_shows_the_exit_codes(cli: Cli) -> None:
    assert "Exit codes: 0 done" in " ".join(cli("--help").stdout.split())


@pytest.mark.slow
def test_help_imports_no_client() -> None:
    code = """
import sys
from typer.testing import CliRunner
from dropzone_cli.main import app
for path in sys.argv[1:]:
    assert CliRunner().invoke(app, [*path.split(), "--help"]).exit_code == 0, path
print([name for name in ("httpx", "boto3", "botocore") if name in sys.modules])
"""
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, "", *COMMANDS], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "[]\n"


@pytest.mark.slow
def test_every_command_starts_on_windows() -> None:
    """It has no fcntl and no other module of Unix, and no SIGHUP."""
    code = """
import signal, sys
sys.modules.update(dict.fromkeys(("fcntl", "pwd", "grp", "resource", "termios"))); del signal.SIGHUP
from typer.testing import CliRunner
from dropzone_cli.main import app
for path in sys.argv[1:]:
    assert CliRunner().invoke(app, [*path.split(), "--help"]).exit_code == 0, path
result = CliRunner().invoke(app, ["open", "--no-browser"], env={"DROPZONE_URL": "http://127.0.0.1:9/v1"})
assert result.stdout == "http://127.0.0.1:9/v1/\\n", result.output
"""
    subprocess.run([sys.executable, "-c", code, *COMMANDS], check=True, timeout=60)  # noqa: S603


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout == f"dropzone {version('dropzone-cli')}\n"


def test_the_shell_completes_commands() -> None:
    environment = {
        **os.environ,
        "_DROPZONE_COMPLETE": "complete_bash",
        "COMP_WORDS": "dropzone rejected s",
        "COMP_CWORD": "2",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "dropzone_cli"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.stdout.split() == ["show"]


@pytest.mark.slow
def test_it_needs_no_other_package_of_dropzone() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('dropzone_local', 'pg8000', 'obstore')));"
        "import dropzone_cli.main, dropzone_cli.aws as aws; aws.Aws.local('http://127.0.0.1:9', 'us-east-1').sqs()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603


@given(
    st.dictionaries(
        st.sampled_from(["status", "violations", "measured_at", "attempts", "last_error", "raw_id"]),
        st.none() | st.integers() | st.text() | st.lists(st.text() | st.dictionaries(st.text(), st.text())),
    ),
    st.sampled_from([*State, "unknown", "of a later version"]),
)
def test_any_answer_can_be_shown(status: dict[str, Any], state: str) -> None:
    assert isinstance(details.in_brief(status | {"status": state}), str)
    assert ("status", state) in details.in_full(status | {"status": state})


def test_what_is_archived_is_said_in_brief() -> None:
    archived = details.in_brief({"status": "archived", "archived_at": "2026-05-01T00:00:00Z"})
    assert archived == "since 2026-05-01T00:00:00Z; dropzone archive --restore brings its month back"
    processed = {
        "status": "processed",
        "measured_at": "2026-03-01T00:00:00Z",
        "mean": 1,
        "std_dev": 0,
        "sample_count": 1,
    }
    assert "archived" not in details.in_brief(processed)
    assert details.in_brief(processed | {"may_be_superseded": True}).endswith(
        "of 1, unless an archived event replaced it"
    )
