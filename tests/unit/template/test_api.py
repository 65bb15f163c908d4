"""The API: a key for everything that reads or writes, every byte passed on, and the outputs that clients need."""

import json
import re
from itertools import chain
from typing import Any

import pytest

from dropzone.api import problems
from dropzone.api.problems import ProblemType
from dropzone_openapi import gateway
from dropzone_openapi.build import TARGET
from unit.template.functions import functions
from unit.template.loading import Template, defaults, resources, transformed
from unit.template.stacks import PARAMETERS, deployed

# What a log line may say of a request: of its key, the identifier alone.
LOGGED = {
    "$context.requestId",
    "$context.requestTimeEpoch",
    "$context.httpMethod",
    "$context.resourcePath",
    "$context.status",
    "$context.identity.sourceIp",
    "$context.identity.apiKeyId",
    "$context.responseLength",
    "$context.responseLatency",
    "$context.error.responseType",
}
TOLD = ("403", "413", "429", "503", "504")
"""The statuses that API Gateway answers with itself, and the document has."""
OUTPUTS = {
    "ApiUrl",
    "ApiId",
    "ApiStage",
    "ApiKeyId",
    "UsagePlanId",
    "BronzeBucketName",
    "QueueUrl",
    "DeadLetterQueueUrl",
    "ReplayFunctionName",
    "ReplayMachineArn",
}


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


def test_a_page_of_another_origin_may_ask_before_whatever_needs_a_key(cloudformation: Template) -> None:
    # x-api-key makes a browser ask first, which it does without the key.
    found = methods(cloudformation)
    keyed = {path for (_, path), operation in found.items() if needs_key(operation)}

    assert {path for method, path in found if method == "OPTIONS"} == keyed
    assert {"/ingest", "/ingest/{id}", "/process", "/rejections"} <= keyed


def test_what_answers_with_a_key_knows_the_origin() -> None:
    answering = [
        function
        for function in functions()
        if any(event["Type"] == "Api" for event in function.properties.get("Events", {}).values())
    ]

    assert {function.name for function in answering} >= {"IngestFunction", "SweepFunction", "QueryFunction"}
    for function in answering:
        assert function.variables["CORS_ORIGIN"] == {"Ref": "CorsOrigin"}


def gateway_responses(cloudformation: Template) -> dict[str, dict[str, Any]]:
    answers: dict[str, dict[str, Any]] = body(cloudformation)["x-amazon-apigateway-gateway-responses"]
    return answers


def test_a_page_of_another_origin_may_read_when_to_try_again(cloudformation: Template) -> None:
    # Beside a few that are always readable, a page sees the headers alone that are named here.
    for name, response in gateway_responses(cloudformation).items():
        headers = response["responseParameters"]
        assert ("gatewayresponse.header.Access-Control-Expose-Headers" in headers) is (
            "gatewayresponse.header.Retry-After" in headers
        ), name


def test_the_document_says_what_api_gateway_answers_itself(cloudformation: Template) -> None:
    found = [
        json.loads(response["responseTemplates"]["application/json"])
        for response in gateway_responses(cloudformation).values()
    ]
    answers = {(problem["type"], problem["status"], problem["detail"]) for problem in found}

    for kind in (gateway.FORBIDDEN, *chain.from_iterable(gateway.OWN.values())):
        assert (kind.type, kind.status.value, kind.detail) in answers


