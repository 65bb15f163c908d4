"""The few of CloudFormation's functions that rules, conditions and variables are written in, evaluated."""

from collections.abc import Mapping
from typing import Any

ABSENT = object()
"""What `AWS::NoValue` stands for."""


class Evaluator:
    """Evaluates with given parameters; what it doesn't know is a KeyError."""

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._conditions = template.get("Conditions", {})
        self._resources = template["Resources"]
        self._parameters = parameters

    def value(self, node: Any) -> Any:  # noqa: ANN401 - any value of a template
        if isinstance(node, list):
            return [self.value(entry) for entry in node]
        if not isinstance(node, dict):
            return node
        [(name, argument)] = node.items()
        return getattr(self, "_" + name.removeprefix("Fn::").lower())(argument)

    def _ref(self, name: str) -> Any:  # noqa: ANN401
        if name == "AWS::NoValue":
            return ABSENT
        return name if name in self._resources else self._parameters[name]

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
