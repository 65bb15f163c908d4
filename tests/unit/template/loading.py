"""template.yaml and monitoring.yaml: as written, and as SAM turns them into CloudFormation."""

import copy
import pickle
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor  # type: ignore[import-untyped] # comes with SAM's CLI

PROJECT = Path(__file__).parents[3]

Template = dict[str, Any]


class _Loader(yaml.CSafeLoader):
    """Reads what SAM's `yaml_parse` reads, in C, which takes a fifth of the time."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


@cache
def _pickled(name: str) -> bytes:
    """What was parsed: a copy by pickle takes a fifth of the time of deepcopy's."""
    return pickle.dumps(yaml.load((PROJECT / name).read_text(encoding="utf-8"), _Loader))  # noqa: S506 - a safe loader


def load_template(name: str = "template.yaml") -> Template:
    """The template with every intrinsic function in its long form."""
    template: Template = pickle.loads(_pickled(name))  # noqa: S301 - our own
    return template


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        """What the transform asks IAM for otherwise."""
        return {}


def transformed(template: Template, parameters: Mapping[str, str] | None = None) -> Template:
    """What CloudFormation gets to see; SAM reads parameters, or their defaults."""
    # A second of imports, boto3 among them, which processes that only read the template are spared.
    from samtranslator.translator.transform import transform  # type: ignore[import-untyped]  # noqa: PLC0415

    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][name] = "s3://artefacts/of-tests"
    result: Template = transform(template, dict(parameters or {}), _NoManagedPolicies())
    return result


def resources(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a type, by their names."""
    return {name: entry for name, entry in template["Resources"].items() if entry["Type"] == kind}


def defaults(template: Template) -> dict[str, str]:
    """Every parameter's default, as CloudFormation hands it over; what has none is missing."""
    return {name: str(entry["Default"]) for name, entry in template["Parameters"].items() if "Default" in entry}
