"""What a contract would do: in words, on objects of bronze, and one that is proposed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dropzone.domain.body import JSON
from dropzone.domain.contracts import Contract
from dropzone.domain.identifiers import earliest_raw_id
from dropzone_contracts.checking import check, in_words
from dropzone_contracts.document import ContractError, Document
from dropzone_contracts.proposal import propose
from dropzone_contracts.translate import translate
from dropzone_contracts.trial import SAMPLES, Trial
from support.contracts import ARRIVED, EVENT
from support.documents import PROJECT
from support.examples import examples

DEFAULT = (PROJECT / "contracts/default.odcs.yaml").read_text(encoding="utf-8")
HALL = """\
apiVersion: v3.1.0
kind: DataContract
id: hall
version: 2.0.0
status: active
customProperties:
  - {property: sources, value: ["hall-3/*"]}
schema:
  - name: events
    logicalType: object
    properties:
      - name: data
        logicalType: array
        description: air temperature
        quality:
          - id: noisy
            type: custom
            engine: dropzone
            implementation: {rule: spread, limit: 5}
            severity: warning
        items: {name: sample, logicalType: number, logicalTypeOptions: {maximum: 60}}
"""
SENT = HALL.replace('  - {property: sources, value: ["hall-3/*"]}', "  - {property: sources, value: []}")


# ---- in words --------------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_reported_with_file_and_line() -> None:
    files = {
        "one.yaml": HALL.replace("maximum: 60", "maximum: much").encode(),
        "two.yaml": HALL.replace("rule: spread", "rule: smell").encode(),
    }

    found = check(files)

    assert [finding.partition(": ")[0] for finding in found] == ["one.yaml:21", "two.yaml:19"]


def test_files_are_checked_beside_each_other() -> None:
    assert check({"one.yaml": HALL.encode(), "two.yaml": HALL.replace("id: hall", "id: hall-b").encode()}) != []
    assert check({"one.yaml": HALL.encode(), "two.yaml": HALL.encode()}) != []
    draft = HALL.replace("id: hall", "id: hall-b").replace("active", "draft")
    assert check({"one.yaml": HALL.encode(), "two.yaml": draft.encode()}) == []


def test_a_contract_in_words() -> None:
    assert in_words("hall.yaml", HALL.encode()) == [
        "hall@2.0.0",
        "applies to the sources hall-3/*",
        "flags by noisy (spread: limit 5.0)",
        "rejects by maximum (maximum: limit 60.0): air temperature",
    ]
    assert in_words("default.yaml", DEFAULT.encode())[1] == "applies to every source that no other contract names"
    telegraf = (PROJECT / "contracts/telegraf.odcs.yaml").read_bytes()
    assert in_words("telegraf.yaml", telegraf)[1:] == [
        "finds events in bodies sent to POST /ingest/telegraf",
        "flags by clock-ahead (ahead: limit PT1H): the clock of the sender is probably wrong",
    ]
    bare = f"{HALL.partition('schema:')[0]}schema: [{{name: events, logicalType: object}}]\n"
    assert in_words("bare.yaml", bare.encode())[2] == "adds no rules to the basic ones"
    assert in_words("x", HALL.replace("active", "draft").encode())[0].startswith("hall@2.0.0 is draft")
    assert in_words("x", SENT.encode())[1] == "applies to events that are sent to POST /ingest/hall"


# ---- trials ----------------------------------------------------------------------------------------------------------


def add(trial: Trial, *events: Mapping[str, Any], contract: str = "", number: int = 0) -> str:
    raw_id = earliest_raw_id(ARRIVED + timedelta(seconds=number))
    body = json.dumps([{**EVENT, **event} for event in events]).encode()
    trial.add(raw_id, body, content_type=JSON, contract=contract)
    return str(raw_id)


def test_a_new_contract_is_tried_beside_the_deployed_ones() -> None:
    # GIVEN a deployment without the contract, which is a draft
    trial = Trial({"default": DEFAULT}, {"hall.yaml": HALL.replace("active", "draft").encode()})

    # WHEN events keep it, break a rule that rejects, and one that flags; and others are not its own
    first = add(trial, {"data": [20]}, {"data": [61]}, {"data": [10, 50]})
    add(trial, {"source": "elsewhere", "data": [99]}, {"data": []}, number=1)

    # THEN just those would change
    report = trial.report()
    assert (report["objects"], report["events"]) == (2, 5)
    assert report["changes"] == {"same": 3, "now_rejected": 1, "other_flags": 1}
    sample = {"raw_id": first, "source": "hall-3/thermometer-7"}
    assert report["rules"] == [
        {
            "rule": "maximum",
            "code": "value.above_maximum",
            "change": "now rejects",
            "events": 1,
            "samples": [
                sample
                | {"item": 1, "message": "data holds 61.0 at index 0, above the maximum of 60.0: air temperature"}
            ],
        },
        {
            "rule": "noisy",
            "code": "value.spread",
            "change": "now flags",
            "events": 1,
            "samples": [
                sample | {"item": 2, "message": "data has a standard deviation of 20, above the maximum of 5.0"}
            ],
        },
    ]


def test_a_changed_contract_takes_the_place_of_its_deployed_version() -> None:
    trial = Trial({"default": DEFAULT, "hall": HALL}, {"x.yaml": HALL.replace("60", "70").encode()})

    for number in range(SAMPLES + 2):
        add(trial, {"data": [61]}, {"data": [71]}, number=number)

    report = trial.report()
    assert report["changes"] == {"now_processed": SAMPLES + 2, "other_reasons": SAMPLES + 2}
    (rule,) = report["rules"]
    assert (rule["change"], rule["events"], len(rule["samples"])) == ("no longer rejects", SAMPLES + 2, SAMPLES)


def test_the_same_contract_changes_nothing() -> None:
    trial = Trial({"default": DEFAULT, "hall": HALL}, {"x.yaml": HALL.replace("2.0.0", "2.0.1").encode()})
    add(trial, {"data": [61]}, {"data": [20]}, {"data": [10, 50]})

    assert trial.report()["changes"] == {"same": 3}
    assert trial.report()["rules"] == []


def test_another_mapping_finds_other_events() -> None:
    mapping = """\
      - {name: time_stamp, logicalType: timestamp, transformLogic: time_stamp}
      - {name: source, logicalType: string, transformLogic: source}
