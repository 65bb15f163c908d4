"""samconfig.toml: every environment's parameters are the template's, and none breaks a rule."""

import tomllib
from collections.abc import Mapping
from typing import Any

import pytest

from unit.template.intrinsics import broken_rules
from unit.template.loading import PROJECT, Template, defaults
from unit.template.stacks import LOCAL

CONFIG: dict[str, Any] = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
ENVIRONMENTS = sorted(CONFIG.keys() - {"version", "default"})
# `make up` gives the local stack its parameters: most are known only then.
DEPLOYED_BY_SAM = [name for name in ENVIRONMENTS if name != "local"]


def deployment(name: str) -> dict[str, Any]:
    parameters: dict[str, Any] = CONFIG[name]["deploy"]["parameters"]
    return parameters


def overrides(name: str) -> dict[str, str]:
    given = deployment(name).get("parameter_overrides", [])
    pairs = given.split() if isinstance(given, str) else given
    return {key: value.strip("\"'") for key, _, value in (pair.partition("=") for pair in pairs)}


def test_there_are_five() -> None:
    assert ENVIRONMENTS == ["dev", "local", "preview", "prod", "prod-first"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_its_parameters_are_the_template_s(template: Template, name: str) -> None:
    known = template["Parameters"]

    for key, value in overrides(name).items():
        assert key in known
        assert value in map(str, known[key].get("AllowedValues", [value]))
        assert not known[key].get("NoEcho"), "a secret does not stand in a file"


@pytest.mark.parametrize("name", DEPLOYED_BY_SAM)
def test_its_parameters_keep_the_rules(template: Template, name: str) -> None:
    assert broken_rules(template, {**defaults(template), **overrides(name)}) == []


def times(template: Template, given: Mapping[str, str]) -> tuple[int, int, int]:
    """A call of Process, a message's visibility, and its tries."""
    values = {**defaults(template), **given}
    return int(values["ProcessTimeout"]), int(values["QueueVisibilityTimeout"]), int(values["MaxReceiveCount"])


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_message_is_hidden_for_six_calls(template: Template, name: str) -> None:
    # CloudFormation's rules can't multiply.
    call, visibility, _ = times(template, LOCAL if name == "local" else overrides(name))

    assert visibility >= 6 * call


@pytest.mark.parametrize("name", DEPLOYED_BY_SAM)
def test_an_outage_of_six_hours_is_sat_out(template: Template, name: str) -> None:
    _, visibility, tries = times(template, overrides(name))

    assert visibility * tries >= 6 * 3_600


@pytest.mark.parametrize("name", ["dev", "preview"])
def test_dev_and_previews_go_into_a_new_account(name: str) -> None:
    # Such an account may run 10 calls at once, and may reserve none of them.
    values = overrides(name)

    assert values["SweepConcurrency"] == values["QueryConcurrency"] == "0"
    assert int(values["ProcessConcurrency"]) <= 5


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_it_asks_nothing_that_it_could_know(name: str) -> None:
    settings = deployment(name)

    assert settings["stack_name"]
    assert settings["resolve_s3"] is True
    # The second for the nested stack of monitoring.yaml.
    assert settings["capabilities"].split() == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


def test_a_preview_leaves_the_account_as_it_is_and_can_be_deleted() -> None:
    values = overrides("preview")

    assert values["ManageApiGatewayAccount"] == "false"
    assert values["DatabaseDeletionProtection"] == "false"


def test_prod_shows_what_it_would_change_first() -> None:
    assert deployment("prod")["confirm_changeset"] is True


def test_prod_s_database_survives_a_zone_and_a_slip() -> None:
    values = overrides("prod")

    assert values["DatabaseMultiAz"] == "true"
    assert values["DatabaseDeletionProtection"] == "true"


def test_prod_s_first_deploy_is_prod_but_for_what_would_stop_its_rollback() -> None:
    first, then = deployment("prod-first"), deployment("prod")

    assert "DatabaseDeletionProtection" not in overrides("prod-first")
    assert overrides("prod-first") | {"DatabaseDeletionProtection": "true"} == overrides("prod")
    assert {**first, "parameter_overrides": None} == {**then, "parameter_overrides": None}


def test_environments_share_neither_stack_nor_name() -> None:
    names = [deployment(name)["stack_name"] for name in DEPLOYED_BY_SAM if name != "prod-first"]

    assert len(set(names)) == len(names)
