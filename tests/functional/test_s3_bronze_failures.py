"""How S3Bronze takes what S3 does when it doesn't do what was asked, and what else may lie in the bucket."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from obstore.exceptions import AlreadyExistsError

from dropzone.adapters.s3 import S3Bronze
from dropzone.domain.identifiers import new_raw_id, object_key
from dropzone.ports import BronzeUnavailableError, ListedObject, ObjectMissingError, RawIdTakenError, RawObject
from dropzone_local.ports import find_free
from functional.conftest import REGION, MakeBucket
from functional.scripted_s3 import Answer, ScriptedS3, listing, refusal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BODY = b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}'
NOTHING_BEFORE = UUID(int=0)
SLOW_DOWN = refusal(503, "SlowDown")
CONFLICT = refusal(409, "ConditionalRequestConflict")


@pytest.fixture
def bronze(scripted_s3: ScriptedS3) -> S3Bronze:
    return S3Bronze("bucket", region=REGION, endpoint=scripted_s3.endpoint, timeout_seconds=30.0)


def put(bronze: S3Bronze, raw_id: UUID | None = None) -> None:
    bronze.put(RawObject(raw_id or new_raw_id(), BODY, content_type="application/json", correlation_id="c"))


def long_enough() -> float:
    return 60.0


def read_one(bronze: S3Bronze) -> object:
    [result] = bronze.read([new_raw_id()], timeout=60.0)
    return result


def test_a_put_asks_for_a_place_that_is_free(bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    raw_id = new_raw_id()

    put(bronze, raw_id)

    [asked] = scripted_s3.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", f"/bucket/{object_key(raw_id)}", BODY)
    assert asked.headers["if-none-match"] == "*"
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["x-amz-meta-correlation-id"] == "c"


@pytest.mark.parametrize(
    "first", [SLOW_DOWN, refusal(500, "InternalError"), refusal(429, "TooManyRequests"), Answer(drop=True)]
)
def test_a_put_is_tried_again_while_s3_is_busy(bronze: S3Bronze, scripted_s3: ScriptedS3, first: Answer) -> None:
    scripted_s3.script = [first, first, Answer()]

    put(bronze)

    assert [asked.body for asked in scripted_s3.asked] == [BODY] * 3
    assert {asked.headers["if-none-match"] for asked in scripted_s3.asked} == {"*"}


def test_a_put_is_given_up_in_bounded_time(bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    scripted_s3.script = [SLOW_DOWN]

    with pytest.raises(BronzeUnavailableError, match="503 SlowDown"):
        put(bronze)

    assert len(scripted_s3.asked) > 1


@pytest.mark.parametrize("text", ["", "Object already exists", "status code: 4xx", "status code: 409 Conflict"])
def test_a_conflict_of_unknown_status_is_not_taken_for_stored(
    bronze: S3Bronze, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    # The client has one error for 409 and 412: should a later release word it otherwise, nothing may be promised.
    def conflict(*_: object, **__: object) -> None:
        raise AlreadyExistsError(text)

    monkeypatch.setattr("dropzone.adapters.s3.obstore.put", conflict)
    monkeypatch.setattr("dropzone.adapters.s3.time.sleep", lambda _seconds: None)

    with pytest.raises(BronzeUnavailableError):
        put(bronze)


def test_a_conflict_of_writes_is_tried_again(bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    scripted_s3.script = [CONFLICT, CONFLICT, Answer()]

    put(bronze)

    assert len(scripted_s3.asked) == 3
    assert len({(asked.path, asked.headers["content-type"], asked.body) for asked in scripted_s3.asked}) == 1


def test_a_persistent_conflict_is_not_taken_for_an_existing_object(bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    scripted_s3.script = [CONFLICT]

    with pytest.raises(BronzeUnavailableError, match="conflict"):
        put(bronze)

    assert 1 < len(scripted_s3.asked) < 10


def test_a_put_of_an_existing_object_is_not_retried(bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    scripted_s3.script = [refusal(412, "PreconditionFailed")]

    with pytest.raises(RawIdTakenError):
        put(bronze)

    assert len(scripted_s3.asked) == 1


def test_the_answer_that_got_lost_shows_as_taken(bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    """The object was stored, its answer was not heard, and the client's own second try meets it."""
    scripted_s3.script = [Answer(drop=True), refusal(412, "PreconditionFailed")]

    with pytest.raises(RawIdTakenError):
        put(bronze)

    assert len(scripted_s3.asked) == 2


