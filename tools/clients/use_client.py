"""Calls every operation with the generated Python client, as a program of its user would: `use_client.py URL KEY`."""

import datetime
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from dropzone_client import AuthenticatedClient
from dropzone_client.api.data import (
    get_kpis,
    get_quality,
    list_measurements,
    list_measurements_of_instant,
    list_sources,
)
from dropzone_client.api.events import get_raw, get_status, list_rejections, send_events
from dropzone_client.api.processing import process_objects
from dropzone_client.api.service import get_health
from dropzone_client.models import (
    Accepted,
    Counts,
    EventV2,
    Granularity,
    Health,
    KpisPage,
    MeasurementsPage,
    ObjectStatus,
    ProcessBatch,
    QualityPage,
    RejectionsPage,
    SourcesPage,
    State,
)
from dropzone_client.types import File, Response

SOURCE = "generated client"
INSTANT = datetime.datetime(2024, 3, 1, 12, tzinfo=datetime.UTC)


def given[T](kind: type[T], response: Response[Any]) -> T:
    """What an operation answered, which is of this kind."""
    assert response.status_code in {HTTPStatus.OK, HTTPStatus.ACCEPTED}, response
    assert isinstance(response.parsed, kind), response
    return response.parsed


def until[T](ready: Callable[[], T | None]) -> T:
    """What there is within a minute."""
    ends = time.monotonic() + 60
    while (found := ready()) is None:
        assert time.monotonic() < ends
        time.sleep(0.2)
    return found


def main(url: str, key: str) -> None:
    client = AuthenticatedClient(
        url, key, prefix="", auth_header_name="x-api-key", raise_on_unexpected_status=True, timeout=None
    )
    assert given(Health, get_health.sync_detailed(client=client)).status == "ok"
    event = EventV2(schema_version=2, time_stamp=INSTANT.isoformat(), data=[1.0, 3.0], source=SOURCE)
    accepted = given(Accepted, send_events.sync_detailed(client=client, body=event))
    broken = EventV2(schema_version=2, time_stamp=INSTANT.isoformat(), data=[], source=SOURCE)
    several = given(Accepted, send_events.sync_detailed(client=client, body=[event.to_dict(), broken.to_dict()]))
    assert given(Counts, process_objects.sync_detailed(client=client, body=ProcessBatch(limit=10))).checked >= 0

    def processed() -> ObjectStatus | None:
        found = given(ObjectStatus, get_status.sync_detailed(several.raw_id, client=client))
        return None if found.status is State.ACCEPTED else found

    counts = until(processed).counts
    assert counts and (counts.processed, counts.rejected) == (1, 1)
    raw = given(File, get_raw.sync_detailed(accepted.raw_id, client=client))
    assert b"generated client" in raw.payload.read()
    page = given(MeasurementsPage, list_measurements.sync_detailed(client=client, source=SOURCE, limit=5))
    assert [(row.mean, row.measured_at) for row in page.measurements] == [(2.0, INSTANT)]
    of_instant = list_measurements_of_instant.sync_detailed(INSTANT, client=client, source=SOURCE)
    assert len(given(MeasurementsPage, of_instant).measurements) == 1
    kpis = given(
        KpisPage,
        get_kpis.sync_detailed(
            client=client, granularity=Granularity.DAY, from_=INSTANT.date(), to=INSTANT.date(), source=SOURCE
        ),
    )
    assert [(kpi.events, kpi.mean, kpi.gaps.count) for kpi in kpis.kpis] == [(1, 2.0, 0)]
    quality = given(QualityPage, get_quality.sync_detailed(client=client, source=SOURCE))
    assert sum(bucket.rejected_by_rule["data.empty"] for bucket in quality.quality) >= 1
    assert [
        each.source for each in given(SourcesPage, list_sources.sync_detailed(client=client, prefix=SOURCE)).sources
    ] == [SOURCE]
    rejected = given(RejectionsPage, list_rejections.sync_detailed(client=client, source=SOURCE, limit=1))
    assert rejected.rejections[0].violations[0].code == "data.empty"


if __name__ == "__main__":
    main(*sys.argv[1:])
