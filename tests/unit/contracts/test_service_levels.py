"""`slaProperties`: what a contract expects of its sources over time."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dropzone_contracts.checking import check, in_words
from dropzone_contracts.compiler import compile_documents, compile_folder
from dropzone_contracts.document import Document
from dropzone_contracts.service_levels import expectations_of
from dropzone_contracts.table import table

PROJECT = Path(__file__).parents[3]
DEFAULT = (PROJECT / "contracts" / "default.odcs.yaml").read_text(encoding="utf-8")

HALL = """\
apiVersion: v3.1.0
kind: DataContract
id: hall
version: 2.1.0
status: active
customProperties:
  - {property: sources, value: ["hall-3/*"]}
schema:
  - {name: events, logicalType: object}
slaProperties:
  - {property: frequency, value: 1.5, unit: min}
  - {property: latency, value: 2, unit: h, description: the gateway sends hourly}
  - {property: retention, value: 2, unit: y}
  - {property: unchanged, value: 6, unit: hours}
  - {property: rejectedShare, value: 5, unit: "%"}
"""


def stated(text: str) -> dict[str, Any]:
    return expectations_of(Document("hall.odcs.yaml", text.encode())).model_dump()


def test_each_expectation_is_read_in_its_unit() -> None:
    assert stated(HALL) == {
        "id": "hall",
        "version": "2.1.0",
        "interval_seconds": 90,
        "latency_seconds": 7_200,
        "retention_seconds": 2 * 365 * 86_400,
        "unchanged_seconds": 6 * 3_600,
        "rejected_share": 0.05,
    }


def test_nothing_is_expected_where_nothing_is_stated() -> None:
    assert set(stated(HALL.partition("slaProperties")[0]).values()) == {"hall", "2.1.0", None}


@pytest.mark.parametrize(
    ("was", "instead", "expected"),
    [
        (
            "property: latency",
            "property: generalAvailability",
            "12: generalAvailability: is not evaluated; frequency, latency, retention, unchanged, rejectedShare are",
        ),
        ("unit: min", "unit: m", "11: frequency: the unit 'm' is none of s, min, h, d, w, y"),
        ("value: 1.5, unit: min", "value: 1.5", "11: frequency: the unit None is none of s, min, h, d, w, y"),
        ("value: 1.5", "value: '1.5'", "11: frequency: the value '1.5' is not a number"),
        ("value: 1.5", "value: true", "11: frequency: the value True is not a number"),
        ("value: 1.5", "value: 0", "11: frequency: Input should be greater than 0"),
        ("value: 1.5", "value: 1.0e+30", "11: frequency: Input should be less than or equal to 3162240000"),
        ("value: 6, unit: hours", "value: 6, unit: hours, valueExt: 8", "14: unchanged: has a valueExt"),
        ('value: 5, unit: "%"', "value: 5", "15: rejectedShare: Input should be less than 1"),
        ('value: 5, unit: "%"', "value: 5, unit: s", "15: rejectedShare: the unit 's' is neither % nor left out"),
        ("property: latency", "property: frequency", "12: frequency: is stated twice"),
    ],
)
def test_what_is_not_evaluated_is_said_with_its_line(was: str, instead: str, expected: str) -> None:
    assert was in HALL

    [finding] = check({"hall.odcs.yaml": HALL.replace(was, instead).encode()})

    assert finding.startswith(f"hall.odcs.yaml:{expected}")


def test_a_contract_in_words_says_what_it_expects() -> None:
    assert in_words("hall.odcs.yaml", HALL.encode())[-5:] == [
        "expects an event every 1.5 minutes: a source is late after 1.5 times that, and silent after 2.5",
        "expects measurements to arrive within 2 hours",
        "expects another value within 6 hours, or the source is stuck",
        "states that measurements are kept for 730 days: informative, nothing is deleted",
        "expects at most 0.05 of a day's events to be rejected",
    ]


def test_the_document_s_example_and_table_are_what_is_evaluated() -> None:
    section = (
        (PROJECT / "docs" / "contracts.md").read_text(encoding="utf-8").partition("## Expectations over time\n")[2]
    )
    block = section.partition("    slaProperties:\n")[2].partition("\n\n")[0]
    entries = "\n".join(line[4:] for line in block.splitlines())

    found = stated(f"{HALL.partition('slaProperties')[0]}slaProperties:\n{entries}\n")

    assert found == {
        "id": "hall",
        "version": "2.1.0",
        "interval_seconds": 60,
        "latency_seconds": 600,
        "unchanged_seconds": 6 * 3_600,
        "rejected_share": 0.05,
        "retention_seconds": 2 * 365 * 86_400,
    }
    rows = re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE)
    assert rows == ["frequency", "latency", "unchanged", "rejectedShare", "retention"]


def test_expectations_are_compiled_apart_from_what_decides(tmp_path: Path) -> None:
    # GIVEN two folders of which one expects something
    with_it, without = tmp_path / "with", tmp_path / "without"
    for folder, text in ((with_it, HALL), (without, HALL.partition("slaProperties")[0])):
        folder.mkdir()
        (folder / "default.odcs.yaml").write_text(DEFAULT, encoding="utf-8")
        (folder / "hall.odcs.yaml").write_text(text, encoding="utf-8")

    # THEN the ruleset is that of the rules alone: a replay would change nothing
    rules = [
        compile_documents((file.name, file.read_bytes()) for file in sorted(folder.glob("*")))
        for folder in (with_it, without)
    ]
    assert rules[0] == rules[1]
    expectations = compile_folder(with_it).expectations
    assert [contract["interval_seconds"] for contract in json.loads(expectations)] == [None, 90]
    assert "\n- expects measurements to arrive within 2 hours\n" in table(rules[0], expectations)
