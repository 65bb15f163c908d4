"""`make demo` on the live stack: a day of all sensors, all of it, and what they measure from then on."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dropzone.domain.body import NDJSON
from dropzone.domain.outcomes import Measurement
from dropzone.domain.validate import validate
from dropzone_local.demo import DAY, HOUR, SENSORS, body
from dropzone_local.polling import wait_until
from e2e.client import Client

DEADLINE_SECONDS = 120.0
INTERRUPTED = 130


@contextmanager
def demo(root: Path, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command at work, killed where it doesn't end by itself."""
    command = [sys.executable, "-m", "dropzone_local", "demo", "--root", str(root)]
    with output.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.kill()


def measured(client: Client, since: datetime, until: datetime) -> dict[str, int]:
    """How many events of each of the sensors `GET /kpis` knows of."""
    query = f"granularity=hour&from={since:%FT%TZ}&to={until:%FT%TZ}"
    counts = Counter[str]()
    for sensor in SENSORS:
        for row in client.request("GET", f"/kpis?{query}&source={sensor.source}").json()["kpis"]:
            counts[row["source"]] += row["events"]
    return dict(counts)


def test_a_day_of_all_sensors_is_there_and_live_events_follow(client: Client, tmp_path: Path) -> None:
    output = tmp_path / "output"
    started = datetime.now(UTC)
    # The hours that the demo sends, whether or not the next one begins meanwhile.
    until = started.replace(minute=0, second=0, microsecond=0)
    since = until - DAY + HOUR
    outcomes = validate(body(since, until), NDJSON)
    expected = Counter(outcome.source for outcome in outcomes if isinstance(outcome, Measurement))

    with demo(client.stack.root, output) as process:
        # THEN every good event of the day is a measurement of its sensor
        wait_until(
            lambda: process.poll() is not None or measured(client, since, until) == expected,
            seconds=DEADLINE_SECONDS,
            every=0.5,
        )
        assert measured(client, since, until) == expected, output.read_text()
        assert len(expected) == len(SENSORS)

        # AND the faulty ones were rejected, by more than one rule
        query = f"granularity=minute&from={started:%FT%H:%MZ}"
        quality = client.request("GET", f"/quality?{query}&source={SENSORS[0].source}").json()["quality"]
        rules = Counter[str]()
        for bucket in quality:
            rules.update(bucket["rejected_by_rule"])
        assert rules["data.empty"] > 0, quality
        assert len(rules) > 1, rules

        # AND what is measured from now on follows
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        live = f"/measurements?from={now}&source={SENSORS[0].source}"
        assert wait_until(
            lambda: process.poll() is not None or client.request("GET", live).json()["measurements"] or None,
            seconds=DEADLINE_SECONDS,
            every=0.5,
        ), output.read_text()
        assert process.poll() is None, output.read_text()

        # AND Ctrl-C ends it, and leaves the stack up
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == INTERRUPTED, output.read_text()
    assert client.stack.healthy
