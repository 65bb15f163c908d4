"""Rules of Dropzone's own for cfn-lint: what must hold for the next function as well.

cfn-lint hands them the template with SAM's globals in their places. They know a resource by its type, not by its name.
"""

import copy
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, override

import boto3
from cfnlint.rules import CloudFormationLintRule, RuleMatch  # type: ignore[import-untyped] # it carries no types
from cfnlint.template import Template  # type: ignore[import-untyped]
from samtranslator.model.exceptions import InvalidDocumentException  # type: ignore[import-untyped] # SAM's CLI's
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]

Node = dict[str, Any]
Path = list[str | int]

WITHOUT_A_KEY = frozenset({"/", "/page/{asset}", "/health", "/docs", "/docs/{asset}", "/openapi.json"})
"""The paths that are read without a key. Preflights carry none anywhere."""

NOT_OF_THE_ACCOUNT = frozenset(
    {
        ("AWS::ApiGateway::Deployment", "StageName"),  # within its API
        ("AWS::ApiGateway::DomainName", "DomainName"),  # which is one in the world, and given
        ("AWS::ApiGateway::Stage", "StageName"),
        ("AWS::ApiGatewayV2::Stage", "StageName"),
        ("AWS::CloudWatch::Alarm", "MetricName"),  # within its namespace, which is the stack's or AWS's
        ("AWS::EC2::VPCEndpoint", "ServiceName"),  # AWS's
        ("AWS::RDS::DBInstance", "DBName"),  # within its instance
    }
)
"""Names that two stacks may share, since they name something within something else."""

_CALLS_UNTIL_A_MESSAGE_RETURNS = 6
_DEFAULT_TIMEOUT = 3
_DEFAULT_VISIBILITY = 30


class FunctionHasItsOwnLogs(CloudFormationLintRule):  # type: ignore[misc]
    id = "E9001"
    shortdesc = "A function has a log group with a retention, of its own"
    description = "Without LoggingConfig, Lambda makes a group that keeps everything for good."
    tags = ("dropzone", "lambda", "logs")

    @override
    def match(self, cfn: Template) -> list[RuleMatch]:
        matches = []
        users: dict[str, list[str]] = defaultdict(list)
        groups = _resources(cfn, "AWS::Logs::LogGroup")
        for name, properties in _functions(cfn).items():
            path: Path = ["Resources", name, "Properties"]
            group = _target(_get(properties, "LoggingConfig", "LogGroup"))
            if group not in groups:
                matches.append(RuleMatch(path, f"{name} has no LoggingConfig with a LogGroup of this template"))
                continue
            users[group].append(name)
            if not groups[group].get("RetentionInDays"):
                matches.append(RuleMatch(path, f"{name} logs to {group}, which has no RetentionInDays"))
            if users[group][:-1]:
                matches.append(RuleMatch(path, f"{name} shares {group} with {users[group][0]}"))
        return matches


class QueueFeedsInPart(CloudFormationLintRule):  # type: ignore[misc]
    id = "E9002"
    shortdesc = "A queue that feeds a function has partial failures, a cap, a DLQ, and visibility of six timeouts"
    description = "Otherwise one bad message holds up its batch, a flood takes every connection, and a poison stays."
    tags = ("dropzone", "lambda", "sqs")

    @override
    def match(self, cfn: Template) -> list[RuleMatch]:
        queues = _resources(cfn, "AWS::SQS::Queue")
        return [
            RuleMatch(source.path, fault)
            for source in _sources(cfn)
            for fault in (*_faults_of_source(source), *_faults_of_queue(cfn, source, queues.get(source.queue)))
        ]


class MethodNeedsKey(CloudFormationLintRule):  # type: ignore[misc]
    id = "E9003"
    shortdesc = "A method of the API needs a key, unless it is in the list of those that need none"
    description = f"Without a key: {', '.join(sorted(WITHOUT_A_KEY))}, and preflights."
    tags = ("dropzone", "apigateway")

    @override
    def match(self, cfn: Template) -> list[RuleMatch]:
        matches = []
        apis = _resources(cfn, "AWS::Serverless::Api")
        for path, event in _events(cfn, "Api"):
            api = apis.get(_target(event.get("RestApiId")), {})
            asks = _get(event, "Auth", "ApiKeyRequired")
            keyed = _get(api, "Auth", "ApiKeyRequired") if asks is None else asks
            method, route = str(event.get("Method")).upper(), event.get("Path")
            open_to_all = method == "OPTIONS" or (method in {"GET", "HEAD"} and route in WITHOUT_A_KEY)
            if keyed is not True and not open_to_all:
                matches.append(RuleMatch(path, f"{method} {route} needs no key, and is not named as one of those"))
        for name, properties in _resources(cfn, "AWS::ApiGateway::Method").items():
            if properties.get("ApiKeyRequired") is not True and properties.get("HttpMethod") != "OPTIONS":
                matches.append(RuleMatch(["Resources", name, "Properties"], f"{name} needs no key"))
        for name, properties in _resources(cfn, "AWS::ApiGatewayV2::Route").items():
            if _may_be(properties.get("AuthorizationType", "NONE"), "NONE"):
                matches.append(RuleMatch(["Resources", name, "Properties"], f"{name} needs no sign-in"))
        return matches


class NameSaysWhichStack(CloudFormationLintRule):  # type: ignore[misc]
    id = "E9004"
    shortdesc = "A name in the transformed template has the stack's name in it"
    description = "Otherwise the second stack of an account and region fails, since the name is taken."
    tags = ("dropzone", "cloudformation")

    @override
    def match(self, cfn: Template) -> list[RuleMatch]:
        try:
            written, made = cfn.template["Resources"], _transformed(cfn)["Resources"]
        except InvalidDocumentException:
            return []  # `sam validate` says what SAM refuses
        return [
            RuleMatch(
                ["Resources", name] if name in written else ["Resources"],
                f"{name} ({resource['Type']}) has the {key} {json.dumps(value)}, which a second stack would have too",
            )
            for name, resource in made.items()
            for key, value in (resource.get("Properties") or {}).items()
            if _names_in_the_account(resource["Type"], key) and not _says_which_stack(value, made)
        ]


