"""The API for those who sign in, by each way to sign in: what every method of both APIs asks for."""

from collections.abc import Mapping
from typing import Any

import pytest

from unit.template.intrinsics import broken_rules
from unit.template.loading import defaults, load_template
from unit.template.stacks import Stack, deployed

ISSUER = "https://id.example.com/"
WAYS: Mapping[str, Mapping[str, str]] = {
    "none": {},
    "iam": {"SignIn": "iam"},
    "jwt": {"SignIn": "jwt", "JwtIssuer": ISSUER, "JwtAudience": "dropzone,another"},
}
KEYLESS = {"/", "/page/{asset}", "/health", "/docs", "/docs/{asset}", "/openapi.json"}
SIGNED = {"GET /{proxy+}", "HEAD /{proxy+}", "POST /process"}
KEYS = ["ingest,read,operate", "ingest,read", "ingest"]


def stack(way: str, *changes: tuple[str, str]) -> Stack:
    return deployed("own", *WAYS[way].items(), *changes)


def rest_methods(found: Stack) -> dict[tuple[str, str], dict[str, Any]]:
    paths = found.one("Api")["Body"]["paths"]
    return {(method.upper(), path): entry for path, methods in paths.items() for method, entry in methods.items()}


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("way", WAYS)
def test_every_method_asks_for_a_key_or_a_sign_in_but_those_that_need_neither(way: str, keys: str) -> None:
    found = stack(way, ("KeyScopes", keys))

    methods = rest_methods(found)
    assert len(methods) > 30
    for (method, path), entry in methods.items():
        needs_none = method == "OPTIONS" or path in KEYLESS
        assert entry.get("security", []) == ([] if needs_none else [{"api_key": []}]), (method, path)
    routes = {route["RouteKey"]: route for route in found.of("AWS::ApiGatewayV2::Route").values()}
    assert routes.keys() == (set() if way == "none" else SIGNED)
    for route in routes.values():
        assert route["AuthorizationType"] == {"iam": "AWS_IAM", "jwt": "JWT"}[way]
        assert route.get("AuthorizerId") == {"iam": None, "jwt": "SignedApiTokens"}[way]
    for function in ("QueryFunction", "SweepFunction"):
        assert found.one(function)["Environment"]["Variables"]["KEY_SCOPES"] == keys


def test_without_a_way_to_sign_in_there_is_no_second_api() -> None:
    assert not [name for name in stack("none").resources if name.startswith("SignedApi")]
    assert "SignedApiUrl" not in stack("none").outputs


def test_token_is_of_the_issuer_and_for_the_audience() -> None:
    [authorizer] = stack("jwt").of("AWS::ApiGatewayV2::Authorizer").values()

    assert authorizer["AuthorizerType"] == "JWT"
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
    assert authorizer["JwtConfiguration"] == {"Issuer": ISSUER, "Audience": ["dropzone", "another"]}
    assert stack("iam").of("AWS::ApiGatewayV2::Authorizer") == {}


def test_functions_learn_where_a_token_says_what_it_opens() -> None:
    found = stack("jwt", ("JwtScopesClaim", "cognito:groups"), ("JwtScopePrefix", "dropzone."))

    for function in ("QueryFunction", "SweepFunction"):
        variables = found.one(function)["Environment"]["Variables"]
        assert (variables["JWT_SCOPES_CLAIM"], variables["JWT_SCOPE_PREFIX"]) == ("cognito:groups", "dropzone.")


@pytest.mark.parametrize("way", ["iam", "jwt"])
def test_signed_requests_reach_query_and_sweep_as_those_with_keys_do(way: str) -> None:
    found = stack(way)

    integrations = found.of("AWS::ApiGatewayV2::Integration")
    assert {entry["IntegrationUri"] for entry in integrations.values()} == {"QueryFunction.Arn", "SweepFunction.Arn"}
    for entry in integrations.values():
        assert (entry["PayloadFormatVersion"], entry["TimeoutInMillis"]) == ("1.0", 29_000)
    targets = {route["RouteKey"]: route["Target"] for route in found.of("AWS::ApiGatewayV2::Route").values()}
    assert targets["POST /process"] == "integrations/SignedApiSweep"
    assert targets["GET /{proxy+}"] == targets["HEAD /{proxy+}"] == "integrations/SignedApiQuery"
    allowed = {
        entry["FunctionName"]
        for entry in found.of("AWS::Lambda::Permission").values()
        if entry.get("SourceArn") == "arn:aws:execute-api:eu-central-1:111122223333:SignedApi/*"
    }
    assert allowed == {"QueryFunction", "SweepFunction"}


