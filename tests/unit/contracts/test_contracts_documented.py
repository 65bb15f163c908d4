"""docs/contracts.md does what it says, and docs/rules.md is that of the contracts."""

import json
import re
from pathlib import Path
from textwrap import dedent
from typing import Any, get_args

from dropzone.domain.contracts import Rule, contracts_of
from dropzone.domain.outcomes import Measurement, Outcome
from dropzone.domain.validate import Contents
from dropzone_contracts.compiler import compile_documents, compile_folder
from dropzone_contracts.table import table
from support.contracts import ARRIVED

PROJECT = Path(__file__).parents[3]
PAGE = (PROJECT / "docs" / "contracts.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return [dedent(text) for text in re.findall(rf"^ *```{kind}\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)]


def found(outcome: Outcome) -> dict[str, Any]:
    """An outcome as the page shows it."""
    if isinstance(outcome, Measurement):
        return {
            "status": "processed",
            "contract": outcome.contract,
            "measured_at": f"{outcome.measured_at:%FT%TZ}",
            "source": outcome.source,
            "mean": outcome.aggregates.mean,
        }
    [violation] = outcome.violations
    reason = {"code": violation.code, "rule": violation.rule, "message": violation.message}
    return {"status": "rejected", "contract": outcome.contract, **reason}


def test_the_page_leads_from_a_device_s_json_to_outcomes() -> None:
    # GIVEN the contract of the page, beside the default one
    [weather] = blocks("yaml")
    default = (PROJECT / "contracts" / "default.odcs.yaml").read_bytes()
    compiled = compile_documents({"default.odcs.yaml": default, "weather.odcs.yaml": weather.encode()}.items())

    # WHEN the device's JSON is sent to it
    sent, expected = blocks("json")
    contents = Contents(
        sent.encode(), received_at=ARRIVED, contracts=contracts_of(compiled.encode()), contract="weather"
    )

    # THEN the page shows what becomes of it
    assert [found(outcome) for outcome in contents.outcomes()] == json.loads(expected)


def test_the_page_names_every_rule_with_its_arguments() -> None:
    rows = {
        cells[0].strip(" `"): re.findall(r"`(\w+)`", cells[3])
        for line in PAGE.splitlines()
        if line.startswith("| `") and len(cells := line.strip("|").split("|")) == 4
    }
    models, _ = get_args(Rule)
    expected = {
        model.model_fields["rule"].default: {
            name for name in model.model_fields if name not in {"id", "severity", "dimension", "description", "rule"}
        }
        for model in get_args(models)
    }
    assert {rule: set(arguments) for rule, arguments in rows.items()} == expected


def test_the_rules_page_is_that_of_the_contracts() -> None:
    page = (PROJECT / "docs" / "rules.md").read_text(encoding="utf-8")
    compiled = compile_folder(PROJECT / "contracts")
    assert page == table(compiled.contracts, compiled.expectations), "run `make contracts`"
    assert "| `clock-ahead` | `ahead` | warning | timeliness |" in page