@pytest.mark.parametrize("status_and_code", [(403, "AccessDenied"), (404, "NoSuchBucket"), (400, "RequestTimeout")])
def test_a_refused_put_is_never_taken_for_stored(
    bronze: S3Bronze, scripted_s3: ScriptedS3, status_and_code: tuple[int, str]
) -> None:
    scripted_s3.script = [refusal(*status_and_code)]

    with pytest.raises(BronzeUnavailableError, match="{} {}".format(*status_and_code)):
        put(bronze)


def test_silence_ends_in_a_timeout(scripted_s3: ScriptedS3) -> None:
    bronze = S3Bronze("bucket", region=REGION, endpoint=scripted_s3.endpoint, timeout_seconds=1.0)
    scripted_s3.script = [Answer(hang=True)]

    with pytest.raises(BronzeUnavailableError):
        put(bronze)
    assert isinstance(read_one(bronze), BronzeUnavailableError)


def test_nobody_there_is_unavailable() -> None:
    bronze = S3Bronze("bucket", region=REGION, endpoint=f"http://127.0.0.1:{find_free()}", timeout_seconds=0.5)

    with pytest.raises(BronzeUnavailableError):
        put(bronze)
    assert isinstance(read_one(bronze), BronzeUnavailableError)


def test_a_read_that_is_cut_goes_on_where_it_ended(bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    body = bytes(range(256)) * 1_000
    scripted_s3.script = [Answer(body=body, cut_after=100_000), Answer(body=body)]

    result = read_one(bronze)

    assert isinstance(result, RawObject)
    assert result.body == body
    assert len(scripted_s3.asked) == 2


def test_a_read_that_is_always_cut_never_gives_a_part(bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    scripted_s3.script = [Answer(body=b"x" * 100_000, cut_after=1_000)]

    assert isinstance(read_one(bronze), BronzeUnavailableError)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (SLOW_DOWN, BronzeUnavailableError),
        (refusal(403, "AccessDenied"), BronzeUnavailableError),
        (refusal(404, "NoSuchBucket"), BronzeUnavailableError),
        (refusal(404, "NoSuchKey"), ObjectMissingError),
    ],
    ids=["503", "403", "no bucket", "no key"],
)
def test_a_read_distinguishes_missing_from_unavailable(
    bronze: S3Bronze, scripted_s3: ScriptedS3, answer: Answer, kind: type[Exception]
) -> None:
    scripted_s3.script = [answer]

    assert type(read_one(bronze)) is kind


def test_sender_is_recorded_with_the_object(moto_endpoint: str, make_bucket: MakeBucket) -> None:
    bronze = S3Bronze(make_bucket(moto_endpoint), region=REGION, endpoint=moto_endpoint)
    raw_id, by_nobody = new_raw_id(), new_raw_id()

    bronze.put(RawObject(raw_id, BODY, content_type="application/json", correlation_id="c", client="hall-3"))
    bronze.put(RawObject(by_nobody, BODY, content_type="application/json", correlation_id="c"))

    assert bronze.sender(raw_id) == "hall-3"
    assert bronze.sender(by_nobody) == ""
    assert bronze.sender(new_raw_id()) is None


@pytest.mark.parametrize("status", [403, 503])
def test_bronze_is_unavailable_while_existence_is_unknown(
    bronze: S3Bronze, scripted_s3: ScriptedS3, status: int
) -> None:
    scripted_s3.script = [Answer(status)]

    with pytest.raises(BronzeUnavailableError, match=f"^S3 answered {status}$"):
        bronze.sender(new_raw_id())


@pytest.mark.parametrize(
    "answer",
    [
        SLOW_DOWN,
        refusal(403, "AccessDenied"),
        Answer(body=b"no XML"),
        replace(listing(object_key(new_raw_id())), cut_after=100),
    ],
    ids=["503", "403", "no XML", "cut"],
)
def test_a_listing_that_fails_says_so(bronze: S3Bronze, scripted_s3: ScriptedS3, answer: Answer) -> None:
    scripted_s3.script = [answer]

    with pytest.raises(BronzeUnavailableError):
        list(bronze.list_after(NOTHING_BEFORE, timeout=long_enough))


