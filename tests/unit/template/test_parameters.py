"""The parameters: what the rules refuse, the settings refuse as well; what they let pass, the settings take."""

from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from unit.template.functions import Function, functions
from unit.template.intrinsics import Evaluator, broken_rules
from unit.template.loading import Template, defaults, load_template

AWS: dict[str, str] = {"DatabaseHost": "db.example.com", "DatabaseSecretArn": "arn:aws:secretsmanager:eu:1:secret:s"}
LOCAL: dict[str, str] = {
    "DatabaseHost": "127.0.0.1",
    "DatabaseAuth": "password",
    "DatabasePassword": "HIDDEN",
    "DatabaseTls": "disable",
}
WITH_SETTINGS = [function for function in functions() if function.settings]


def environment(function: Function, parameters: dict[str, str]) -> dict[str, str]:
    """The variables that Lambda would give the function."""
    evaluator = Evaluator(load_template(), parameters)
    variables = {name: str(evaluator.value(value)) for name, value in function.variables.items()}
    return variables | {"AWS_REGION": "eu-central-1"}


def settings_take(function: Function, parameters: dict[str, str]) -> bool:
    assert function.settings is not None
    try:
        function.settings.from_environment(environment(function, parameters))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("function", WITH_SETTINGS, ids=lambda function: function.name)
@pytest.mark.parametrize("given", [AWS, LOCAL, AWS | {"DatabaseAuth": "password"}], ids=["AWS", "local", "secret"])
def test_the_settings_take_the_template_s_variables(
    function: Function, given: dict[str, str], template: Template
) -> None:
    parameters = defaults(template) | given

    assert broken_rules(template, parameters) == []
    assert settings_take(function, parameters)


@pytest.mark.parametrize(
    ("host", "tls", "password"),
    list(
        product(
            ["127.0.0.1", "::1", "localhost", "db.example.com", "10.0.0.1", "localhost.example.com", "0.0.0.0"],  # noqa: S104
            ["verify-full", "disable"],
            ["", "HIDDEN"],
        )
    ),
)
def test_plain_text_and_passwords_stay_on_this_machine(template: Template, host: str, tls: str, password: str) -> None:
    on_this_machine = host in {"127.0.0.1", "::1", "localhost"}
    given = {"DatabaseHost": host, "DatabaseTls": tls, "DatabasePassword": password, "DatabaseSecretArn": "arn:s"}
    parameters = defaults(template) | given
    allowed = on_this_machine or (tls == "verify-full" and not password)

    assert (broken_rules(template, parameters) == []) is allowed
    for function in WITH_SETTINGS:
        if "DATABASE_HOST" in function.variables:
            assert settings_take(function, parameters) is allowed


def test_the_rules_say_what_to_do(template: Template) -> None:
    parameters = defaults(template) | {"DatabaseHost": "db.example.com", "DatabasePassword": "x"}

    [reason] = broken_rules(template, parameters)
    assert "DatabaseSecretArn" in reason


def test_secrets_are_not_shown(template: Template) -> None:
    hidden = [name for name, entry in template["Parameters"].items() if entry.get("NoEcho")]

    assert hidden == [name for name in template["Parameters"] if name.endswith("Password")]


def test_tls_is_verified_and_tokens_are_used_by_default(template: Template) -> None:
    values: dict[str, Any] = defaults(template)

    assert values["DatabaseTls"] == "verify-full"
    assert values["DatabaseAuth"] == "iam"
    assert values["Architecture"] == "arm64"


def test_the_local_build_is_for_this_kind_of_machine_by_configuration(template: Template) -> None:
    assert template["Parameters"]["Architecture"]["AllowedValues"] == ["arm64", "x86_64"]
