"""Each function's code, settings, rights and logs are what the template says."""

import pytest

from dropzone.settings import MAX_BODY_BYTES
from dropzone_migrate.migrations import head
from unit.template.functions import SET_ELSEWHERE, Function, functions
from unit.template.loading import Template, resources

API_GATEWAY_SECONDS = 29
LAMBDA_REQUEST_BYTES = 6 * 1024 * 1024

FUNCTIONS = pytest.mark.parametrize("function", functions(), ids=lambda function: function.name)


@FUNCTIONS
def test_its_handler_is_there(function: Function) -> None:
    assert callable(function.handler)


@FUNCTIONS
def test_its_variables_are_its_settings(function: Function) -> None:
    names = set(function.settings.model_fields) if function.settings else set()

    assert function.variables.keys() == {name.upper() for name in names - SET_ELSEWHERE}


def test_one_architecture_for_all_by_parameter(template: Template, cloudformation: Template) -> None:
    layers = resources(template, "AWS::Serverless::LayerVersion")
    built = resources(cloudformation, "AWS::Lambda::Function")

    assert all(entry["Properties"]["Architectures"] == [{"Ref": "Architecture"}] for entry in built.values())
    assert len(built) == len(functions())
    assert all(entry["Properties"]["CompatibleArchitectures"] == [{"Ref": "Architecture"}] for entry in layers.values())
    assert all(entry["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"} for entry in layers.values())


def test_every_function_runs_the_same_python(cloudformation: Template) -> None:
    runtimes = {entry["Properties"]["Runtime"] for entry in resources(cloudformation, "AWS::Lambda::Function").values()}

    assert runtimes == {"python3.13"}


def test_the_migration_carries_the_newest_revision(template: Template) -> None:
    assert template["Resources"]["Migration"]["Properties"]["Revision"] == head()


def test_the_largest_body_fits_a_request_of_lambda(template: Template) -> None:
    parameter = template["Parameters"]["MaxBodyBytes"]

    assert parameter["Default"] == 4 * 1024 * 1024
    assert parameter["MaxValue"] * 4 // 3 <= LAMBDA_REQUEST_BYTES
    assert parameter["MaxValue"] == MAX_BODY_BYTES