def test_the_document_s_examples_are_what_is_answered(cloudformation: Template) -> None:
    # GIVEN whatever API Gateway answers itself, and what a function answers with these statuses
    own = [
        json.loads(response["responseTemplates"]["application/json"])
        for response in gateway_responses(cloudformation).values()
    ]
    answered = {(problem["type"], problem["detail"]) for problem in own}
    answered |= {
        (kind.type, kind.detail.format(reason=kind.example))
        for kind in vars(problems).values()
        if isinstance(kind, ProblemType)
    }
    document = json.loads(TARGET.read_text(encoding="utf-8"))
    found: dict[str, dict[tuple[str, str], list[dict[str, Any]]]] = {status: {} for status in TOLD}

    for path, item in document["paths"].items():
        for method, operation in item.items():
            for status in found.keys() & operation["responses"].keys():
                response = operation["responses"][status]
                if reference := response.get("$ref"):
                    response = document["components"]["responses"][reference.rpartition("/")[2]]
                assert ("Retry-After" in response.get("headers", {})) == (status >= "429"), (method, path, status)
                examples = response["content"]["application/problem+json"]["examples"].values()
                found[status][method, path] = [example["value"] for example in examples]
            # AND a key gets the scope that this very operation needs
            if scopes := operation.get("x-scopes"):
                [detail] = [
                    each["detail"] for each in found["403"][method, path] if each["type"].endswith(":scope-missing")
                ]
                assert detail.startswith(f"This call needs the scope {' or '.join(scopes)}; this key has: ")
                assert detail.rpartition(": ")[2].removesuffix(".") not in scopes

    # THEN each example is one of them, and each operation has what API Gateway may answer in its place
    for status, of in found.items():
        for examples in of.values():
            assert {
                (each["type"], each["detail"]) for each in examples if "scope-missing" not in each["type"]
            } <= answered
            assert {int(status)} == {each["status"] for each in examples}
    operations = {(method, path): each for path, item in document["paths"].items() for method, each in item.items()}
    assert found["429"].keys() == found["503"].keys() == found["504"].keys() == operations.keys()
    assert found["413"].keys() == {name for name, each in operations.items() if "requestBody" in each}
    for status, kinds in gateway.OWN.items():
        for (method, path), examples in found[status].items():
            needed = {
                kind.detail for kind in kinds if operations[method, path]["security"] or kind.name != "quota-exceeded"
            }
            assert needed <= {each["detail"] for each in examples}, (status, method, path)
    assert all("quota" not in each["detail"] for each in found["429"]["get", "/health"])


def test_a_call_that_finds_no_free_container_is_unavailable_and_not_a_bug(cloudformation: Template) -> None:
    # Lambda refuses what is above a function's concurrency; API Gateway calls that a failure of the integration.
    response = gateway_responses(cloudformation)["INTEGRATION_FAILURE"]
    problem = json.loads(response["responseTemplates"]["application/json"])

    assert int(response["statusCode"]) == problem["status"] == 503
    assert problem["type"] == "urn:dropzone:problem:unavailable"
    assert "gatewayresponse.header.Retry-After" in response["responseParameters"]


def test_what_needs_no_key_can_do_nothing() -> None:
    [web] = [function for function in functions() if function.name == "WebFunction"]

    assert {resource for _, resource in deployed().rights("WebFunction")} == {"WebLogs.Arn"}
    assert not [name for name in web.variables if name.startswith(("BRONZE", "DATABASE"))]
    assert {event["Type"] for event in web.properties["Events"].values()} == {"Api"}


def test_the_key_is_one_that_api_gateway_checks(cloudformation: Template) -> None:
    assert body(cloudformation)["components"]["securitySchemes"]["api_key"] == {
        "type": "apiKey",
        "name": "x-api-key",
        "in": "header",
    }


PLANS = {
    "devices": ("ApiUsagePlan", ""),
    "analysts": ("AnalystUsagePlan", "Analyst"),
    "operators": ("OperatorUsagePlan", "Operator"),
}
"""By the end of their names, with the beginning of their parameters'."""


def test_a_key_has_a_plan_for_this_stage(cloudformation: Template) -> None:
    plans = resources(cloudformation, "AWS::ApiGateway::UsagePlan")
    [stage] = resources(cloudformation, "AWS::ApiGateway::Stage")
    [link] = resources(cloudformation, "AWS::ApiGateway::UsagePlanKey").values()

    for plan in plans.values():
        assert plan["Properties"]["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": stage}}]
    assert {deployed().one(plan)["UsagePlanName"].rpartition("-")[2] for plan in plans} == {*PLANS}
    assert link["Properties"]["UsagePlanId"] == {"Ref": PLANS["devices"][0]}
    assert link["Properties"]["KeyId"] == {"Ref": "ApiKey"}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(
    ("parameter", "value", "where"),
    [
        ("ThrottleRate", "7", ("Throttle", "RateLimit")),
        ("ThrottleBurst", "9", ("Throttle", "BurstLimit")),
        ("MonthlyQuota", "11", ("Quota", "Limit")),
    ],
)
def test_a_key_s_requests_are_limited_by_parameter(
    plan: str, parameter: str, value: str, where: tuple[str, str]
) -> None:
    resource, prefix = PLANS[plan]
    changed = deployed("own", (prefix + parameter, value), (prefix + "MonthlyQuota", "11"))

    assert changed.one(resource)[where[0]][where[1]] == value
    assert changed.one(resource)["Quota"]["Period"] == "MONTH"
    for other, _ in PLANS.values():
        assert other == resource or changed.one(other) == deployed().one(other)


