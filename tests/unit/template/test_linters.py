"""The linters: our own rules for cfn-lint find what they are for, and nothing is skipped without a reason."""

import copy
import re
from typing import Any

import pytest
import yaml
from samcli.yamlhelper import yaml_dump, yaml_parse  # type: ignore[import-untyped]

from unit.template.loading import PROJECT, Template, load_template

RULES = PROJECT / "tools" / "cfn_rules"

GOOD = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Visibility: { Type: Number, Default: 60 }
  Seconds: { Type: Number, Default: 10 }
Globals:
  Function: { Timeout: !Ref Seconds, Runtime: python3.13, Handler: code.handler, CodeUri: code }
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: !Ref Visibility
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 5 }
  Dead: { Type: AWS::SQS::Queue }
  Logs: { Type: AWS::Logs::LogGroup, Properties: { RetentionInDays: 7 } }
  Api: { Type: AWS::Serverless::Api, Properties: { StageName: v1, Auth: { ApiKeyRequired: true } } }
  Route:
    Type: AWS::ApiGatewayV2::Route
    Properties: { ApiId: !Ref Api, RouteKey: GET /, AuthorizationType: !If [Tokens, JWT, AWS_IAM] }
  Function:
    Type: AWS::Serverless::Function
    Properties:
      LoggingConfig: { LogGroup: !Ref Logs }
      Events:
        Messages:
          Type: SQS
          Properties:
            Queue: !GetAtt Queue.Arn
            FunctionResponseTypes: [ReportBatchItemFailures]
            ScalingConfig: { MaximumConcurrency: 2 }
        Clock:
          Type: ScheduleV2
          Properties: { OmitName: true, ScheduleExpression: rate(1 day) }
        Data: { Type: Api, Properties: { RestApiId: !Ref Api, Path: /data, Method: get } }
        Health:
          Type: Api
          Properties: { RestApiId: !Ref Api, Path: /health, Method: GET, Auth: { ApiKeyRequired: false } }
        Preflight:
          Type: Api
          Properties: { RestApiId: !Ref Api, Path: /data, Method: options, Auth: { ApiKeyRequired: false } }
"""
PLAIN = """
Resources:
  Queue: { Type: AWS::SQS::Queue }
  Function: { Type: AWS::Lambda::Function, Properties: {} }
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties: { EventSourceArn: !GetAtt Queue.Arn, FunctionName: !Ref Function }
  Method: { Type: AWS::ApiGateway::Method, Properties: { HttpMethod: GET } }
