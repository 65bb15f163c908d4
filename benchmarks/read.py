"""Notified objects to bytes in memory, beside boto3 on as many threads, and the floor: GETs on bare sockets."""

import selectors
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from uuid import UUID

import boto3
from botocore.config import Config

from benchmarks.measuring import Entry, Goal, alternate, entries, per_second, repeated
from benchmarks.surroundings import CREDENTIALS, REGION, Surroundings, environment
from benchmarks.workloads import BUCKET, fresh_bodies, raw_ids
from dropzone.domain.identifiers import object_key
from dropzone.ports import RawObject
from dropzone_local.ports import LOOPBACK

OBJECTS = 1_000
VALUES = 98
"""Of an event of 2 KB."""
_THREADS = 16
_GOAL = Goal("≥", 10)
_RUNS = 7

Reading = Callable[[Sequence[UUID]], None]


def run(surroundings: Surroundings) -> Iterator[Entry]:
    arrived = raw_ids(OBJECTS)
    surroundings.stand_in.store(zip(arrived, fresh_bodies(OBJECTS, VALUES), strict=True))
    bronze = surroundings.bronze()

    def ours() -> None:
        assert all(isinstance(found, RawObject) for found in bronze.read(arrived, timeout=60))  # noqa: S101

    with (
        environment(CREDENTIALS),
        reading_with_boto3(surroundings) as boto3_reads,
        _reading_with_sockets(surroundings.stand_in.port) as sockets_read,
    ):
        taken = alternate(
            {
                "ours": repeated(ours),
                "boto3": repeated(lambda: boto3_reads(arrived)),
                "bare sockets": repeated(lambda: sockets_read(arrived)),
            },
            _RUNS,
        )
    for other, goal in (("boto3", _GOAL), ("bare sockets", None)):
        both = {name: taken[name] for name in ("ours", other)}
        yield from entries(f"read, beside {other}", per_second(OBJECTS, "objects"), both, goal)


@contextmanager
def reading_with_boto3(surroundings: Surroundings) -> Iterator[Reading]:
    """How one reads many objects with boto3: one client, 16 threads."""
    client = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=surroundings.stand_in.endpoint,
        config=Config(max_pool_connections=_THREADS),
    )

    def get(raw_id: UUID) -> bytes:
        return client.get_object(Bucket=BUCKET, Key=object_key(raw_id))["Body"].read()

    with ThreadPoolExecutor(_THREADS) as threads:

        def get_all(arrived: Sequence[UUID]) -> None:
            for _ in threads.map(get, arrived):
                pass

        yield get_all
    client.close()


@contextmanager
def _reading_with_sockets(port: int) -> Iterator[Reading]:
    """The floor: as many connections, one loop, requests without a signature, answers looked at for their end."""
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        sockets = [stack.enter_context(socket.create_connection((LOOPBACK, port))) for _ in range(_THREADS)]
        for one in sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(one, selectors.EVENT_READ, one)
        yield lambda arrived: _get_all(sockets, selector, arrived)


def _get_all(sockets: Sequence[socket.socket], selector: selectors.BaseSelector, arrived: Sequence[UUID]) -> None:
    requests = [
        f"GET /{BUCKET}/{object_key(raw_id)} HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n".encode() for raw_id in arrived
    ]
    answers: list[bytes] = []
    parts: dict[socket.socket, bytes] = dict.fromkeys(sockets, b"")
    for each in sockets:
        each.sendall(requests.pop())
    while len(answers) < len(arrived):
        for key, _ in selector.select():
            one: socket.socket = key.data
            parts[one] += one.recv(65_536)
            if parts[one].endswith(b"}"):
                answers.append(parts[one].partition(b"\r\n\r\n")[2])
                parts[one] = b""
                if requests:
                    one.sendall(requests.pop())