def _names_in_the_account(kind: str, key: str) -> bool:
    is_name = key.endswith("Name") or key in {"DBInstanceIdentifier", "DBClusterIdentifier"}
    return is_name and (kind, key) not in NOT_OF_THE_ACCOUNT and not kind.startswith("Custom::")


def _says_which_stack(value: object, made: Node) -> bool:
    """Return whether it holds the stack's name or identifier, or is the name of another resource of the stack.

    A nested stack gets the name of the whole as its parameter `Stack`.
    """
    text = json.dumps(value)
    return any(name in text for name in ("AWS::Stack", '{"Ref": "Stack"}', "${Stack}")) or _target(value) in made


def _transformed(cfn: Template) -> Node:
    """The template as SAM turns it into CloudFormation; where code lies does not matter."""
    template = copy.deepcopy(dict(cfn.template))
    if not cfn.has_serverless_transform():
        return template
    for resource in template["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & (resource.get("Properties") or {}).keys():
            resource["Properties"][name] = "s3://artefacts/code"
    parameters = template.get("Parameters") or {}
    defaults = {name: str(entry["Default"]) for name, entry in parameters.items() if "Default" in entry}
    translator = Translator(None, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    result: Node = translator.translate(template, defaults, get_managed_policy_map=dict)
    return result


@dataclass(frozen=True, slots=True)
class _Source:
    """A queue that feeds a function."""

    path: Path
    queue: str
    properties: Node
    function: Node


def _resources(cfn: Template, kind: str) -> dict[str, Node]:
    return {name: resource.get("Properties") or {} for name, resource in cfn.get_resources(kind).items()}


def _functions(cfn: Template) -> dict[str, Node]:
    return _resources(cfn, "AWS::Serverless::Function") | _resources(cfn, "AWS::Lambda::Function")


def _events(cfn: Template, kind: str) -> Iterator[tuple[Path, Node]]:
    for name, function in _resources(cfn, "AWS::Serverless::Function").items():
        for event_name, event in (function.get("Events") or {}).items():
            if event.get("Type") == kind:
                yield ["Resources", name, "Properties", "Events", event_name], event.get("Properties") or {}


def _sources(cfn: Template) -> Iterator[_Source]:
    functions = _functions(cfn)
    for path, event in _events(cfn, "SQS"):
        yield _Source(path, _target(event.get("Queue")), event, functions[str(path[1])])
    for name, properties in _resources(cfn, "AWS::Lambda::EventSourceMapping").items():
        queue = _target(properties.get("EventSourceArn"))
        if queue in _resources(cfn, "AWS::SQS::Queue"):
            function = functions.get(_target(properties.get("FunctionName")), {})
            yield _Source(["Resources", name, "Properties"], queue, properties, function)


def _faults_of_source(source: _Source) -> Iterator[str]:
    if "ReportBatchItemFailures" not in (source.properties.get("FunctionResponseTypes") or []):
        yield "FunctionResponseTypes has no ReportBatchItemFailures: one bad message takes its whole batch back"
    if not _get(source.properties, "ScalingConfig", "MaximumConcurrency"):
        yield "ScalingConfig has no MaximumConcurrency: a flood takes every connection of the database"


def _faults_of_queue(cfn: Template, source: _Source, queue: Node | None) -> Iterator[str]:
    if queue is None:
        yield "its queue is not of this template, which can't tell whether it has a DLQ"
        return
    if not _get(queue, "RedrivePolicy", "deadLetterTargetArn"):
        yield f"{source.queue} has no RedrivePolicy: what nobody can take comes again for as long as it is kept"
    visibility = _number(cfn, queue.get("VisibilityTimeout"), _DEFAULT_VISIBILITY)
    timeout = _number(cfn, source.function.get("Timeout"), _DEFAULT_TIMEOUT)
    if visibility is None or timeout is None:
        yield "VisibilityTimeout and Timeout must be numbers, or parameters with a default"
    elif visibility < _CALLS_UNTIL_A_MESSAGE_RETURNS * timeout:
        yield (
            f"{source.queue} hides a message for {visibility} s, which is less than "
            f"{_CALLS_UNTIL_A_MESSAGE_RETURNS} times the function's {timeout} s"
        )


def _get(node: Node, *names: str) -> Any:  # noqa: ANN401 - any value of a template
    value: Any = node
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _may_be(node: object, value: str) -> bool:
    """Whether a property has a value under some condition; also where only a deploy can tell."""
    if isinstance(node, dict):
        branches = node.get("Fn::If")
        return branches is None or any(_may_be(branch, value) for branch in branches[1:])
    return node == value


def _target(node: object) -> str:
    """The resource or parameter that a Ref or a GetAtt names; empty for anything else."""
    if not isinstance(node, dict):
        return ""
    if "Ref" in node:
        return str(node["Ref"])
    attribute = node.get("Fn::GetAtt", "")
    return str(attribute[0] if isinstance(attribute, list) else attribute.partition(".")[0])


def _number(cfn: Template, node: object, absent: int) -> int | None:
    """A number, a parameter's default, or the default of CloudFormation; None if only a deploy can determine it."""
    if isinstance(node, dict):
        node = (cfn.template.get("Parameters") or {}).get(_target(node), {}).get("Default", "unknown")
    try:
        return absent if node is None else int(str(node))
    except ValueError:
        return None
