"""`POST /process` where the queue feeds nothing: objects wait, and the counts are right."""

import json
from collections.abc import Iterator
from itertools import count
from uuid import UUID

import pytest

from e2e.client import Client
from e2e.fleet import ask, dropzone, ended, plan

SECONDS = 120
_seconds = count()


def good() -> bytes:
    second = next(_seconds)
    return f'{{"time_stamp": "2022-01-01T{second // 60:02}:{second % 60:02}Z", "data": [1, 2, 3]}}'.encode()


BAD = b'{"time_stamp": "2022-01-01T00:00:00Z", "data": []}'


@pytest.fixture(autouse=True)
def nothing_waits(waiting_client: Client) -> Iterator[None]:
    waiting_client.process_all(limit=1000)
    yield
    waiting_client.process_all(limit=1000)


def test_nothing_to_do(waiting_client: Client) -> None:
    assert waiting_client.process() == {"checked": 0, "processed": 0, "failed": 0}


def test_an_object_waits_until_it_is_asked_for(waiting_client: Client) -> None:
    raw_id = waiting_client.ingest(good())
    assert waiting_client.query("SELECT * FROM receipts WHERE raw_id = :id", id=raw_id) == []

    assert waiting_client.process() == {"checked": 1, "processed": 1, "failed": 0}

    assert waiting_client.outcome(raw_id) == "processed"
    assert waiting_client.process() == {"checked": 0, "processed": 0, "failed": 0}


def test_a_waiting_event_is_accepted_and_an_exhausted_one_is_stuck(waiting_client: Client) -> None:
    raw_id = waiting_client.ingest(good())
    assert waiting_client.request("GET", f"/ingest/{raw_id}").json()["status"] == "accepted"

    waiting_client.query(
        "INSERT INTO receipts (raw_id, attempts, last_error) VALUES (:id, 5, 'its process died')", id=raw_id
    )

    answered = waiting_client.request("GET", f"/ingest/{raw_id}").json()
    assert (answered["status"], answered["attempts"], answered["last_error"]) == ("stuck", 5, "its process died")


def test_process_counts_failed(waiting_client: Client) -> None:
    raw_ids = {waiting_client.ingest(body): body for body in [good(), BAD, good(), BAD, good()]}

    assert waiting_client.process() == {"checked": 5, "processed": 3, "failed": 2}

    for raw_id, body in raw_ids.items():
        assert waiting_client.outcome(raw_id) == ("rejected" if body == BAD else "processed")


def test_limit_and_cursor_go_through_all_of_it(waiting_client: Client) -> None:
    raw_ids = [waiting_client.ingest(BAD if number % 3 == 0 else good()) for number in range(7)]

    answers = waiting_client.process_all(limit=3)

    assert [answer["checked"] for answer in answers] == [3, 3, 1]
    assert sum(answer["failed"] for answer in answers) == 3
    assert [UUID(answer["cursor"]) for answer in answers[:-1]] == [raw_ids[2], raw_ids[5]]


def test_the_limit_may_be_in_the_query(waiting_client: Client) -> None:
    for _ in range(3):
        waiting_client.ingest(good())

    response = waiting_client.request("POST", "/process?limit=2")

    assert response.status_code == 200
    assert response.json()["checked"] == 2


@pytest.mark.parametrize(
    "parameters", [{"limit": 0}, {"limit": 1001}, {"limit": "5"}, {"limit": True}, {"limt": 5}, {"cursor": "x"}]
)
def test_bad_parameters_are_refused_and_nothing_is_processed(
    waiting_client: Client, parameters: dict[str, object]
) -> None:
    raw_id = waiting_client.ingest(good())

    response = waiting_client.request("POST", "/process", json.dumps(parameters).encode())

    assert response.status_code == 422
    assert response.json()["violations"][0]["field"] == next(iter(parameters))
    assert waiting_client.query("SELECT * FROM receipts WHERE raw_id = :id", id=raw_id) == []


def test_a_fleet_sweeps_in_ranges(waiting_client: Client) -> None:
    ((known,),) = waiting_client.query("SELECT count(*) FROM receipts JOIN sweep ON raw_id > watermark")
    raw_ids = [waiting_client.ingest(good()) for _ in range(12)]
    replay_id = ask(waiting_client, "begin_sweep")["replay_id"]
    objects = known + len(raw_ids)
    plan(waiting_client, replay_id, objects, objects // 3)

    code, report = ended(dropzone(waiting_client, "sweep", "--fleet", "--yes"), SECONDS)

    # It goes on with the ranges that were planned.
    assert (code, report["replay_id"], report["state"]) == (0, replay_id, "done"), report
    assert report["done"] == report["ranges"] >= 3
    assert (report["checked"], report["changes"]) == (objects, {"new": len(raw_ids)})
    assert {waiting_client.outcome(raw_id) for raw_id in raw_ids} == {"processed"}
