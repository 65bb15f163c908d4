"""The API: a key for everything that reads or writes, every byte passed on, and the outputs that clients need."""

from typing import Any

from unit.template.functions import functions
from unit.template.loading import Template, resources

OUTPUTS = {"ApiUrl", "ApiId", "ApiStage", "ApiKeyId", "BronzeBucketName", "QueueUrl", "DeadLetterQueueUrl"}


def body(cloudformation: Template) -> dict[str, Any]:
    [api] = resources(cloudformation, "AWS::ApiGateway::RestApi").values()
    document: dict[str, Any] = api["Properties"]["Body"]
    return document


def methods(cloudformation: Template) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, operations in body(cloudformation)["paths"].items()
        for method, operation in operations.items()
    }


def needs_key(operation: dict[str, Any]) -> bool:
    return {"api_key": []} in operation.get("security", [])


def test_a_key_is_needed_wherever_something_is_read_or_written(cloudformation: Template) -> None:
    found = methods(cloudformation)

    assert {("POST", "/ingest"), ("POST", "/process"), ("GET", "/health")} <= found.keys()
    for (method, path), operation in found.items():
        integration = str(operation["x-amazon-apigateway-integration"])
        assert needs_key(operation) != ("${WebFunction.Arn}" in integration), (method, path)
    assert not needs_key(found["GET", "/health"])


def test_what_needs_no_key_can_do_nothing() -> None:
    [web] = [function for function in functions() if function.name == "WebFunction"]

    assert web.statements == []
    assert not [name for name in web.variables if name.startswith(("BRONZE", "DATABASE"))]
    assert {event["Type"] for event in web.properties["Events"].values()} == {"Api"}


def test_the_key_is_one_that_api_gateway_checks(cloudformation: Template) -> None:
    assert body(cloudformation)["components"]["securitySchemes"]["api_key"] == {
        "type": "apiKey",
        "name": "x-api-key",
        "in": "header",
    }


def test_a_key_has_a_plan_for_this_stage(cloudformation: Template) -> None:
    [plan] = resources(cloudformation, "AWS::ApiGateway::UsagePlan")
    [stage] = resources(cloudformation, "AWS::ApiGateway::Stage")
    [link] = resources(cloudformation, "AWS::ApiGateway::UsagePlanKey").values()

    assert cloudformation["Resources"][plan]["Properties"]["ApiStages"] == [
        {"ApiId": {"Ref": "Api"}, "Stage": {"Ref": stage}}
    ]
    assert link["Properties"]["UsagePlanId"] == {"Ref": plan}
    assert link["Properties"]["KeyId"] == {"Ref": "ApiKey"}


def test_there_is_one_stage_and_no_phantom(cloudformation: Template) -> None:
    stages = [entry["Properties"] for entry in resources(cloudformation, "AWS::ApiGateway::Stage").values()]
    [deployment] = resources(cloudformation, "AWS::ApiGateway::Deployment").values()

    assert [stage["StageName"] for stage in stages] == ["v1"]
    assert "StageName" not in deployment["Properties"]


def test_every_body_is_passed_on_byte_for_byte(cloudformation: Template) -> None:
    assert body(cloudformation)["x-amazon-apigateway-binary-media-types"] == ["*/*"]


def test_the_outputs_that_clients_need_are_there(cloudformation: Template) -> None:
    assert cloudformation["Outputs"].keys() >= OUTPUTS


def test_no_output_shows_a_secret(cloudformation: Template) -> None:
    for output in cloudformation["Outputs"].values():
        assert "Password" not in str(output["Value"])
