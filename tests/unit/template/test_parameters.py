"""The parameters: what the rules refuse, the settings refuse as well; what they let pass, the settings take."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from dropzone.settings import SettingsError
from unit.template.functions import Function, functions
from unit.template.intrinsics import Evaluator, broken_rules
from unit.template.loading import Template, defaults, load_template
from unit.template.stacks import PARAMETERS, YOURS_PASSWORD

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
WITH_SETTINGS = [function for function in functions() if function.settings]


def environment(function: Function, parameters: dict[str, str]) -> dict[str, str]:
    """The variables that Lambda would give the function."""
    evaluator = Evaluator(load_template(), parameters)
    variables = {name: str(evaluator.value(value)) for name, value in function.variables.items()}
    return variables | of_the_machine(function, parameters) | {"AWS_REGION": "eu-central-1"}


def of_the_machine(function: Function, parameters: dict[str, str]) -> dict[str, str]:
    """What the local stack has functions inherit."""
    is_local = parameters["DatabaseHost"] in LOOPBACK and "DATABASE_HOST" in function.variables
    return {"DATABASE_PASSWORD": "HIDDEN"} if is_local else {}


def settings_take(function: Function, parameters: dict[str, str]) -> bool:
    assert function.settings is not None
    try:
        function.settings.from_environment(environment(function, parameters))
    except SettingsError:
        return False
    return True


@pytest.mark.parametrize("function", WITH_SETTINGS, ids=lambda function: function.name)
@pytest.mark.parametrize("name", PARAMETERS)
def test_the_settings_take_the_template_s_variables(function: Function, name: str, template: Template) -> None:
    parameters = {**defaults(template), **PARAMETERS[name]}

    assert PARAMETERS[name].keys() <= template["Parameters"].keys()
    assert broken_rules(template, parameters) == []
    assert settings_take(function, parameters)


@pytest.mark.parametrize(
    ("host", "tls", "secret"),
    list(
        product(
            [*sorted(LOOPBACK), "db.example.com", "10.0.0.1", "localhost.example.com", "0.0.0.0"],  # noqa: S104
            ["verify-full", "disable"],
            ["", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:owner"],
        )
    ),
)
def test_plain_text_and_passwords_stay_on_this_machine(template: Template, host: str, tls: str, secret: str) -> None:
    given = {"DatabaseHost": host, "DatabaseTls": tls, "DatabaseSecretArn": secret}
    parameters = {**defaults(template), **YOURS_PASSWORD, **given}
    allowed = host in LOOPBACK or bool(tls == "verify-full" and secret)

    assert (broken_rules(template, parameters) == []) is allowed
    for function in WITH_SETTINGS:
        if "DATABASE_HOST" in function.variables:
            assert settings_take(function, parameters) is allowed


@pytest.mark.parametrize(
    ("name", "change", "remedy"),
    [
        ("yours-iam", {"DatabaseTls": "disable"}, "loopback"),
        ("yours-password", {"DatabaseSecretArn": ""}, "DatabaseSecretArn"),
        ("yours-iam", {"DatabaseResourceId": ""}, "DatabaseResourceId"),
        ("yours-iam", {"DatabaseSnapshot": "before"}, "DatabaseHost"),
        ("own", {"DatabaseSnapshot": "before", "DatabaseKmsKeyArn": "arn:aws:kms:…"}, "copy-db-snapshot"),
        ("own", {"DatabaseAuth": "password"}, "DatabaseHost"),
        ("own", {"DatabaseSecretArn": "arn:s"}, "DatabaseHost"),
        ("own", {"DatabaseTls": "disable"}, "loopback"),
        ("own", {"BatchWindow": "0"}, "BatchWindow"),
        ("local", {"BatchSize": "11"}, "BatchWindow"),
        ("own", {"SweepConcurrency": "10"}, "SweepConcurrency"),
        ("yours-iam", {"SecurityGroupIds": ""}, "SecurityGroupIds"),
        ("yours-iam", {"SubnetIds": ""}, "SubnetIds"),
        ("own", {"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}, "DatabaseHost"),
        ("own", {"AvailabilityZoneA": "eu-central-1a"}, "AvailabilityZoneB"),
        ("own", {"AvailabilityZoneA": "eu-central-1a", "AvailabilityZoneB": "eu-central-1a"}, "two zones"),
        ("own", {"DomainName": "events.example.com"}, "CertificateArn"),
        ("own", {"HostedZoneId": "Z1"}, "DomainName"),
        ("own", {"DatabaseSecretKeyArn": "arn:aws:kms:x:1:key/y"}, "DatabaseSecretArn"),
        ("own", {"QueryConcurrency": "50"}, "QueryConcurrency"),
        ("own", {"ProcessConcurrency": "100"}, "DatabaseInstanceClass"),
    ],
)
def test_the_rules_say_what_to_do(template: Template, name: str, change: dict[str, str], remedy: str) -> None:
    [reason] = broken_rules(template, {**defaults(template), **PARAMETERS[name], **change})

    assert remedy in reason


def test_every_parameter_says_what_it_means(template: Template) -> None:
    short = [name for name, entry in template["Parameters"].items() if len(entry.get("Description", "").split()) < 5]

    assert short == []


def test_a_visibility_of_less_than_six_calls_is_refused(template: Template) -> None:
    allowed = {
        name: entry["AllowedValues"] for name, entry in template["Parameters"].items() if "AllowedValues" in entry
    }

    for timeout, visibility in product(allowed["ProcessTimeout"], allowed["QueueVisibilityTimeout"]):
        given = {"ProcessTimeout": str(timeout), "QueueVisibilityTimeout": str(visibility)}
        broken = broken_rules(template, {**defaults(template), **given})
        assert (broken == []) is (visibility >= 6 * timeout), given
        assert all("QueueVisibilityTimeout" in reason for reason in broken)


def test_storage_without_room_to_grow_is_refused(template: Template) -> None:
    allowed = {
        name: entry["AllowedValues"] for name, entry in template["Parameters"].items() if "AllowedValues" in entry
    }

    for storage, most in product(allowed["DatabaseStorage"], allowed["DatabaseMaxStorage"]):
        given = {"DatabaseStorage": str(storage), "DatabaseMaxStorage": str(most)}
        broken = broken_rules(template, {**defaults(template), **given})
        assert (broken == []) is (most >= 1.1 * storage), given


def test_every_parameter_is_in_a_group_of_the_console_and_is_used(template: Template) -> None:
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    used = {name for section in ("Conditions", "Globals", "Resources") for name in _refs(template[section])}

    assert sorted(grouped) == sorted(template["Parameters"])
    assert template["Parameters"].keys() - used == set()


def _refs(node: object) -> Iterator[str]:
    """Every name in a Ref or a Sub."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                yield value
            elif key == "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                yield from re.findall(r"\$\{(\w+)\}", text)
            yield from _refs(value)
    elif isinstance(node, list):
        for entry in node:
            yield from _refs(entry)


def test_no_parameter_is_a_secret_so_every_question_of_a_guided_deploy_has_a_default(template: Template) -> None:
    # SAM does not take Enter for a hidden answer.
    assert not [name for name, entry in template["Parameters"].items() if entry.get("NoEcho")]
    assert not [name for name, entry in template["Parameters"].items() if "Default" not in entry]


def test_tls_is_verified_and_tokens_are_used_by_default(template: Template) -> None:
    values: dict[str, Any] = defaults(template)

    assert values["DatabaseTls"] == "verify-full"
    assert values["DatabaseAuth"] == "iam"
    assert values["Architecture"] == "arm64"
