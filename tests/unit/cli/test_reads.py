"""`dropzone kpis`, `measurements`, `quality` and `sources`, against an API by a function."""

import csv
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from unit.cli.harness import Cli, FakeApi

pytestmark = pytest.mark.usefixtures("local")

NOW = datetime.now(UTC)


def source(name: str, last: datetime | None, state: str = "ok") -> dict[str, Any]:
    return {
        "source": name,
        "state": state,
        "last_measured_at": last and last.isoformat(),
        "last_mean": None if last is None else 21.5,
        "unit": None if last is None else "°C",
        "last_day": {"received": 10, "rejected": 1, "rejected_share": 0.1},
        "contract": "default@1.0.0",
        "trend": None,
    }


def pages(name: str, *found: list[dict[str, Any]]) -> list[httpx.Response | Exception]:
    last = len(found) - 1
    return [
        httpx.Response(200, json={name: rows} | ({} if number == last else {"cursor": f".{number}"}))
        for number, rows in enumerate(found)
    ]


def asked(api: FakeApi) -> list[dict[str, str]]:
    return [{"path": request.url.path.rpartition("/")[2], **dict(request.url.params)} for request in api.requests]


def test_sources_of_all_pages_are_listed(cli: Cli, api: FakeApi) -> None:
    api.answers = pages("sources", [source("a", NOW)], [source("", None, "unnamed")])

    done = cli("sources", "--prefix", "a", "--state", "ok")

    assert done.exit_code == 0
    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        ["a", "ok", NOW.isoformat(), "21.5 °C", "10", "1", "default@1.0.0"],
        ["", "unnamed", "", "", "10", "1", "default@1.0.0"],
    ]
    first, second = asked(api)
    assert first == {"path": "sources", "prefix": "a", "state": "ok", "limit": first["limit"]}
    assert second["cursor"] == ".0"


def test_sources_that_are_silent_for_a_time_are_something_to_see_to(cli: Cli, api: FakeApi) -> None:
    rows = [
        source("new", NOW),
        source("", None, "unnamed"),
        source("old", NOW - timedelta(hours=2)),
        source("never", None),
    ]
    api.answers = [*pages("sources", rows), *pages("sources", rows[:2])]

    done = cli("sources", "--silent", "1h")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["old", "never"]
    assert done.exit_code == 1

    done = cli("sources", "--silent", "1h")
    assert (done.stdout, done.exit_code) == ("", 0)


def test_kpis_are_asked_for_as_the_options_say(cli: Cli, api: FakeApi) -> None:
    row = {
        "start": "2026-03-04T12:00:00Z",
        "source": "a",
        "events": 60,
        "mean": 1 / 3,
        "std_dev": None,
        "min": 0.0,
        "max": 1e9,
        "gaps": {"count": 2, "longest_seconds": 120.0},
        "received": 61,
        "rejected": 1,
        "rejected_by_rule": {"data.empty": 1},
    }
    api.answers = [*pages("kpis", [row]), *pages("kpis", [row]), *pages("kpis", [row])]
    options = ("--source", "a", "--by", "day", "--from", "2026-03-04", "--tz", "Europe/Berlin", "--expected", "60")

    done = cli("kpis", *options)

    assert done.exit_code == 0
    assert done.stdout == "2026-03-04T12:00:00Z\ta\t60\t0.333333\t\t0\t1e+09\t2\t61\t1\n"
    assert asked(api)[0] | {"limit": ""} == {
        "path": "kpis",
        "granularity": "day",
        "tz": "Europe/Berlin",
        "source": "a",
        "expected_seconds": "60.0",
        "from": "2026-03-04T00:00:00Z",
        "limit": "",
    }

    # All columns as CSV, with those of objects as the API has them; or all of it as JSON.
    (written,) = csv.DictReader(cli("kpis", "--csv").stdout.splitlines())
    assert (written["gaps_count"], written["mean"], written["std_dev"]) == ("2", str(1 / 3), "")
    assert json.loads(written["rejected_by_rule"]) == {"data.empty": 1}
    assert json.loads(cli("kpis", "--json").stdout) == {"kpis": [row]}