"""
    mapped = SENT.replace("    properties:\n", f"    properties:\n{mapping}").replace(
        "description: air temperature", "transformLogic: data"
    )
    one = mapped.replace(
        "    logicalType: object\n",
        "    logicalType: object\n    customProperties: [{property: events, value: '[0]'}]\n",
        1,
    )
    trial = Trial({"default": DEFAULT, "hall": mapped}, {"x.yaml": one.encode()})

    add(trial, {"data": [20]}, {"data": [61]}, contract="hall")

    assert trial.report()["changes"] == {"same": 1, "gone": 1}
    assert [(rule["change"], rule["events"]) for rule in trial.report()["rules"]] == [("no longer rejects", 1)]


def test_a_source_limits_what_is_reported() -> None:
    trial = Trial({"default": DEFAULT}, {"x.yaml": HALL.encode()}, source="hall-3/b")

    add(trial, {"data": [61]}, {"source": "hall-3/b", "data": [61]}, {"source": "hall-3/b", "data": [1]})

    assert trial.report()["changes"] == {"now_rejected": 1, "same": 1}
    assert trial.report()["events"] == 2


def test_what_can_t_be_deployed_can_t_be_tried() -> None:
    with pytest.raises(ContractError, match="equally specific"):
        Trial({"default": DEFAULT, "hall": HALL}, {"x.yaml": HALL.replace("id: hall", "id: hall-b").encode()})
    with pytest.raises(ContractError, match=r"x\.yaml:1: "):
        Trial({"default": DEFAULT}, {"x.yaml": b"[]"})


# ---- proposals -------------------------------------------------------------------------------------------------------


def measured(*values: float, unit: str = "°C", source: str = "hall-3/thermometer-7") -> str:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return propose(
        source,
        [
            {"measured_at": (begin + timedelta(minutes=n)).isoformat(), "min": v, "max": v, "unit": unit}
            for n, v in enumerate(values)
        ],
    )


def proposed(text: str) -> Contract:
    assert check({"proposed.yaml": text.encode()}) == []
    return translate(Document("proposed.yaml", text.encode()))


def limits(contract: Contract) -> dict[str, Any]:
    rules = [rule.model_dump(mode="json") for rule in contract.rules]
    return {rule["rule"]: rule.get("limit", rule.get("allowed")) for rule in rules}


def test_a_proposal_from_what_was_measured() -> None:
    # Two sensors' faults among a thousand do not count.
    contract = proposed(measured(*([20, 21, 22, 23] * 250), -9999, 9999))

    assert (contract.id, contract.sources) == ("hall-3-thermometer-7", ("hall-3/thermometer-7",))
    assert limits(contract) == {"ahead": "PT1H", "minimum": 17.0, "maximum": 26.0, "units": ["°C"]}
    assert {rule.severity for rule in contract.rules} == {"warning"}


def test_a_proposal_states_the_usual_interval() -> None:
    assert yaml.safe_load(measured(*range(10)))["slaProperties"] == [
        {"property": "frequency", "value": 60, "unit": "s"}
    ]
    assert "slaProperties" not in yaml.safe_load(measured(1))


def test_a_proposal_for_a_source_without_a_unit_has_no_rule_of_units() -> None:
    assert limits(proposed(measured(1, 2, unit=""))).keys() == {"ahead", "minimum", "maximum"}


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=examples(50))
@given(
    st.lists(FINITE, min_size=1, max_size=30),
    st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable()),
    st.sampled_from(["", "°C", "1", "null", "- a: b"]),
)
def test_every_proposal_can_be_used_and_holds_for_most_of_what_it_is_made_of(
    values: list[float], source: str, unit: str
) -> None:
    contract = proposed(measured(*values, source=source, unit=unit))

    found = limits(contract)
    assert contract.sources == (source,)
    middle = sorted(values)[len(values) // 2]
    assert found["minimum"] <= middle <= found["maximum"]
    assert found.get("units", [""]) == [unit]
