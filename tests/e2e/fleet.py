"""A replay by fleet as it is meant to be used: new rules are deployed, its calls are killed, and it goes on."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil

from dropzone.adapters.s3 import S3Bronze
from dropzone.domain.contracts import Contracts, contracts_of
from dropzone.domain.identifiers import new_raw_id
from dropzone.ports import Bronze, RawObject
from dropzone.use_cases.process import process
from dropzone_contracts.compiler import compile_documents
from dropzone_local.polling import wait_until
from dropzone_local.postgres import Postgres
from dropzone_local.processes import kill, tree
from e2e.client import Client
from support.background import in_background
from support.factories import message
from support.postgres import SilverInPostgres, running_postgres

ROOT = Path(__file__).parents[2]
BEGAN = datetime(2023, 5, 1, tzinfo=UTC)
SOURCE = "fleet/boiler"
CONTRACTS = "python/dropzone/contracts.json"
PUTS_AT_ONCE = 8
DAYS = 64
"""The locks of days that there are."""

# Where half of the events are out of range from now on.
RULES = """
apiVersion: v3.1.0
kind: DataContract
id: fleet
version: 2.0.0
status: active
customProperties:
  - {property: sources, value: ["fleet/*"]}
schema:
  - name: events
    logicalType: object
    properties:
      - name: data
        logicalType: array
        items: {name: sample, logicalType: number, logicalTypeOptions: {maximum: MAXIMUM}}
"""

# All that silver says of objects, but when it was written.
SILVER = (
    (
        "SELECT measured_at, source, mean, std_dev, sample_count, min, max, unit, tags::text, flags::text, raw_id, item"
        " FROM measurements WHERE raw_id = ANY(CAST(:raw_ids AS uuid[])) ORDER BY raw_id, item"
    ),
    (
        "SELECT raw_id, item, outcome, contract, ruleset, violations::text"
        " FROM outcomes WHERE raw_id = ANY(CAST(:raw_ids AS uuid[])) ORDER BY raw_id, item"
    ),
    (
        "SELECT raw_id, items, settled_at IS NOT NULL"
        " FROM receipts WHERE raw_id = ANY(CAST(:raw_ids AS uuid[])) ORDER BY raw_id"
    ),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is replayed."""

    arrived: int
    """Objects before the rules change."""
    arriving: int
    """Objects that arrive while they are replayed."""
    range_objects: int
    seconds: float
    """The longest that any step may take."""


def replay_under_new_rules(client: Client, size: Size, folder: Path) -> list[str]:
    """Replay, kill, pause and go on while events arrive; compare with a database made from nothing. What was seen."""
    # GIVEN objects that the rules of before accepted
    bronze = S3Bronze(client.endpoints.bucket, region=client.endpoints.region, endpoint=client.endpoints.emulator_url)
    raw_ids = [new_raw_id(int((BEGAN + timedelta(minutes=number)).timestamp() * 1e9)) for number in range(size.arrived)]
    put(bronze, raw_ids)
    await_outcomes(client, raw_ids, size.seconds)
    compiled = new_rules(size.arrived)
    with deployed_rules(client, compiled):
        replay_id = begin(client, size)
        first = ask(client, "run", replay_id=replay_id, number=0)
        assert first["state"] == "done"

        # WHEN the processes that replay are killed in the middle, and what calls them again is paused
        with client.stack.postgres.connect() as connection:
            connection.run("BEGIN")
            connection.run(
                "SELECT pg_advisory_xact_lock_shared(7308333, day) FROM generate_series(0, :last) AS day", last=DAYS - 1
            )
            interrupted = dropzone(client, "replay", "--fleet", "--yes", "--from", BEGAN.isoformat())
            waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND classid = 7308333"
            assert wait_until(lambda: connection.run(waiting) or None, seconds=size.seconds), "no call waits"
            killed = kill_replays(client)
            assert killed
            assert ended(dropzone(client, "replay", "--pause", replay_id), size.seconds)[0] == 0
            connection.run("ROLLBACK")
        code, paused = ended(interrupted, size.seconds)
        assert (code, paused["state"]) == (1, "paused"), paused
        assert 1 <= paused["done"] < paused["ranges"]

        # AND it goes on while others arrive
        arriving = in_background(lambda: [client.ingest(body(size.arrived + each)) for each in range(size.arriving)])
        code, report = ended(dropzone(client, "replay", "--fleet", "--yes", "--from", BEGAN.isoformat()), size.seconds)
        raw_ids += arriving.result(size.seconds)
        await_outcomes(client, raw_ids, size.seconds)

    # THEN everything was replayed once, and what is above the maximum is rejected now
    assert (code, report["replay_id"], report["state"]) == (0, replay_id, "done"), report
    assert report["done"] == report["ranges"] > paused["done"]
    assert report["changes"]["now_rejected"] == size.arrived // 2, report

    # AND silver is what the same objects give in a database that knew no other rules
    kept = silver(client.stack.postgres, raw_ids)
    with running_postgres(folder) as server:
        assert kept == made_from_nothing(server, bronze, raw_ids, contracts_of(compiled.encode()))
    return [
        f"{size.arrived:,} objects in {report['ranges']} ranges under new rules",
        f"  {killed} processes killed, paused after {paused['done']} ranges, {size.arriving} objects arrived meanwhile",
        f"  {report['changes']}",
    ]


