"""What deciding on a request costs: warm beside the whole of Ingest, and cold in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from hashlib import sha256

from benchmarks.measuring import MILLISECONDS, Entry, Goal, Series, alternate, entry, microseconds, repeated
from benchmarks.surroundings import PROJECT, Surroundings, environment, silence
from benchmarks.workloads import BUCKET, fresh_bodies, with_body
from support.lambda_context import Context

_CALLS, _RUNS, _VALUES = 50, 15, 98
_CLIENTS = 1_000
_KEY = "example-key-of-the-sample-event"
_COLD_RUNS = 11

# After what Ingest imports and builds anyway: imports, the model, and a document of so many clients.
_COLD = """
import sys, time
from aws_lambda_powertools import Logger, Metrics
import hashlib, pydantic, obstore.store
from dropzone.domain.outcomes import has_envelope
has_envelope({})
text = sys.stdin.buffer.read()
began = time.process_time()
import dropzone.domain.access
spent = time.process_time() - began
import dropzone.settings, dropzone.ports, dropzone.api.problems, dropzone.observability
began = time.process_time()
from dropzone.api.access import Authorizer
from dropzone.domain.access import ClientsDocument, Identity, Kind, access_of
access_of(Identity(Kind.KEY, ""), ClientsDocument.model_validate_json(text), frozenset())
print(spent + time.process_time() - began)
"""


def run(surroundings: Surroundings) -> Iterator[Entry]:
    document = _document(_CLIENTS)
    surroundings.stand_in.store([])
    with environment(surroundings.variables() | {"DEFAULT_SCOPES": "none"}), silence():
        from dropzone.adapters.s3 import CLIENTS_KEY, open_store  # noqa: PLC0415 - they read variables
        from dropzone_ingest import handler  # noqa: PLC0415

        store = open_store(BUCKET, "eu-central-1", surroundings.stand_in.endpoint, 10.0)
        store.put(CLIENTS_KEY, document)
        (body,) = fresh_bodies(1, _VALUES)
        event = with_body(json.loads((PROJECT / "events" / "api-ingest.json").read_bytes()), body)
        assert handler.handler(event, Context())["statusCode"] == 202  # noqa: PLR2004, S101
        deciding = repeated(lambda: handler.authorizer().authorize(event, handler.SCOPES, handler.logger), _CALLS)
        whole = repeated(partial(handler.handler, event, Context()), _CALLS)
        taken = alternate({"ours": deciding, "whole": whole}, _RUNS)
    scale = microseconds(_CALLS, "µs/call")
    yield entry(
        "deciding on a request, beside all of ingest, CPU",
        scale,
        taken["ours"].cpu,
        taken["whole"].cpu,
        Goal("≤", 0.05),
    )
    for clients, goal in ((10, Goal("≤", 10.0)), (_CLIENTS, None)):
        cold = Series(tuple(_cold(_document(clients)) for _ in range(_COLD_RUNS)))
        yield entry(f"deciding for the first time, {clients} clients, CPU", MILLISECONDS, cold, goal=goal)


def _document(number: int) -> bytes:
    keys = [_KEY, *(f"key {each}" for each in range(number - 1))]
    clients = [
        {
            "name": f"client-{each}",
            "sha256": sha256(key.encode()).hexdigest(),
            "key_id": "k1e2y3i4d5",
            "scopes": ["ingest"],
            "writes": [f"hall-{each}/*"],
            "created": "2026-11-24T17:00:00Z",
            "expires": "2126-11-24T17:00:00Z",
        }
        for each, key in enumerate(keys)
    ]
    return json.dumps({"clients": clients}).encode()


def _cold(document: bytes) -> float:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _COLD], input=document, capture_output=True, check=True, timeout=60
    )
    return float(done.stdout)
