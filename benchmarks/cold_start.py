"""Import and first call of every built function in a process of its own, beside a bare handler's, as on Lambda.

The interpreter sees what Lambda's sees, and writes no bytecode, since it can't on Lambda: boto3 and the standard
library have theirs there, and an artefact has what was built into it.
"""

import compileall
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from artefact.build import Artefacts, Function
from artefact.interpreter import Interpreter, make_interpreter
from benchmarks.measuring import MILLISECONDS, Entry, Goal, Spent, alternate, entry
from benchmarks.store import fresh
from benchmarks.surroundings import PROJECT, Surroundings
from benchmarks.workloads import fresh_bodies, fresh_instants, raw_ids, sqs_event, with_body
from dropzone_local.postgres import SUPERUSER
from dropzone_local.sam import Builder, machine_architecture

_INGEST, _OTHERS = Goal("≤", 0.65), Goal("≤", 1.0)

# Reads what to import and the event; prints the seconds that both took.
_CALL = """
import sys, time
cpu, wall = time.process_time(), time.perf_counter()
import importlib, json, types
module, event = json.load(sys.stdin)
context = types.SimpleNamespace(
    function_name="dropzone", memory_limit_in_mb=512, aws_request_id="8f0e4b2a-5a55-4c0f-9d43-0e4a1f1c2b3d",
    invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:dropzone", log_stream_name="-",
    get_remaining_time_in_millis=lambda: 60_000,
)
if module.startswith("import "):
    scope = {}
    exec(module, scope)
    handler = scope["handler"]
else:
    handler = importlib.import_module(module).handler
handler(event, context)
spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
print()
print(json.dumps(spent))
"""

_BARE = """import boto3, json, os
s3 = boto3.client("s3", endpoint_url=os.environ["BRONZE_ENDPOINT_URL"])
bucket = os.environ["BRONZE_BUCKET"]
{connect}
def handler(event, context):
    {first_call}
    return {{"statusCode": 200, "body": "{{}}"}}
"""
_CONNECT = """from pg8000.native import Connection
connection = Connection(
    os.environ["DATABASE_USER"], host=os.environ["DATABASE_HOST"], port=int(os.environ["DATABASE_PORT"]),
    database=os.environ["DATABASE_NAME"], password=os.environ["DATABASE_PASSWORD"], ssl_context=False
)
"""
_QUERY = 'connection.run("SELECT 1"); '


@dataclass(frozen=True, slots=True)
class Start:
    """A function's first call, and what a bare handler does in its place."""

    event: Mapping[str, Any]
    bare: str
    goal: Goal = _OTHERS
    user: str = "dropzone_writer"

    @property
    def bare_module(self) -> str:
        return _BARE.format(connect=_CONNECT if _QUERY in self.bare else "", first_call=self.bare)


def run(surroundings: Surroundings) -> Iterator[Entry]:
    artefacts = Artefacts(Builder(PROJECT).build().folder, machine_architecture(), "")
    yield from measure(surroundings, artefacts)
    surroundings.empty_tables()


def measure(surroundings: Surroundings, artefacts: Artefacts) -> Iterator[Entry]:
    """Measure the functions of a build."""
    interpreter = make_interpreter(surroundings.folder / "lambda")
    for top in interpreter.runtime.iterdir():
        compileall.compile_dir(top.resolve(), quiet=2)
    functions = artefacts.functions()
    for name, start in _starts(surroundings).items():
        function, variables = functions[name], surroundings.variables(start.user)
        ours = partial(_call, interpreter, function, variables, function.module, start.event)
        bare = partial(_call, interpreter, function, variables, start.bare_module, start.event)
        taken = alternate({"ours": ours, "bare": bare})
        short = name.removesuffix("Function")
        yield entry(f"cold start, {short}, CPU", MILLISECONDS, taken["ours"].cpu, taken["bare"].cpu, start.goal)
        yield entry(f"cold start, {short}, wall", MILLISECONDS, taken["ours"].wall, taken["bare"].wall, start.goal)


def _starts(surroundings: Surroundings) -> Mapping[str, Start]:
    """By the function's name in the template."""
    (body,) = fresh_bodies(1, 98)
    arrived = raw_ids(1)
    surroundings.stand_in.answer(body)
    batch = fresh(fresh_instants(1))
    with surroundings.silver() as silver:
        silver.write_outcomes(batch)
    get = {"httpMethod": "GET", "body": None}
    return {
        "IngestFunction": Start(
            with_body(_sample("api-ingest"), body),
            's3.put_object(Bucket=bucket, Key="raw/1", Body=event["body"])',
            _INGEST,
        ),
        "ProcessFunction": Start(
            sqs_event(arrived, len(body)), _QUERY + 's3.get_object(Bucket=bucket, Key="raw/1")["Body"].read()'
        ),
        "SweepFunction": Start(_sample("schedule"), _QUERY + "s3.list_objects_v2(Bucket=bucket)"),
        "QueryFunction": Start(
            _sample("api-ingest") | get | {"path": f"/ingest/{batch[0].raw_id}"}, _QUERY, user="dropzone_reader"
        ),
        "WebFunction": Start(_sample("api-health"), "pass"),
        "MigrateFunction": Start({}, _QUERY, user=SUPERUSER),
    }


def _sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((PROJECT / "events" / f"{name}.json").read_bytes())
    return event


def _call(
    interpreter: Interpreter, function: Function, variables: Mapping[str, str], module: str, event: Mapping[str, Any]
) -> Spent:
    done = subprocess.run(  # noqa: S603 - our own command line
        [str(interpreter.python), "-c", _CALL],
        input=json.dumps([module, event]),
        cwd=function.folder,
        env={
            "PATH": os.environ["PATH"],
            **variables,
            "PYTHONPATH": interpreter.variables(function)["PYTHONPATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Spent(**json.loads(done.stdout.splitlines()[-1]))