def body(number: int) -> bytes:
    """An event of a minute of its own; the rules to come reject the second half."""
    instant = BEGAN + timedelta(minutes=number)
    return json.dumps(
        {"schema_version": 2, "source": SOURCE, "time_stamp": instant.isoformat(), "data": [number, number / 3]}
    ).encode()


def put(bronze: Bronze, raw_ids: Sequence[UUID]) -> None:
    """Store objects as if they had arrived then."""

    def put_one(entry: tuple[int, UUID]) -> None:
        number, raw_id = entry
        bronze.put(RawObject(raw_id, body(number), content_type="application/json", correlation_id=str(number)))

    with ThreadPoolExecutor(PUTS_AT_ONCE) as pool:
        list(pool.map(put_one, enumerate(raw_ids)))


def await_outcomes(client: Client, raw_ids: Sequence[UUID], seconds: float) -> None:
    """Wait until each has one."""
    wanted, count = texts(raw_ids), "SELECT count(*) FROM receipts WHERE raw_id = ANY(CAST(:raw_ids AS uuid[]))"
    done = f"{count} AND settled_at IS NOT NULL"
    arrived = wait_until(
        lambda: client.query(done, raw_ids=wanted) == [[len(raw_ids)]] or None, seconds=seconds, every=0.2
    )
    assert arrived, f"{client.query(done, raw_ids=wanted)} of {len(raw_ids)} have an outcome"