@pytest.mark.parametrize(
    "call",
    [put, lambda bronze: list(bronze.list_after(NOTHING_BEFORE, timeout=long_enough)), read_one],
    ids=["put", "list", "read"],
)
def test_errors_never_show_credentials(
    bronze: S3Bronze, scripted_s3: ScriptedS3, call: Callable[[S3Bronze], object]
) -> None:
    """S3 quotes the request's headers when a signature doesn't match."""
    scripted_s3.script = [
        refusal(
            403,
            "SignatureDoesNotMatch",
            "<AWSAccessKeyId>AKIDMARKER</AWSAccessKeyId><CanonicalRequest>x-amz-security-token:TOKENMARKER\n"
            f"</CanonicalRequest><Body>{BODY.decode()}</Body>",
        )
    ]

    try:
        error = call(bronze)
    except BronzeUnavailableError as raised:
        error = raised

    assert isinstance(error, BronzeUnavailableError)
    assert str(error) == "S3 answered 403 SignatureDoesNotMatch"
    assert error.__suppress_context__ or error.__context__ is None
    assert scripted_s3.asked[0].headers["x-amz-security-token"] == "TOKENMARKER"


@pytest.mark.parametrize("text", ["line\r\nX-Injected: 1", "é", "\x00", "🙂"])
def test_what_no_header_can_carry_is_replaced(bronze: S3Bronze, scripted_s3: ScriptedS3, text: str) -> None:
    bronze.put(RawObject(new_raw_id(), BODY, content_type=text, correlation_id=text))

    [asked] = scripted_s3.asked
    assert "x-injected" not in asked.headers
    assert "?" in asked.headers["content-type"]
    assert "?" in asked.headers["x-amz-meta-correlation-id"]


FOREIGN = [
    "raw/",
    "raw/a b.json",
    "raw/ü.json",
    "raw/zz/archive.json",
    "raw/<&>.json",
    "raw/z/",
    "rawx/y.json",
    "other",
    "silver/measurements/month=2019-05/2019-05-01.parquet",
]


def test_foreign_keys_are_skipped(
    moto_endpoint: str,
    make_bucket: MakeBucket,
    s3_client: "Callable[[str], S3Client]",
    caplog: pytest.LogCaptureFixture,
) -> None:
    bucket = make_bucket(moto_endpoint)
    raw_id = new_raw_id()
    for key in [*FOREIGN, f"raw/{raw_id}.txt", f"raw/{str(raw_id).upper()}.json"]:
        s3_client(moto_endpoint).put_object(Bucket=bucket, Key=key, Body=b"?")
    bronze = S3Bronze(bucket, region=REGION, endpoint=moto_endpoint)
    put(bronze, raw_id)

    with caplog.at_level(logging.WARNING):
        listed = [entry for page in bronze.list_after(NOTHING_BEFORE, timeout=long_enough) for entry in page]

    assert listed == [ListedObject(raw_id, len(BODY))]
    [warning] = [record for record in caplog.records if "ingest did not write" in record.message]
    # Of other folders of the bucket, none is listed, nor the folder's own key, which lies before every object.
    assert vars(warning)["objects"] == 2 + len([key for key in FOREIGN if key.startswith("raw/") and key != "raw/"])


def test_an_object_of_another_writer_is_read_without_what_ingest_adds(
    moto_endpoint: str, make_bucket: MakeBucket, s3_client: "Callable[[str], S3Client]"
) -> None:
    bucket, raw_id = make_bucket(moto_endpoint), new_raw_id()
    s3_client(moto_endpoint).put_object(Bucket=bucket, Key=object_key(raw_id), Body=BODY, ContentType="text/plain")

    read = S3Bronze(bucket, region=REGION, endpoint=moto_endpoint).read([raw_id], timeout=long_enough())

    assert read == [RawObject(raw_id, BODY, content_type="text/plain", correlation_id="")]


@pytest.mark.parametrize("key", ["raw//x.json", "raw/zz//x.json", "raw/zz/../x.json", "raw/zz/&#9;x.json"])
def test_a_key_that_the_client_cannot_name_does_not_end_the_listing(
    bronze: S3Bronze, scripted_s3: ScriptedS3, key: str
) -> None:
    raw_id = new_raw_id()
    scripted_s3.script = [listing(key, object_key(raw_id))]

    assert [entry for page in bronze.list_after(NOTHING_BEFORE, timeout=long_enough) for entry in page] == [
        ListedObject(raw_id, 1)
    ]


