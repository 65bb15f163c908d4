"""`dropzone contract`: files, bronze and the API in, words out; what contracts mean is tested with them."""

import gzip
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml

from dropzone.domain.identifiers import earliest_raw_id, object_key
from support.contracts import ARRIVED, EVENT
from support.documents import PROJECT
from unit.cli.harness import Cli, FakeApi, Stack, document
from unit.contracts.test_trials import DEFAULT, HALL


@pytest.fixture
def hall(tmp_path: Path) -> Path:
    file = tmp_path / "hall.odcs.yaml"
    file.write_text(HALL, encoding="utf-8")
    return file


# ---- check -----------------------------------------------------------------------------------------------------------


def test_check_says_what_a_contract_would_do(cli: Cli, api: FakeApi, hall: Path) -> None:
    result = cli("contract", "check", hall.name)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "hall.odcs.yaml: hall@2.0.0",
        "  applies to the sources hall-3/*",
        "  flags by noisy (spread: limit 5.0)",
        "  rejects by maximum (maximum: limit 60.0): air temperature",
    ]
    assert api.requests == []


def test_check_says_what_is_wrong_with_file_and_line(cli: Cli, hall: Path) -> None:
    hall.write_text(HALL.replace("rule: spread", "rule: smell"), encoding="utf-8")

    result = cli("contract", "check", hall.name)
    printed = cli("contract", "check", hall.name, "--json")

    assert result.exit_code == printed.exit_code == 1
    assert result.stdout == "hall.odcs.yaml:19: a rule 'smell' can't apply to data\n"
    assert document(printed) == {"findings": [result.stdout.strip()]}


