"""The demo: a day of data from a few sensors, then live data, slightly faulty like real sensors.

An event is a function of its sensor and its instant, so that sending the same day again changes nothing.
"""

import gzip
import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self, cast

from dropzone_cli.api import Api, ClientOptions, RefusedError
from dropzone_cli.errors import CliError
from dropzone_cli.target import Target
from dropzone_local.deployment import Endpoints
from dropzone_local.errors import LocalStackError

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FAULTY_SHARE = 0.008
SILENT_FOR = 5 * HOUR

_PATIENCE_SECONDS = 60.0
_TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sensor:
    """A sensor that measures around a level, with a daily swing and some noise."""

    source: str
    unit: str
    level: float
    swing: float
    noise: float
    every: int
    """The interval between events, in seconds."""
    tags: Mapping[str, str] = field(default_factory=dict)
    peak: float = 15.0
    """The hour of the day with the highest values."""
    faulty: float = FAULTY_SHARE
    """The share of its events that are rejected."""
    quiet: tuple[float, float] | None = None
    """The hours of the day between which it sends nothing."""
    rough: tuple[float, float] | None = None
    """The hours of the day between which it has five times its noise."""
    knock: tuple[float, float] | None = None
    """The hours of the day between which its values are too high, by twelve times its noise."""


SENSORS = (
    Sensor("hall-1/thermometer", "°C", 21.0, 2.5, 0.3, 20, {"hall": "1", "site": "north"}),
    Sensor("hall-2/thermometer", "°C", 18.5, 4.0, 0.6, 20, {"hall": "2", "site": "north"}, quiet=(9.25, 10.5)),
    Sensor(
        "press-3/pressure", "bar", 6.2, 0.4, 0.06, 20, {"line": "B"}, peak=10.0, rough=(13.0, 15.0), knock=(16.5, 16.51)
    ),
    Sensor("dock/humidity", "%", 48.0, 9.0, 1.8, 60, {"gate": "4"}, peak=4.0),
    Sensor("yard/wind", "m/s", 9.0, 3.0, 0.7, 60, {"site": "north"}, peak=19.0, faulty=0.12),
    Sensor("tank-4/level", "m", 3.4, 0.5, 0.02, 600, {"site": "north"}, peak=1.0),
)
SILENT = Sensor("cellar/humidity", "%", 71.0, 4.0, 0.9, 60, {"site": "north"}, peak=7.0)
"""A sensor that has stopped some hours before the demo starts."""


def instants(sensor: Sensor, since: datetime, until: datetime) -> Iterator[datetime]:
    """The instants at which the sensor measures, from `since` on and before `until`."""
    first = math.ceil(since.timestamp() / sensor.every) * sensor.every
    for seconds in range(first, math.ceil(until.timestamp()), sensor.every):
        at = datetime.fromtimestamp(seconds, UTC)
        if not _within(at, sensor.quiet):
            yield at


def line(sensor: Sensor, at: datetime) -> bytes:
    """What the sensor sends for an instant: an event of version 2; occasionally, a faulty one."""
    chance = random.Random(f"{sensor.source} {at.isoformat()}")  # noqa: S311 - plausible, not secret
    middle = sensor.level + sensor.swing * math.cos((_hour(at) - sensor.peak) / 24.0 * math.tau)
    if _within(at, sensor.knock):
        middle += 12.0 * sensor.noise
    noise = sensor.noise * (5.0 if _within(at, sensor.rough) else 1.0)
    event: dict[str, object] = {
        "schema_version": 2,
        "time_stamp": at.isoformat().replace("+00:00", "Z"),
        "data": [round(chance.gauss(middle, noise), 3) for _ in range(6)],
        "source": sensor.source,
        "unit": sensor.unit,
        "tags": dict(sensor.tags),
    }
    if chance.random() < sensor.faulty:
        return _spoilt(event, at, chance)
    return _text(event)


def _spoilt(event: dict[str, object], at: datetime, chance: random.Random) -> bytes:
    """The event with one of the faults of real events."""
    samples = cast("list[float]", event["data"])
    faults: tuple[Callable[[], dict[str, object]], ...] = (
        lambda: event | {"time_stamp": at.replace(tzinfo=None).isoformat()},
        lambda: event | {"data": []},
        lambda: event | {"data": []},
        lambda: event | {"data": [*samples[:2], "n/a", *samples[3:]]},
        lambda: event | {"data": [*samples[:4], None]},
        lambda: event | {"time_stamp": at.strftime("%d.%m.%Y %H:%M")},
        lambda: {name: value for name, value in event.items() if name != "time_stamp"},
    )
    number = chance.randrange(len(faults) + 1)
    if number == len(faults):
        whole = _text(event)
        return whole[: len(whole) // 2]
    return _text(faults[number]())


def body(since: datetime, until: datetime, sensors: Sequence[Sensor] = SENSORS) -> bytes:
    """What sensors send in a range, in order of time, as NDJSON."""
    events = sorted(
        (at, number, line(sensor, at)) for number, sensor in enumerate(sensors) for at in instants(sensor, since, until)
    )
    return b"".join(text + b"\n" for _, _, text in events)


def batches(since: datetime, until: datetime, silent_since: datetime | None = None) -> Iterator[bytes]:
    """The bodies of a range, one per started hour, including what the silent sensor sent before it stopped."""
    while since < until:
        end = min(since.replace(minute=0, second=0, microsecond=0) + HOUR, until)
        is_heard = silent_since is not None and end <= silent_since
        if batch := body(since, end, (*SENSORS, SILENT) if is_heard else SENSORS):
            yield batch
        since = end


class Sender:
    """Sends bodies to a running stack. A body that is sent again is stored only once."""

    def __init__(self, endpoints: Endpoints, options: ClientOptions | None = None) -> None:
        target = Target("the local stack", endpoints.url, lambda: endpoints.api_key, "stack.json", local=True)
        self._api = Api(target, options or ClientOptions())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._api.__exit__(*error)

    def send(self, batch: bytes) -> int:
        """Send a body, and return the number of stored events.

        Raises:
            LocalStackError: the API refuses it, or can't be reached, even after retries.
        """
        headers = {
            "content-type": "application/x-ndjson",
            "content-encoding": "gzip",
            "idempotency-key": f"demo-{hashlib.sha256(batch).hexdigest()}",
        }
        try:
            return self._api.ingest(gzip.compress(batch, mtime=0), headers, _PATIENCE_SECONDS).items
        except (RefusedError, CliError) as error:
            if isinstance(error, RefusedError) and error.problem.endswith(":invalid-event"):
                return 0  # all of its events are faulty, which is possible for a short time
            message = "POST /ingest does not take the demo's data."
            raise LocalStackError(message, detail=str(error), hint="Is it running? make up") from error


def send_a_day(sender: Sender, until: datetime) -> int:
    """Send the day before an instant; returns the number of events."""
    start = (until - DAY).replace(minute=0, second=0, microsecond=0)
    return sum(map(sender.send, batches(start, until, until - SILENT_FOR)))


def send_live(
    sender: Sender,
    since: datetime,
    report: Callable[[int], None],
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Send what the sensors measure from an instant on, in real time, until interrupted."""
    while True:
        until = now()
        if batch := body(since, until):
            report(sender.send(batch))
        since = max(since, until)
        pause(_TICK_SECONDS)


def _text(event: Mapping[str, object]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def _hour(at: datetime) -> float:
    return at.hour + at.minute / 60 + at.second / 3600


def _within(at: datetime, hours: tuple[float, float] | None) -> bool:
    return hours is not None and hours[0] <= _hour(at) < hours[1]
