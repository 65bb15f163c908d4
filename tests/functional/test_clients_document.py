"""The document of clients in S3: read once a minute, and nothing opens where it can't be read."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from dropzone.adapters import s3
from dropzone.adapters.s3 import CLIENTS_KEY, CLIENTS_SECONDS, S3Clients
from dropzone.domain.access import Kind, Scope
from dropzone.ports import BronzeUnavailableError
from functional.conftest import REGION, MakeBucket
from functional.scripted_s3 import Answer, ScriptedS3, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

KEY = hashlib.sha256(b"key").hexdigest()


def document(*scopes: str) -> bytes:
    return json.dumps({"clients": [{"name": "hall-3", "sha256": KEY, "scopes": scopes}]}).encode()


class Clock:
    """The monotonic clock, set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(s3, "time", clock)
    return clock


@pytest.fixture
def scripted(scripted_s3: ScriptedS3) -> ScriptedS3:
    scripted_s3.missing = "nothing"
    return scripted_s3


def clients_of(scripted: ScriptedS3) -> S3Clients:
    return S3Clients("bucket", region=REGION, endpoint=scripted.endpoint)


def scopes(clients: S3Clients) -> frozenset[Scope]:
    return clients.current().by_identity[Kind.KEY, KEY].scopes


def test_document_is_read_again_after_a_minute_and_only_if_it_has_changed(scripted: ScriptedS3, clock: Clock) -> None:
    scripted.script = [
        Answer(body=document("read"), headers={"ETag": '"one"'}),
        Answer(304),
        Answer(body=document("ingest"), headers={"ETag": '"two"'}),
    ]
    clients = clients_of(scripted)

    for _ in range(3):
        assert scopes(clients) == {Scope.READ}
    clock.now += CLIENTS_SECONDS - 1
    assert scopes(clients) == {Scope.READ}
    assert len(scripted.asked) == 1

    clock.now += 1
    assert scopes(clients) == {Scope.READ}
    assert scripted.asked[1].headers["if-none-match"] == '"one"'
    assert [asked.path for asked in scripted.asked] == [f"/bucket/{CLIENTS_KEY}"] * 2

    clock.now += CLIENTS_SECONDS
    assert scopes(clients) == {Scope.INGEST}
    assert len(scripted.asked) == 3


def test_deleted_document_lists_nobody_any_more(scripted: ScriptedS3, clock: Clock) -> None:
    scripted.script = [Answer(body=document("read")), refusal(404, "NoSuchKey"), Answer(body=document("read"))]
    clients = clients_of(scripted)
    assert scopes(clients) == {Scope.READ}

    clock.now += CLIENTS_SECONDS
    assert clients.current().by_identity == {}

    clock.now += CLIENTS_SECONDS
    assert scopes(clients) == {Scope.READ}
    assert "if-none-match" not in scripted.asked[2].headers


@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "AccessDenied"),
        refusal(404, "NoSuchBucket"),
        Answer(500),
        Answer(body=b""),
        Answer(body=b"[]"),
        Answer(body=document("admin")),
        Answer(body=document("read")[:-1]),
    ],
    ids=["403", "no bucket", "500", "empty", "a list", "an unknown scope", "cut off"],
)
def test_document_that_cannot_be_read_opens_nothing_even_after_one_that_could(
    scripted: ScriptedS3, clock: Clock, answer: Answer
) -> None:
    scripted.script = [Answer(body=document("read")), answer]
    clients = clients_of(scripted)
    assert scopes(clients) == {Scope.READ}

    clock.now += CLIENTS_SECONDS
    for _ in range(2):
        with pytest.raises(BronzeUnavailableError) as raised:
            clients.current()
        assert KEY not in str(raised.value)


def test_document_of_a_real_server_is_found_and_missed(
    moto_endpoint: str, make_bucket: MakeBucket, s3_client: "Callable[[str], S3Client]", clock: Clock
) -> None:
    bucket = make_bucket(moto_endpoint)
    clients = S3Clients(bucket, region=REGION, endpoint=moto_endpoint)
    assert clients.current().clients == ()

    put: dict[str, Any] = s3_client(moto_endpoint).put_object(Bucket=bucket, Key=CLIENTS_KEY, Body=document("read"))  # type: ignore[assignment] # a typed dictionary
    clock.now += CLIENTS_SECONDS
    assert put["ETag"]
    assert scopes(clients) == {Scope.READ}

    clock.now += CLIENTS_SECONDS
    assert scopes(clients) == {Scope.READ}