def test_preflights_of_one_origin_are_answered_before_a_sign_in() -> None:
    assert "CorsConfiguration" not in stack("jwt").one("SignedApi")
    allowed = stack("jwt", ("CorsOrigin", "https://app.example.com")).one("SignedApi")["CorsConfiguration"]

    assert allowed["AllowOrigins"] == ["https://app.example.com"]
    assert "Authorization" in allowed["AllowHeaders"]
    assert "AllowCredentials" not in allowed


def test_log_says_who_has_signed_in_and_not_with_what() -> None:
    text = stack("iam").one("SignedApiStage")["AccessLogSettings"]["Format"]

    assert "$context.identity.userArn" in text
    assert "$context.authorizer.claims.sub" in text
    assert not [word for word in ("authorization", "accesskey", "$request", "claims.email") if word in text.lower()]


@pytest.mark.parametrize(
    ("way", "change", "remedy"),
    [
        ("jwt", {"JwtIssuer": ""}, "JwtIssuer"),
        ("jwt", {"JwtAudience": ""}, "JwtAudience"),
        ("iam", {"JwtIssuer": ISSUER}, "SignIn jwt"),
        ("none", {"JwtAudience": "dropzone"}, "SignIn jwt"),
        ("iam", {"AllowedCidrs": "192.0.2.0/24"}, "AllowedCidrs"),
        ("jwt", {"WebAclArn": "arn:aws:wafv2:x:1:regional/webacl/y/z"}, "WebAclArn"),
        ("jwt", {"TlsPolicy": "SecurityPolicy_TLS13_1_3_2025_09"}, "TlsPolicy"),
        ("none", {"KeyScopes": "ingest"}, "SignIn"),
        ("none", {"ClientCertificatesUri": "s3://bucket/trusted.pem"}, "DomainName"),
        ("none", {"ClientCertificatesVersion": "1"}, "ClientCertificatesUri"),
    ],
)
def test_what_would_not_hold_is_refused(way: str, change: dict[str, str], remedy: str) -> None:
    template = load_template()
    [reason] = broken_rules(template, {**defaults(template), **WAYS[way], **change})

    assert remedy in reason


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("way", ["iam", "jwt"])
def test_every_way_to_sign_in_keeps_the_rules(way: str, keys: str) -> None:
    template = load_template()

    assert broken_rules(template, {**defaults(template), **WAYS[way], "KeyScopes": keys}) == []


DOMAIN = (("DomainName", "events.example.com"), ("CertificateArn", "arn:aws:acm:x:1:certificate/y"))
CERTIFICATES = ("ClientCertificatesUri", "s3://bucket/trusted.pem")


def disables(found: Stack) -> object:
    [server] = found.one("Api")["Body"]["servers"]
    return server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"]


def test_certificates_are_asked_for_at_the_domain_and_the_api_s_own_address_is_off() -> None:
    found = stack("none", *DOMAIN, CERTIFICATES)

    assert found.one("ApiDomain")["MutualTlsAuthentication"] == {"TruststoreUri": CERTIFICATES[1]}
    assert disables(found) is True
    versioned = stack("none", *DOMAIN, CERTIFICATES, ("ClientCertificatesVersion", "v7")).one("ApiDomain")
    assert versioned["MutualTlsAuthentication"]["TruststoreVersion"] == "v7"


def test_without_certificates_nobody_is_asked_for_one() -> None:
    found = stack("none", *DOMAIN)

    assert "MutualTlsAuthentication" not in found.one("ApiDomain")
    assert disables(found) is False