def test_check_of_a_file_that_is_not_there(cli: Cli) -> None:
    result = cli("contract", "check", "nothing.yaml")

    assert result.exit_code == 2
    assert "nothing.yaml can't be read: No such file" in result.stderr


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize(
    "arguments", [["check", "hall.odcs.yaml"], ["try", "hall.odcs.yaml"], ["new", "--from-source", "a"]]
)
def test_outside_a_checkout_one_line_says_where_to_run_it(
    cli: Cli, api: FakeApi, hall: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    assert hall.exists()
    for name in ("checking", "trial", "proposal"):
        monkeypatch.setitem(sys.modules, f"dropzone_contracts.{name}", None)

    result = cli("contract", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: This command needs Dropzone's checkout: run it there, as uv run dropzone contract …\n"
    )
    assert api.requests == []


def test_the_command_line_imports_nothing_of_the_layer() -> None:
    program = (
        "import sys, dropzone_cli.main;"
        "print([name for name in sys.modules if name.partition('.')[0] in {'dropzone', 'dropzone_contracts', 'yaml'}])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603

    assert ran.stdout == "[]\n"


# ---- try -------------------------------------------------------------------------------------------------------------


def deployed(api: FakeApi, **texts: str) -> None:
    api.answers = [
        httpx.Response(200, json={"contracts": [{"id": name} for name in texts]}),
        *(httpx.Response(200, text=text, headers={"Content-Type": "application/yaml"}) for text in texts.values()),
    ]


def arrive(stack: Stack, minutes: int, *events: dict[str, Any], contract: str = "", packed: bool = False) -> UUID:
    raw_id = earliest_raw_id(ARRIVED + timedelta(minutes=minutes))
    body = json.dumps([{**EVENT, **event} for event in events]).encode()
    stack.s3.put_object(
        Bucket=stack.bucket,
        Key=object_key(raw_id),
        Body=gzip.compress(body) if packed else body,
        ContentType="application/json",
        Metadata={"contract": contract} if contract else {},
        **({"ContentEncoding": "gzip"} if packed else {}),  # type: ignore[arg-type]
    )
    return raw_id


def test_try_counts_what_would_change(cli: Cli, api: FakeApi, stack: Stack, hall: Path) -> None:
    # GIVEN objects before, within and behind a time, one packed, one that was sent to a contract, and no object
    arrive(stack, -1, {"data": [61]})
    first = arrive(stack, 0, {"data": [61]}, {"data": [20]})
    second = arrive(stack, 1, {"data": [10, 50]}, packed=True)
    arrive(stack, 2, {"data": [61]}, contract="gone")
    arrive(stack, 60, {"data": [61]})
    stack.s3.put_object(Bucket=stack.bucket, Key="raw/other.txt", Body=b"x")
    deployed(api, default=DEFAULT)

    # WHEN a contract is tried on that time
    bounds = ("--since", "2026-11-24T17:00Z", "--until", "2026-11-24T18:00Z")
    result = cli("contract", "try", hall, *bounds)
    name = EVENT["source"]

    # THEN it says which events would change, by which rule
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "4 events of 3 objects, 2 would change",
        "          1  processed now, would be rejected",
        "          1  would be processed with other warnings",
        "maximum now rejects 1 event (value.above_maximum)",
        f"  {first} item 0 {name}: data holds 61.0 at index 0, above the maximum of 60.0: air temperature",
        "noisy now flags 1 event (value.spread)",
        f"  {second} item 0 {name}: data has a standard deviation of 20, above the maximum of 5.0",
    ]
    assert [request.url.path.removeprefix("/v1") for request in api.requests] == ["/contracts", "/contracts/default"]
    assert api.requests[1].headers["accept"] == "application/yaml"

    # AND the same as JSON, of as many objects as are asked for
    deployed(api, default=DEFAULT)
    printed = document(cli("contract", "try", hall, *bounds, "--limit", 1, "--json"))
    assert (printed["objects"], printed["changes"], printed["unread"]) == (1, {"now_rejected": 1, "same": 1}, 0)


def test_try_of_a_contract_that_can_t_be_deployed(cli: Cli, api: FakeApi, stack: Stack, hall: Path) -> None:
    assert stack.bucket
    deployed(api, default=DEFAULT, other=HALL.replace("id: hall", "id: other"))

    result = cli("contract", "try", hall)

    assert result.exit_code == 1
    assert "hall.odcs.yaml:6: the pattern 'hall-3/*' and 'hall-3/*' of the contract 'other'" in result.stderr
    assert "can't be deployed" in result.stderr


# ---- new -------------------------------------------------------------------------------------------------------------


def page(number: int, size: int, cursor: str | None = None) -> httpx.Response:
    rows = [
        {"measured_at": (ARRIVED - timedelta(minutes=number + n)).isoformat(), "min": 20, "max": 21, "unit": "°C"}
        for n in range(size)
    ]
    return httpx.Response(200, json={"measurements": rows, **({"cursor": cursor} if cursor else {})})


@pytest.mark.usefixtures("local")
def test_new_proposes_what_check_takes(cli: Cli, api: FakeApi, tmp_path: Path) -> None:
    api.answers = [page(0, 1_000, "c"), page(1_000, 500, "d")]

    result = cli("contract", "new", "--from-source", "hall-3/a", "--limit", 1_500, "--from", "2026-03-01")

    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout)["customProperties"] == [{"property": "sources", "value": ["hall-3/a"]}]
    assert result.stdout.startswith("# Proposed from 1,500 measurements of 'hall-3/a', ")
    assert [dict(request.url.params) for request in api.requests] == [
        {"source": "hall-3/a", "from": "2026-03-01T00:00:00Z", "limit": "1000"},
        {"source": "hall-3/a", "from": "2026-03-01T00:00:00Z", "limit": "500", "cursor": "c"},
    ]
    (tmp_path / "proposed.yaml").write_text(result.stdout, encoding="utf-8")
    assert cli("contract", "check", "proposed.yaml").exit_code == 0


@pytest.mark.usefixtures("local")
def test_new_without_measurements(cli: Cli, api: FakeApi) -> None:
    api.answers = [page(0, 0)]

    result = cli("contract", "new", "--from-source", "nobody")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no measurement of the source 'nobody'" in result.stderr
    assert cli("contract", "new", "--from-source", "").exit_code == 2


def test_the_project_s_contracts_can_be_checked(cli: Cli) -> None:
    files = sorted((PROJECT / "contracts").glob("*.odcs.yaml"))

    assert cli("contract", "check", *files).exit_code == 0
