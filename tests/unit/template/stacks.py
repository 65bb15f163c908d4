"""What CloudFormation makes of the template with given parameters: transformed by SAM, conditions resolved.

What refers to a resource that is not made with these parameters is an error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from dropzone_local.stack import _PARAMETERS
from unit.template.intrinsics import Evaluator
from unit.template.loading import Template, defaults, load_template, transformed

OWN_DATABASE: Mapping[str, str] = {}
YOURS_IAM: Mapping[str, str] = {
    "DatabaseHost": "db.example.com",
    "DatabaseSecretArn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:owner",
    "DatabaseResourceId": "db-YOURS",
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
}
YOURS_PASSWORD: Mapping[str, str] = {**YOURS_IAM, "DatabaseResourceId": "", "DatabaseAuth": "password"}
LOCAL: Mapping[str, str] = {**_PARAMETERS, "Architecture": "x86_64"}

PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "own": OWN_DATABASE,
    "yours-iam": YOURS_IAM,
    "yours-password": YOURS_PASSWORD,
    "local": LOCAL,
}
ON_AWS = ["own", "yours-iam", "yours-password"]

READ_BY_SAM = "Tracing"
"""The only parameter by whose value SAM decides what it makes."""

USERS = {
    "ProcessFunction": "dropzone_writer",
    "SweepFunction": "dropzone_writer",
    "ReplayFunction": "dropzone_writer",
    "ArchiveFunction": "dropzone_archiver",
    "QueryFunction": "dropzone_reader",
}
"""Who signs in to the database as whom; Migrate does as the schema's owner."""

IN_THE_NETWORK = {*USERS, "MigrateFunction"}
OUTSIDE = {"IngestFunction", "NotifyFunction", "WebFunction"}


@dataclass(frozen=True, slots=True)
class Stack:
    """One deployed stack."""

    parameters: Mapping[str, str]
    resources: Mapping[str, dict[str, Any]]
    outputs: Mapping[str, dict[str, Any]]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of a type's resources."""
        return {name: entry["Properties"] for name, entry in self.resources.items() if entry["Type"] == kind}

    def one(self, name: str) -> dict[str, Any]:
        """A resource's properties."""
        properties: dict[str, Any] = self.resources[name]["Properties"]
        return properties

    def statements(self, role: str) -> list[dict[str, Any]]:
        """What the policies in a role allow, with actions and resources as lists."""
        policies = self.one(role).get("Policies", [])
        return [
            {**statement, "Action": as_list(statement["Action"]), "Resource": as_list(statement["Resource"])}
            for policy in policies
            for statement in as_list(policy["PolicyDocument"]["Statement"])
        ]

    def rights(self, function: str) -> set[tuple[str, str]]:
        """Each action that a function may do, with its resource."""
        return {
            (action, resource)
            for statement in self.statements(function + "Role")
            if statement["Effect"] == "Allow"
            for action in statement["Action"]
            for resource in statement["Resource"]
        }


@cache
def deployed(name: str = "own", *changes: tuple[str, str]) -> Stack:
    """The stack of a set of parameters, with changes to it, and with what its nested stack makes."""
    parameters = {**defaults(load_template()), **PARAMETERS[name], **dict(changes)}
    return made(_transformed(parameters[READ_BY_SAM]), parameters)


def made(result: Template, parameters: Mapping[str, str]) -> Stack:
    """The stack of what SAM made of the template."""
    evaluator = Evaluator(result, parameters)
    resources = _made(result["Resources"], evaluator)
    for entry in [found["Properties"] for found in resources.values() if found["Type"] == "AWS::CloudFormation::Stack"]:
        nested = load_template(entry["TemplateURL"])
        assert entry["Parameters"].keys() == nested["Parameters"].keys()
        resources |= _made(nested["Resources"], Evaluator(nested, entry["Parameters"]))
    return Stack(parameters, resources, _made(result["Outputs"], evaluator))


@cache
def _transformed(tracing: str) -> Template:
    """What SAM makes of the template without values, for which it takes a third of a second.

    What refers to a parameter stays as it is (test_stacks.py compares), but for the one by which SAM decides.
    """
    template = load_template()
    for parameter in template["Parameters"].values():
        parameter.pop("Default", None)
    return by_sam(template, {READ_BY_SAM: tracing})


def by_sam(template: Template, parameters: Mapping[str, str]) -> Template:
    """What SAM makes of the template in a region."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        return transformed(template, parameters)


def _made(entries: Mapping[str, dict[str, Any]], evaluator: Evaluator) -> dict[str, dict[str, Any]]:
    return {
        name: {key: evaluator.value(value) for key, value in entry.items() if key != "Condition"}
        for name, entry in entries.items()
        if evaluator.holds(entry.get("Condition"))
    }


def as_list(value: Any) -> list[Any]:  # noqa: ANN401 - any value of a template
    return value if isinstance(value, list) else [value]


def leaves(node: Any) -> Iterator[str]:  # noqa: ANN401
    """Every text within a value."""
    if isinstance(node, dict):
        for entry in node.values():
            yield from leaves(entry)
    elif isinstance(node, list):
        for entry in node:
            yield from leaves(entry)
    else:
        yield str(node)
