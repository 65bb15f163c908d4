"""What is sent comes back: as rows, as figures, and as it was received."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from e2e.client import Client
from support.documents import PROJECT
from support.packing import gzipped

MEASURED = "2024-02-29T23:59:59.5-01:00"
IN_UTC = "2024-03-01T00:59:59.500000Z"


def test_what_is_sent_comes_back_as_a_row_as_figures_and_as_it_was(client: Client) -> None:
    # GIVEN two events of a source of their own, the second packed, and one that breaks a rule
    source = f"source of {uuid4()}"
    first = json.dumps(
        {"schema_version": 2, "time_stamp": MEASURED, "data": [1, 3], "source": source, "unit": "°C"}
    ).encode()
    second = gzipped(
        json.dumps(
            {"schema_version": 2, "time_stamp": "2024-03-01T00:30:00Z", "data": [5, 7], "source": source}
        ).encode()
    )
    broken = json.dumps({"schema_version": 2, "time_stamp": MEASURED, "data": [], "source": source}).encode()
    sent = {client.ingest(first): first, client.ingest(broken): broken}
    # Without a Content-Encoding, by which API Gateway would unpack it.
    packed = client.request("POST", "/ingest", second, content_type="application/json")
    assert packed.status_code == 202, packed.text
    assert {client.outcome(raw_id) for raw_id in sent} == {"processed", "rejected"}
    client.outcome(packed.json()["raw_id"])

    # THEN silver lists them, page by page, in each form
    listed = client.request("GET", f"/measurements?source={source}&limit=1").json()
    assert [entry["measured_at"] for entry in listed["measurements"]] == [IN_UTC]
    assert listed["measurements"][0]["unit"] == "°C"
    rest = client.request("GET", f"/measurements?source={source}&cursor={listed['cursor']}", accept="text/csv")
    assert rest.headers["content-type"].startswith("text/csv")
    assert [row["mean"] for row in csv.DictReader(io.StringIO(rest.text))] == ["6.0"]
    for instant in (MEASURED, MEASURED.replace("-01:00", "-01"), IN_UTC, "2024-03-01T01:59:59.5%2B01:00"):
        of_it = client.request("GET", f"/measurements/{instant}?source={source}")
        assert [entry["mean"] for entry in of_it.json()["measurements"]] == [2.0], instant
    assert client.request("GET", f"/measurements/1999-01-01T00:00Z?source={source}").status_code == 404

    # AND gold has their figures
    asked = f"/kpis?granularity=day&from=2024-03-01T00:00Z&to=2024-03-02T00:00Z&source={source}"
    kpis = client.request("GET", asked)
    (kpi,) = kpis.json()["kpis"]
    assert (kpi["events"], kpi["samples"], kpi["mean"], kpi["std_dev"]) == (2, 4, 4.0, 5**0.5)
    # AND a whole number is a float wherever a float is: a loader that infers types finds one type in a column
    assert '"mean":4.0,"std_dev":2.23606797749979,"min":1.0,"max":7.0' in kpis.text
    assert (
        '"mean":2.0,"std_dev":1.0,"sample_count":2,"min":1.0,"max":3.0'
        in client.request("GET", f"/ingest/{next(iter(sent))}").text
    )
    table = client.request("GET", asked, accept="text/csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    (row,) = csv.DictReader(io.StringIO(table.text))
    assert (row["events"], row["mean"], row["max"], row["gaps_longest_seconds"]) == ("2", "4.0", "7.0", "1799.5")
    assert (row["rejected_share"], row["rejected_by_rule"], row["latency_ms_mean"]) == ("", "{}", "")
    lines = client.request("GET", asked, accept="application/x-ndjson").text.splitlines()
    assert [json.loads(line) for line in lines] == [kpi]
    for days in ("from=2024-03-01&to=2024-03-01", "from=2024-02-29T23:00:00-01:00&to=2024-03-02T01:00:00+01:00"):
        assert client.request("GET", f"/kpis?granularity=day&{days}&source={source}").json()["kpis"] == [kpi], days
    assert client.request("GET", asked, accept="text/csv; profile=spreadsheet").content.startswith(
        b"\xef\xbb\xbfstart,end,source,"
    )
    again = client.request("GET", asked, if_none_match=kpis.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    since = (datetime.now(UTC) - timedelta(minutes=30)).isoformat().replace("+", "%2B")
    quality = client.request("GET", f"/quality?granularity=minute&from={since}&source={source}").json()["quality"]
    assert sum(bucket["processed"] for bucket in quality) == 2
    assert [bucket["rejected_by_rule"] for bucket in quality if bucket["rejected"]] == [{"data.empty": 1}]

    # AND its source is listed, and is silent since 2024
    (listed,) = client.request("GET", f"/sources?prefix={source}").json()["sources"]
    assert (listed["source"], listed["state"], listed["last_measured_at"]) == (source, "silent", IN_UTC)
    assert listed["last_day"] == {
        "received": 3,
        "rejected": 1,
        "resolved": 0,
        "open": 1,
        **dict.fromkeys(("rejected_share", "open_share"), 1 / 3),
    }

    # AND each is there as it was received
    for raw_id, body in sent.items():
        raw = client.request("GET", f"/ingest/{raw_id}/raw")
        assert (raw.status_code, raw.content) == (200, body)
        assert raw.headers["content-disposition"].startswith("attachment")
    raw = client.request("GET", f"/ingest/{packed.json()['raw_id']}/raw")
    assert raw.headers["content-encoding"] == "gzip"
    assert raw.content == gzip.decompress(second)  # as the client unpacks it
    assert client.request("GET", f"/ingest/{uuid4()}/raw").status_code == 404


def test_answers_are_compressed_for_clients_that_accept_it(client: Client) -> None:
    for path in ("/openapi.json", "/"):
        plain = client.request("GET", path, accept_encoding="identity")
        assert "content-encoding" not in plain.headers
        packed = client.request("GET", path, accept_encoding="gzip;q=0.5, br")
        assert packed.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in packed.headers["vary"].lower()
        assert packed.content == plain.content  # as the client unpacks it
        assert packed.num_bytes_downloaded < len(plain.content) / 2
        if tag := packed.headers.get("etag"):
            for encoding in ("gzip", "identity"):
                again = client.request("GET", path, accept_encoding=encoding, if_none_match=tag)
                assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


def test_contracts_that_are_deployed(client: Client) -> None:
    listed = client.request("GET", "/contracts").json()["contracts"]
    text = client.request("GET", "/contracts/default", accept="application/yaml")

    assert "default" in {contract["id"] for contract in listed}
    assert client.request("GET", "/contracts/default").json()["rules"][0]["id"] == "clock-ahead"
    assert (text.status_code, text.headers["content-type"]) == (200, "application/yaml")
    assert text.text == (PROJECT / "contracts/default.odcs.yaml").read_text(encoding="utf-8")


def test_reads_need_a_key(client: Client) -> None:
    for path in (
        "/kpis",
        "/quality",
        "/sources",
        "/contracts",
        "/contracts/default",
        "/measurements",
        "/measurements/2024-03-01T00:00Z",
        f"/ingest/{uuid4()}/raw",
    ):
        assert client.request("GET", path, key=None).status_code == 403, path