def test_pages_before_such_a_key_are_not_listed_again(bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    before, last = [new_raw_id() for _ in range(1_000)], new_raw_id()
    scripted_s3.script = [
        listing(*map(object_key, before), more=True),
        listing("raw/f//x"),
        listing("raw/f//x", object_key(last)),
    ]

    listed = [entry.raw_id for page in bronze.list_after(NOTHING_BEFORE, timeout=long_enough) for entry in page]

    assert listed == [*before, last]
    asked = parse_qs(urlsplit(scripted_s3.asked[-1].path).query)
    assert {name: asked[name] for name in ("prefix", "start-after", "max-keys")} == {
        "prefix": ["raw/"],
        "start-after": [object_key(before[-1])],
        "max-keys": ["1000"],
    }


def test_a_listing_that_fails_behind_such_a_key_says_so(bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    scripted_s3.script = [listing("raw/f//x"), refusal(403, "AccessDenied")]

    with pytest.raises(BronzeUnavailableError, match=r"^S3 answered AccessDenied$"):
        list(bronze.list_after(NOTHING_BEFORE, timeout=long_enough))


def test_after_such_a_key_each_object_is_listed_once(
    emulator_endpoint: str, make_bucket: MakeBucket, s3_client: "Callable[[str], S3Client]"
) -> None:
    bucket = make_bucket(emulator_endpoint)
    bronze = S3Bronze(bucket, region=REGION, endpoint=emulator_endpoint)
    raw_ids = [new_raw_id() for _ in range(4)]
    for raw_id in raw_ids:
        put(bronze, raw_id)
    s3_client(emulator_endpoint).put_object(Bucket=bucket, Key=f"raw/{raw_ids[2]}//x", Body=b"?")

    listed = [entry.raw_id for page in bronze.list_after(raw_ids[0], timeout=long_enough) for entry in page]

    assert listed == raw_ids[1:]


# ---- a slow S3 -------------------------------------------------------------------------------------------------------

HANGING = Answer(hang=True)


@pytest.fixture
def patient_bronze(scripted_s3: ScriptedS3) -> S3Bronze:
    """One whose client waits for far longer than there is time."""
    return S3Bronze("bucket", region=REGION, endpoint=scripted_s3.endpoint, timeout_seconds=60.0)


def test_what_is_read_in_time_is_there_and_the_rest_is_unavailable(
    patient_bronze: S3Bronze, scripted_s3: ScriptedS3
) -> None:
    # GIVEN an S3 that says nothing to some of the requests
    scripted_s3.script = [HANGING, Answer(body=BODY), HANGING, Answer(body=BODY), HANGING, Answer(body=BODY)]

    # WHEN more objects are read than there are threads
    began = time.monotonic()
    results = patient_bronze.read([new_raw_id() for _ in range(40)], timeout=3.0)

    # THEN those come that can, long before the client would have given up
    assert 3.0 <= time.monotonic() - began < 30.0
    assert [type(result) for result in results].count(BronzeUnavailableError) == 3
    assert [result.body for result in results if isinstance(result, RawObject)] == [BODY] * 37


def test_threads_that_hang_hold_up_nobody_who_comes_next(patient_bronze: S3Bronze, scripted_s3: ScriptedS3) -> None:
    # GIVEN an S3 that says nothing at all for a while
    scripted_s3.script = [HANGING]
    for count in (1, 100, 16):
        results = patient_bronze.read([new_raw_id() for _ in range(count)], timeout=0.3)
        assert [type(result) for result in results] == [BronzeUnavailableError] * count

    # WHEN it comes back
    scripted_s3.script = [Answer(body=BODY)]
    results = patient_bronze.read([new_raw_id() for _ in range(100)], timeout=60.0)

    # THEN all is as before, and what was given up is not asked for any more: but for the threads' own, they never were
    assert [type(result) for result in results] == [RawObject] * 100
    assert len(scripted_s3.asked) <= 1 + 16 + 16 + 100


@pytest.mark.parametrize("first", [listing(object_key(new_raw_id()), more=True), listing("raw//x.json", more=True)])
def test_a_listing_that_falls_silent_ends_in_time(
    patient_bronze: S3Bronze, scripted_s3: ScriptedS3, first: Answer
) -> None:
    scripted_s3.script = [first, HANGING]
    began = time.monotonic()

    with pytest.raises(BronzeUnavailableError, match="in the time left"):
        list(patient_bronze.list_after(NOTHING_BEFORE, timeout=lambda: 0.5))

    assert time.monotonic() - began < 30