def test_measurements_end_at_the_limit(cli: Cli, api: FakeApi) -> None:
    row = {
        "measured_at": "2026-03-04T12:00:00Z",
        "source": "a",
        "mean": 1.0,
        "std_dev": 0.5,
        "sample_count": 2,
        "min": 0.5,
        "max": 1.5,
        "unit": "bar",
        "flags": ["time_stamp.ahead"],
    }
    api.answers = pages("measurements", [row, row], [row, row])

    done = cli("measurements", "-n", "3")

    assert done.stdout == "2026-03-04T12:00:00Z\ta\t1\t0.5\t0.5\t1.5\tbar\t2\ttime_stamp.ahead\n" * 3
    assert [query["limit"] for query in asked(api)] == ["3", "1"]


def test_quality_names_rules_by_their_number(cli: Cli, api: FakeApi) -> None:
    row = {
        "start": "2026-03-04T12:00:00Z",
        "source": "",
        "received": 9,
        "processed": 4,
        "flagged": 1,
        "rejected": 5,
        "open": 4,
        "latency_ms": {"p95": 812.25},
        "rules": [
            {"code": "data.not_numeric", "contract": None, "rule": None, "severity": "error", "events": 3},
            {"code": "value.sentinel", "contract": "halls", "rule": "none", "severity": "error", "events": 2},
            {"code": "value.sentinel", "contract": "halls", "rule": "odd", "severity": "warning", "events": 1},
        ],
    }
    api.answers = pages("quality", [row])

    done = cli("quality", "--together")

    rules = "data.not_numeric 3, value.sentinel (halls: none) 2, value.sentinel (halls: odd) 1"
    assert done.stdout == f"2026-03-04T12:00:00Z\t\t9\t4\t1\t5\t4\t812.25\t{rules}\n"
    assert asked(api)[0]["together"] == "true"


def test_one_format_at_a_time(cli: Cli, api: FakeApi) -> None:
    done = cli("quality", "--csv", "--json")

    assert done.exit_code == 2
    assert api.requests == []


def test_archived_months_are_reported_with_what_is_read(cli: Cli, api: FakeApi) -> None:
    several = [
        httpx.Response(200, json={"kpis": [], "archived": ["2019-04"], "cursor": ".0"}),
        httpx.Response(200, json={"kpis": [], "archived": ["2019-04", "2019-06"]}),
    ]
    api.answers = [
        *several,
        *several,
        httpx.Response(200, json={"measurements": [], "archived": ["2019-05"]}),
        *pages("measurements", []),
    ]

    done = cli("kpis", "--by", "minute", "--from", "2019-04-01")
    assert (done.stdout, done.exit_code) == ("", 0)
    assert "measurements in months from 2019-04 to 2019-06 (dropzone archive lists them) are archived" in done.stderr
    done = cli("kpis", "--by", "minute", "--from", "2019-04-01", "--json")
    assert (json.loads(done.stdout), done.stderr) == ({"kpis": [], "archived": ["2019-04", "2019-06"]}, "")

    assert "measurements in 2019-05 are archived" in cli("measurements", "--csv").stderr
    assert "archived" not in cli("measurements").stderr


def test_archived_months_are_listed(cli: Cli, api: FakeApi) -> None:
    row = {"measured_at": "2019-07-01T00:00:00Z"}
    kept = {"measurements": [row], "archived": ["2019-04", "2019-05"], "cursor": "a.b"}
    api.answers = [httpx.Response(200, json=kept), httpx.Response(200, json=kept), *pages("measurements", [])]

    done = cli("archive", "--from", "2019-04-01", "--to", "2019-08-01")
    assert (done.stdout.splitlines(), done.exit_code) == (["2019-04", "2019-05"], 0)
    assert json.loads(cli("archive", "--json").stdout) == {"archived": ["2019-04", "2019-05"]}
    assert cli("archive").stdout == ""
    # One page, whatever it holds, of the whole range.
    first, second, _ = asked(api)
    assert first == {"path": "measurements", "from": "2019-04-01T00:00:00Z", "to": "2019-08-01T00:00:00Z", "limit": "1"}
    assert second == {"path": "measurements", "limit": "1"}