def test_a_request_is_logged_without_its_key_and_its_payload() -> None:
    stage = deployed().one("Apiv1Stage")
    text = stage["AccessLogSetting"]["Format"]

    fields = json.loads(text)
    assert "\n" not in text
    assert set(fields.values()) <= LOGGED
    assert fields["request_id"] == "$context.requestId"  # API Gateway asks for it
    assert stage["AccessLogSetting"]["DestinationArn"] == "ApiAccessLogs.Arn"
    # Rendered, it is JSON whatever is in it; nothing of these holds a quotation mark.
    assert json.loads(re.sub(r"\$context[\w.]+", "-", text)).keys() == fields.keys()


def test_what_needs_no_key_is_throttled_method_by_method(cloudformation: Template) -> None:
    # A usage plan limits a key's requests. Without a key, only the stage's settings do.
    keyless = {name for name, operation in methods(cloudformation).items() if not needs_key(operation)}
    stage_wide, *others = deployed("own", ("KeylessThrottleRate", "3")).one("Apiv1Stage")["MethodSettings"]
    throttled = {
        (entry["HttpMethod"], "/" + entry["ResourcePath"].removeprefix("/").removeprefix("~1").replace("~1", "/"))
        for entry in others
    }

    assert len(keyless) > 10
    assert throttled == keyless
    assert not [entry["ResourcePath"] for entry in others if "/" in entry["ResourcePath"][1:]], "~1 is a slash"
    assert {entry["ThrottlingRateLimit"] for entry in others} == {"3"}
    assert {entry["ThrottlingBurstLimit"] for entry in others} == {"50"}
    assert (stage_wide["ResourcePath"], stage_wide["HttpMethod"]) == ("/*", "*")
    assert (stage_wide["ThrottlingRateLimit"], stage_wide["ThrottlingBurstLimit"]) == ("2000", "4000")


def test_a_key_may_send_what_its_plan_says(template: Template) -> None:
    values = defaults(template)

    assert int(values["StageThrottleRate"]) >= int(values["ThrottleRate"])
    assert int(values["StageThrottleBurst"]) >= int(values["ThrottleBurst"])


def test_a_key_has_a_quota_only_where_one_is_given() -> None:
    for plan, _ in PLANS.values():
        assert "Quota" not in deployed().one(plan)


def test_execution_logs_which_hold_payloads_are_off_and_so_are_metrics_that_nothing_reads() -> None:
    for settings in deployed().one("Apiv1Stage")["MethodSettings"]:
        assert "MetricsEnabled" not in settings
        assert "LoggingLevel" not in settings
        assert "DataTraceEnabled" not in settings


def test_the_stage_waits_for_the_role_that_writes_its_logs(cloudformation: Template) -> None:
    [stage] = resources(cloudformation, "AWS::ApiGateway::Stage").values()

    assert {"Ref": "ApiGatewayAccount"} in _nodes(stage)
    # And the account's settings wait for the first API of the account.
    assert cloudformation["Resources"]["ApiGatewayAccount"]["DependsOn"] == "Api"
    assert {"Ref": "ApiGatewayAccount"} not in _nodes(cloudformation["Resources"]["Api"])


@pytest.mark.parametrize("manages", ["true", "false"])
def test_the_account_s_settings_are_left_alone_by_parameter(manages: str) -> None:
    kinds = [entry["Type"] for entry in deployed("own", ("ManageApiGatewayAccount", manages)).resources.values()]

    assert ("AWS::ApiGateway::Account" in kinds) is (manages == "true")


def _nodes(node: object) -> list[object]:
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return [node, *(found for entry in below for found in _nodes(entry))]


def test_the_alarms_name_of_the_api_is_the_api_s() -> None:
    assert deployed().one("Api")["Body"]["info"]["title"] == "dropzone-prod"
    [name] = [
        entry["Value"] for entry in deployed().one("ServerErrorAlarm")["Dimensions"] if entry["Name"] == "ApiName"
    ]
    assert name == "dropzone-prod"