"""
FUNCTION = "LoggingConfig: { LogGroup: !Ref Logs }"
SECOND = "  Second: { Type: AWS::Serverless::Function, Properties: { LoggingConfig: { LogGroup: !Ref Logs } } }\n"


def found(text: str) -> list[tuple[str, str]]:
    """The rule and the message of each finding of our rules, as cfn-lint has them look."""
    # They import sympy and networkx, which each process of a run would otherwise do as it collects.
    from cfnlint.decode.decode import decode_str  # type: ignore[import-untyped]  # noqa: PLC0415
    from cfnlint.rules import Rules  # type: ignore[import-untyped]  # noqa: PLC0415
    from cfnlint.template import Template as LintedTemplate  # type: ignore[import-untyped]  # noqa: PLC0415

    decoded, errors = decode_str(text)
    assert errors == []
    template = LintedTemplate("snippet", decoded, ["eu-central-1"])
    assert template.transform() == []
    rules = Rules.create_from_directory(str(RULES))
    return [(rule.id, match.message) for rule in rules.values() for match in rule.match(template)]


def test_a_good_template_is_good() -> None:
    assert found(GOOD) == []


def test_sam_writes_out_what_the_template_says_once() -> None:
    # CloudFormation refuses anchors and what refers to them.
    text = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    built = yaml_dump(yaml_parse(text))

    assert {token.value for token in yaml.scan(text) if isinstance(token, yaml.AliasToken)} == {
        *("InTheNetwork", "NetworkInterfaces", "DatabaseHost", "Refused", "TryAgain", "OfTheDomain"),
        *("ReadsClients", "HowToSignIn", "SignInWith"),
    }
    assert not [token for token in yaml.scan(built) if isinstance(token, yaml.AliasToken | yaml.AnchorToken)]
    assert yaml_parse(built) == yaml_parse(text)


@pytest.mark.parametrize("name", ["template.yaml", "monitoring.yaml"])
def test_our_template_is_good(name: str) -> None:
    assert found((PROJECT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("good", "bad", "rule", "says"),
    [
        (FUNCTION, "MemorySize: 512", "E9001", "no LoggingConfig"),
        (FUNCTION, "LoggingConfig: { LogGroup: elsewhere }", "E9001", "no LoggingConfig"),
        ("{ RetentionInDays: 7 }", "{ KmsKeyId: x }", "E9001", "no RetentionInDays"),
        ("  Dead:", SECOND + "  Dead:", "E9001", "shares Logs with"),
        ("FunctionResponseTypes: [ReportBatchItemFailures]", "BatchSize: 5", "E9002", "ReportBatchItemFailures"),
        ("ScalingConfig: { MaximumConcurrency: 2 }", "BatchSize: 5", "E9002", "MaximumConcurrency"),
        ("RedrivePolicy:", "Tags: []\n      Other:", "E9002", "no RedrivePolicy"),
        ("Default: 60", "Default: 59", "E9002", "59 s, which is less than 6 times"),
        ("VisibilityTimeout: !Ref Visibility", "DelaySeconds: 0", "E9002", "30 s, which is less"),
        ("Timeout: !Ref Seconds", "Timeout: !If [A, 1, 2]", "E9002", "must be numbers"),
        ("Queue: !GetAtt Queue.Arn", "Queue: arn:aws:sqs:eu-central-1:1:q", "E9002", "not of this template"),
        ("Path: /data, Method: get", "Path: /data, Method: get, Auth: { ApiKeyRequired: false }", "E9003", "GET /data"),
        ("Path: /health, Method: GET", "Path: /health, Method: POST", "E9003", "POST /health"),
        ("Auth: { ApiKeyRequired: true }", "TracingEnabled: true", "E9003", "GET /data"),
        ("JWT, AWS_IAM]", "JWT, NONE]", "E9003", "Route needs no sign-in"),
        (", AuthorizationType: !If [Tokens, JWT, AWS_IAM]", "", "E9003", "Route needs no sign-in"),
        ("OmitName: true, ", "", "E9004", "FunctionClock (AWS::Scheduler::Schedule) has the Name"),
        ("{ Type: AWS::SQS::Queue }", "{ Type: AWS::SQS::Queue, Properties: { QueueName: dead } }", "E9004", '"dead"'),
        ("{ RetentionInDays: 7 }", "{ RetentionInDays: 7, LogGroupName: !Ref Seconds }", "E9004", "LogGroupName"),
    ],
)
def test_a_rule_finds_what_it_is_for(good: str, bad: str, rule: str, says: str) -> None:
    assert good in GOOD

    [(identifier, message)] = found(GOOD.replace(good, bad, 1))
    assert identifier == rule
    assert says in message


@pytest.mark.parametrize(
    "name", ['!Sub "${AWS::StackName}-dead"', '!Sub "dead-${AWS::StackId}"', "!Ref Queue", '!Sub "${Stack}-dead"']
)
def test_a_name_with_the_stack_s_in_it_is_good(name: str) -> None:
    named = f"{{ Type: AWS::SQS::Queue, Properties: {{ QueueName: {name} }} }}"

    assert found(GOOD.replace("Dead: { Type: AWS::SQS::Queue }", f"Dead: {named}")) == []


def test_rules_look_at_resources_without_sam_as_well() -> None:
    assert {identifier for identifier, _ in found(PLAIN)} == {"E9001", "E9002", "E9003"}


def test_cfn_lint_reads_the_rules_and_ignores_none_without_a_reason() -> None:
    text = (PROJECT / ".cfnlintrc").read_text(encoding="utf-8")
    configuration = yaml.safe_load(text)

    assert configuration.keys() == {"append_rules", "ignore_checks"}
    assert configuration["append_rules"] == ["tools/cfn_rules", "cfn_lint_serverless.rules"]
    assert [entry.name for entry in RULES.glob("*.py")] == ["dropzone_rules.py"]
    for check in configuration["ignore_checks"]:
        assert re.search(rf"^  - {check} # (\S+ ?){{4,}}$", text, re.MULTILINE), check


def test_the_templates_make_cfn_lint_ignore_what_a_rule_does_not_know(template: Template) -> None:
    assert "cfn-lint" not in template["Metadata"]
    assert {
        name: entry["Metadata"]["cfn-lint"]["config"]["ignore_checks"]
        for name, entry in {**template["Resources"], **load_template("monitoring.yaml")["Resources"]}.items()
        if "cfn-lint" in entry.get("Metadata", {})
    } == {
        "DeadLetterQueue": ["ES6000"],
        "NotificationDeadLetterQueue": ["ES6000"],
        "AlarmSubscription": ["ES7000"],
    }


def skips(template: Template) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, entry)
        for name, resource in copy.deepcopy(template)["Resources"].items()
        for entry in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]


def test_checkov_skips_nothing_without_a_reason(template: Template) -> None:
    assert skips(template)
    for name, entry in skips(template):
        assert entry.keys() == {"id", "comment"}, name
        assert len(entry["comment"].split()) >= 4, name