def new_rules(arrived: int) -> str:
    """The project's contracts, and one that rejects the second half of the events; compiled."""
    files = [(file.name, file.read_bytes()) for file in sorted((ROOT / "contracts").glob("*.odcs.yaml"))]
    mine = RULES.replace("MAXIMUM", str(arrived // 2 - 1)).encode()
    return compile_documents([*files, ("fleet.odcs.yaml", mine)])


@contextmanager
def deployed_rules(client: Client, compiled: str) -> Iterator[None]:
    """Give all functions that validate a layer with other contracts, for the time of a with block."""
    lambda_ = client.clients.lambda_()
    pages = lambda_.get_paginator("list_functions").paginate()
    validating = ("-ProcessFunction", "-SweepFunction", "-ReplayFunction")
    found = [
        entry
        for page in pages
        for entry in page["Functions"]
        if any(name in entry["FunctionName"] for name in validating)
    ]
    assert len(found) == len(validating)
    [before] = {entry["Layers"][0]["Arn"] for entry in found}
    name, _, version = before.partition(":layer:")[2].partition(":")
    content = lambda_.get_layer_version(LayerName=name, VersionNumber=int(version))["Content"]["Location"]
    published = lambda_.publish_layer_version(
        LayerName=name, Content={"ZipFile": with_contracts(httpx.get(content, timeout=60).content, compiled)}
    )["LayerVersionArn"]

    def use(layer: str) -> None:
        for entry in found:
            lambda_.update_function_configuration(FunctionName=entry["FunctionName"], Layers=[layer])
            lambda_.get_waiter("function_updated_v2").wait(FunctionName=entry["FunctionName"])

    try:
        use(published)
        yield
    finally:
        use(before)


def with_contracts(archive: bytes, compiled: str) -> bytes:
    """A layer's archive with other contracts."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive)) as old,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        assert CONTRACTS in old.namelist()
        for entry in old.infolist():
            new.writestr(entry, compiled if entry.filename == CONTRACTS else old.read(entry))
    return made.getvalue()


def begin(client: Client, size: Size) -> str:
    """Begin the replay that the command line finds then, and cut it into ranges of that size."""
    replay_id: str = ask(client, "begin", since=BEGAN.isoformat())["replay_id"]
    plan(client, replay_id, size.arrived, size.range_objects)
    return replay_id


def plan(client: Client, replay_id: str, objects: int, range_objects: int) -> None:
    """Cut it into ranges of that size."""
    while not (planned := ask(client, "plan", replay_id=replay_id, range_objects=range_objects))["is_planned"]:
        pass
    assert planned["ranges"] >= objects // range_objects


def ask(client: Client, action: str, **payload: object) -> Any:  # noqa: ANN401 - JSON
    """Call the function Replay."""
    answer = client.clients.lambda_().invoke(
        FunctionName=client.endpoints.replay_function, Payload=json.dumps({"action": action, **payload}).encode()
    )
    said = answer["Payload"].read()
    assert not answer.get("FunctionError"), said
    return json.loads(said)


def kill_replays(client: Client) -> int:
    """Kill the processes of the function Replay; how many there were."""
    name = client.endpoints.replay_function
    doomed = [
        process
        for process in tree(client.stack.emulator.service.server)[1:]
        if process.is_running() and environment(process).get("AWS_LAMBDA_FUNCTION_NAME") == name
    ]
    kill(doomed)
    return len(doomed)


def environment(process: psutil.Process) -> dict[str, str]:
    """Of a process that may have ended."""
    try:
        return process.environ()
    except psutil.Error:
        return {}


def dropzone(client: Client, command: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command."""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "dropzone_cli", command, "--json", *arguments],
        env={"PATH": "", "DROPZONE_ROOT": str(client.stack.root), "PYTHONPATH": str(ROOT / "cli")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[bytes], seconds: float) -> tuple[int, Any]:
    """Wait for a command; its exit code, and what it printed."""
    out, err = process.communicate(timeout=seconds)
    assert out, err.decode()
    return process.returncode, json.loads(out)


def made_from_nothing(server: Postgres, bronze: Bronze, raw_ids: Sequence[UUID], contracts: Contracts) -> list[Any]:
    """Process all of them in a database of their own."""
    with server.connect() as connection:
        tables = SilverInPostgres(server, connection)
        writer = tables.silver(contracts=contracts)
        for some in batched(raw_ids, 1_000, strict=False):
            process([message(raw_id) for raw_id in some], bronze=bronze, silver=writer, time_left=lambda: 600.0)
        for database in tables.opened:
            database.close()
    return silver(server, raw_ids)


def silver(server: Postgres, raw_ids: Sequence[UUID]) -> list[Any]:
    """All rows of objects."""
    with server.connect() as connection:
        return [list(connection.run(sql, raw_ids=texts(raw_ids)) or []) for sql in SILVER]


def texts(raw_ids: Sequence[UUID]) -> list[str]:
    """Identifiers as the driver takes them."""
    return [*map(str, raw_ids)]
