"""The function Ingest, warm, beside a bare handler: CPU per call."""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import boto3

from benchmarks.measuring import Entry, Goal, alternate, entry, microseconds, repeated
from benchmarks.surroundings import PROJECT, REGION, Surroundings, environment, silence
from benchmarks.workloads import fresh_bodies, with_body
from support.lambda_context import Context

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

_BUCKET = "forgotten"

# By what an event is called: the values in it, the calls of a run, and the goal.
_SIZES = {"2 KB": (98, 50, Goal("≤", 0.35)), "1 MB": (52_000, 3, None)}
_RUNS = 15


def run(surroundings: Surroundings) -> Iterator[Entry]:
    with environment(surroundings.variables() | {"BRONZE_BUCKET": _BUCKET}), silence():
        from dropzone_ingest.handler import handler  # noqa: PLC0415 - it reads variables

        bare = bare_handler(surroundings)
        like = json.loads((PROJECT / "events" / "api-ingest.json").read_bytes())
        found = {}
        for name, (values, calls, _) in _SIZES.items():
            (body,) = fresh_bodies(1, values)
            event = with_body(like, body)
            assert handler(event, Context())["statusCode"] == bare(event, Context())["statusCode"]  # noqa: S101
            works = {"ours": partial(handler, event, Context()), "bare": partial(bare, event, Context())}
            found[name] = alternate({whose: repeated(call, calls) for whose, call in works.items()}, _RUNS)
    for name, (_, calls, goal) in _SIZES.items():
        scale, taken = microseconds(calls, "µs/call"), found[name]
        yield entry(f"ingest, warm, {name}, CPU", scale, taken["ours"].cpu, taken["bare"].cpu, goal)
        yield entry(f"ingest, warm, {name}, wall", scale, taken["ours"].wall, taken["bare"].wall)


def bare_handler(surroundings: Surroundings) -> Handler:
    """What one would write first."""
    client = boto3.client("s3", region_name=REGION, endpoint_url=surroundings.stand_in.endpoint)

    def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
        body = base64.b64decode(event["body"])
        json.loads(body)
        client.put_object(Bucket=_BUCKET, Key=f"raw/{uuid.uuid4()}.json", Body=body)
        return {"statusCode": 202, "body": "{}"}

    return handler