def test_another_origin_reaches_api_gateway_s_own_answers(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    # They are the deployment's, as they were when it was made: another origin needs another deployment.
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    deployments = []
    for second, origin in enumerate(["https://a.example", "https://b.example"]):
        with monkeypatch.context() as patch:
            patch.setattr("samtranslator.model.apigateway.time.time", lambda now=second: now)
            made = transformed(template, {**defaults(template), "CorsOrigin": origin})
        [stage] = resources(made, "AWS::ApiGateway::Stage").values()
        [name] = resources(made, "AWS::ApiGateway::Deployment")
        assert stage["Properties"]["DeploymentId"] == {"Ref": name}
        deployments.append(name)

    assert deployments[0] != deployments[1]


def test_who_may_call_is_the_whole_world_or_what_a_parameter_says(template: Template) -> None:
    for cidrs in ("0.0.0.0/0,::/0", "192.0.2.0/24,2001:db8::/32"):
        allow, deny = deployed("own", ("AllowedCidrs", cidrs)).one("Api")["Body"]["x-amazon-apigateway-policy"][
            "Statement"
        ]
        assert (allow["Effect"], deny["Effect"]) == ("Allow", "Deny")
        assert "Condition" not in allow
        assert deny["Condition"] == {"NotIpAddress": {"aws:SourceIp": cidrs.split(",")}}
        assert re.fullmatch(template["Parameters"]["AllowedCidrs"]["AllowedPattern"], cidrs)


def test_a_domain_of_yours_leads_to_the_stage() -> None:
    given = ("DomainName", "events.example.com"), ("CertificateArn", "arn:c"), ("HostedZoneId", "Z1")
    stack = deployed("own", *given)

    assert stack.one("ApiDomain")["DomainName"] == "events.example.com"
    assert stack.one("ApiDomain")["SecurityPolicy"] == "TLS_1_2"
    assert stack.one("ApiDomainMapping") == {"DomainName": "ApiDomain", "RestApiId": "Api", "Stage": "Apiv1Stage"}
    records = stack.one("ApiDomainRecords")["RecordSets"]
    assert {(entry["Name"], entry["Type"]) for entry in records} == {(given[0][1], "A"), (given[0][1], "AAAA")}
    assert stack.outputs["ApiUrl"]["Value"] == "https://events.example.com"
    assert not [name for name in deployed("own").resources if name.startswith("ApiDomain")]
    assert "ApiDomainRecords" not in deployed("own", *given[:2]).resources


def test_a_tls_policy_holds_for_the_api_and_its_domain() -> None:
    policy = "SecurityPolicy_TLS13_1_3_2025_09"
    given = ("DomainName", "events.example.com"), ("CertificateArn", "arn:c"), ("TlsPolicy", policy)
    stack = deployed("own", *given)

    for name in ("Api", "ApiDomain"):
        assert (stack.one(name)["SecurityPolicy"], stack.one(name)["EndpointAccessMode"]) == (policy, "BASIC")
    assert "SecurityPolicy" not in deployed("own").one("Api")


def test_a_firewall_of_yours_is_before_the_stage() -> None:
    arn = "arn:aws:wafv2:eu-central-1:111122223333:regional/webacl/mine/1"

    assert deployed("own", ("WebAclArn", arn)).one("ApiFirewall") == {
        "WebACLArn": arn,
        "ResourceArn": "arn:aws:apigateway:eu-central-1::/restapis/Api/stages/Apiv1Stage",
    }
    assert "ApiFirewall" not in deployed("own").resources


def test_there_is_one_stage_and_no_phantom(cloudformation: Template) -> None:
    stages = [entry["Properties"] for entry in resources(cloudformation, "AWS::ApiGateway::Stage").values()]
    [deployment] = resources(cloudformation, "AWS::ApiGateway::Deployment").values()

    assert [stage["StageName"] for stage in stages] == ["v1"]
    assert "StageName" not in deployment["Properties"]


def test_every_body_is_passed_on_byte_for_byte(cloudformation: Template) -> None:
    assert body(cloudformation)["x-amazon-apigateway-binary-media-types"] == ["*/*"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_no_output_shows_a_secret(name: str) -> None:
    outputs = deployed(name).outputs

    assert outputs.keys() >= OUTPUTS
    for output in outputs.values():
        assert "Secret" not in str(output["Value"])
