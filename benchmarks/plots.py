"""`python -m benchmarks.plots` draws docs/images/performance.svg from the results; it needs the group `plots`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.report import RESULTS

_TARGET = Path(__file__).parents[1] / "docs" / "images" / "performance.svg"

_OURS = {"color": "#1f5fa8", "marker": "o", "label": "Dropzone"}
_LIMIT = {"color": "#8a8a8a", "linestyle": "--"}

Found = dict[str, Any]


def main() -> None:
    """Draw three panels: time per event against the size of the event, of the tables and of the batch."""
    subjects: dict[str, list[Found]] = json.loads(RESULTS.read_text(encoding="utf-8"))["subjects"]
    mpl.rcParams.update({"svg.hashsalt": "dropzone", "svg.fonttype": "none", "font.size": 9, "axes.grid": True})
    figure, (payload, tables, batch) = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")

    validated = _plotted(subjects["validate"])
    _panel(
        payload, "Validating, by values in an event", "values", validated, [1e6 / found["ours"] for found in validated]
    )
    payload.plot(
        _at(validated), [1e6 / found["reference"] for found in validated], **_LIMIT, label="the least that can do it"
    )
    payload.set(xscale="log", yscale="log")

    stored = _plotted(subjects["store"])
    _panel(tables, "Storing 1,000 events, by rows there", "rows in each table", stored, _ours(stored))
    tables.plot(_at(stored), [found["reference"] for found in stored], **_LIMIT, label="tables that stay small")
    tables.set_ylim(bottom=0)

    grown = _plotted(subjects["growth"])
    _panel(batch, "Process, by events in a batch", "events", grown, _ours(grown))
    batch.axhline(_least(subjects), **_LIMIT, label="read by bare sockets, least validated,\none table written")
    batch.set(xscale="log", yscale="log")

    for axes in (payload, tables, batch):
        axes.legend(frameon=False)
    figure.savefig(_TARGET, metadata={"Date": None})


def _panel(axes: Any, title: str, unit: str, found: Sequence[Found], heights: Sequence[float]) -> None:  # noqa: ANN401 - matplotlib carries no types here
    axes.plot(_at(found), heights, **_OURS)
    axes.set(title=title, xlabel=unit, ylabel="µs per event")


def _plotted(found: Sequence[Found]) -> list[Found]:
    return [entry for entry in found if entry["at"] is not None]


def _at(found: Sequence[Found]) -> list[float]:
    return [entry["at"] for entry in found]


def _ours(found: Sequence[Found]) -> list[float]:
    return [entry["ours"] for entry in found]


def _least(subjects: dict[str, list[Found]]) -> float:
    """Microseconds of the references, added up, for an event of a batch of 1,000."""
    rates = [
        _named(subjects["read"], "read, beside bare sockets"),
        _named(subjects["validate"], "validate, 100 floats"),
        _named(subjects["store"], "store, ascending keys"),
    ]
    return sum(1e6 / float(found["reference"]) for found in rates)


def _named(found: Sequence[Found], name: str) -> Found:
    return next(entry for entry in found if entry["name"] == name)


if __name__ == "__main__":
    main()
