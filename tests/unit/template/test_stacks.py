"""The template that SAM transforms once for all parameters is what CloudFormation has it transform for each."""

from dataclasses import replace

import pytest

from unit.template.loading import defaults, load_template
from unit.template.stacks import PARAMETERS, Stack, by_sam, deployed, made


@pytest.mark.parametrize(("name", "tracing"), [*((name, "Disabled") for name in PARAMETERS), ("own", "Active")])
def test_sam_makes_the_same_where_it_knows_the_parameters(name: str, tracing: str) -> None:
    parameters = {**defaults(load_template()), **PARAMETERS[name], "Tracing": tracing}

    assert without_hashes(made(by_sam(load_template(), parameters), parameters)) == without_hashes(
        deployed(name, ("Tracing", tracing))
    )


def without_hashes(stack: Stack) -> Stack:
    """The stack without its API's deployment, whose name has a hash of the API's document."""
    resources = {name: entry for name, entry in stack.resources.items() if not name.startswith("ApiDeployment")}
    stage = {**stack.one("Apiv1Stage")}
    assert stage.pop("DeploymentId").startswith("ApiDeployment")
    return replace(stack, resources={**resources, "Apiv1Stage": stage})
