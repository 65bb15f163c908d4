"""CloudFormation's functions and conditions, evaluated with given parameters."""

import re
from collections.abc import Mapping
from ipaddress import ip_network
from itertools import islice
from typing import Any

ABSENT = object()
"""The value of `AWS::NoValue`."""

PSEUDO: Mapping[str, Any] = {
    "AWS::AccountId": "111122223333",
    "AWS::NoValue": ABSENT,
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::StackName": "dropzone-prod",
    "AWS::URLSuffix": "amazonaws.com",
}
_PLACEHOLDER = re.compile(r"\$\{([^!}][^}]*)\}")


class DanglingReferenceError(LookupError):
    """Something refers to a resource that is not there with these parameters."""


class Evaluator:
    """Evaluates with given parameters; what it doesn't know is an error.

    A resource's Ref is its name, and an attribute of it `Name.Attribute`.
    """

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._conditions = template.get("Conditions", {})
        self._mappings = template.get("Mappings", {})
        self._resources = template["Resources"]
        self._lists = {
            name for name, entry in template.get("Parameters", {}).items() if entry["Type"] == "CommaDelimitedList"
        }
        self._values: Mapping[str, Any] = {**PSEUDO, **parameters}

    def value(self, node: Any) -> Any:  # noqa: ANN401 - any value of a template
        if isinstance(node, list):
            return [value for entry in node if (value := self.value(entry)) is not ABSENT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(name, argument)] = node.items()
            if (name in {"Ref", "Condition"} and isinstance(argument, str)) or name.startswith("Fn::"):
                return getattr(self, "_" + name.removeprefix("Fn::").lower())(argument)
        return {name: value for name, entry in node.items() if (value := self.value(entry)) is not ABSENT}

    def holds(self, condition: str | None) -> bool:
        """Whether a resource with this condition is made."""
        return condition is None or self._condition(condition)

    def _made(self, resource: str) -> str:
        if not self.holds(self._resources[resource].get("Condition")):
            raise DanglingReferenceError(resource)
        return resource

    def _ref(self, name: str) -> Any:  # noqa: ANN401
        if name in self._resources:
            return self._made(name)
        value = self._values[name]
        return [entry for entry in value.split(",") if entry] if name in self._lists else value

    def _getatt(self, attribute: list[str] | str) -> str:
        parts = attribute.split(".") if isinstance(attribute, str) else attribute
        return ".".join([self._made(parts[0]), *parts[1:]])

    def _sub(self, argument: str | list[Any]) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument
        own = {name: str(self.value(value)) for name, value in given.items()}

        def fill(match: re.Match[str]) -> str:
            name = match.group(1)
            if name in own:
                return own[name]
            return str(self._getatt(name) if "." in name else self._ref(name))

        return _PLACEHOLDER.sub(fill, text)

    def _join(self, argument: list[Any]) -> str:
        separator, parts = argument
        return str(separator).join(map(str, self.value(parts)))

    def _split(self, argument: list[Any]) -> list[str]:
        separator, text = argument
        return str(self.value(text)).split(separator)

    def _select(self, argument: list[Any]) -> Any:  # noqa: ANN401
        index, entries = argument
        return self.value(entries)[int(index)]

    def _findinmap(self, argument: list[Any]) -> Any:  # noqa: ANN401
        mapping, first, second = self.value(argument)
        return self._mappings[mapping][first][second]

    def _cidr(self, argument: list[Any]) -> list[str]:
        block, count, bits = self.value(argument)
        network = ip_network(str(block))
        subnets = network.subnets(new_prefix=network.max_prefixlen - int(bits))
        return [str(subnet) for subnet in islice(subnets, int(count))]

    def _getazs(self, region: Any) -> list[str]:  # noqa: ANN401
        name = self.value(region) or self._values["AWS::Region"]
        return [f"{name}{letter}" for letter in "abc"]

    def _condition(self, name: str) -> bool:
        return bool(self.value(self._conditions[name]))

    def _equals(self, pair: list[Any]) -> bool:
        left, right = self.value(pair)
        return str(left) == str(right)

    def _not(self, node: list[Any]) -> bool:
        return not self.value(node[0])

    def _and(self, nodes: list[Any]) -> bool:
        return all(self.value(node) for node in nodes)

    def _or(self, nodes: list[Any]) -> bool:
        return any(self.value(node) for node in nodes)

    def _contains(self, pair: list[Any]) -> bool:
        values, value = self.value(pair)
        return value in values

    def _eachmemberequals(self, pair: list[Any]) -> bool:
        values, value = self.value(pair)
        return all(entry == value for entry in values)

    def _if(self, branches: list[Any]) -> Any:  # noqa: ANN401
        condition, yes, no = branches
        return self.value(yes if self._condition(condition) else no)


def broken_rules(template: Mapping[str, Any], parameters: Mapping[str, str]) -> list[str]:
    """The assertions of the template's rules that these parameters break: CloudFormation refuses them."""
    evaluator = Evaluator(template, parameters)
    return [
        assertion["AssertDescription"]
        for rule in template.get("Rules", {}).values()
        if evaluator.value(rule.get("RuleCondition", True))
        for assertion in rule["Assertions"]
        if not evaluator.value(assertion["Assert"])
    ]
