"""The functions of the template, with the code that they run."""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from dropzone.settings import Settings
from unit.template.loading import Template, load_template, resources

SET_ELSEWHERE = frozenset({"aws_region", "aws_endpoint_url", "aws_lambda_function_name", "database_password"})
"""Settings whose variables Lambda sets, or the local stack."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function."""

    name: str
    properties: dict[str, Any]

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(self.properties["Handler"].rpartition(".")[0])

    @property
    def handler(self) -> object:
        return getattr(self.module, self.properties["Handler"].rpartition(".")[2])

    @property
    def settings(self) -> type[Settings] | None:
        """What its module's `settings()` returns; None where it has none."""
        read = getattr(self.module, "settings", None)
        if read is None:
            return None
        model: type[Settings] = read.__wrapped__.__self__
        assert issubclass(model, Settings)
        return model

    @property
    def variables(self) -> dict[str, Any]:
        variables: dict[str, Any] = self.properties.get("Environment", {}).get("Variables", {})
        return variables


def functions(template: Template | None = None) -> list[Function]:
    """All of them."""
    found = resources(template or load_template(), "AWS::Serverless::Function")
    return [Function(name, entry["Properties"]) for name, entry in found.items()]
