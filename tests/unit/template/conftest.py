"""The template, as written and as CloudFormation gets it."""

import pytest

from unit.template.loading import Template, load_template, transformed


@pytest.fixture(scope="session")
def template() -> Template:
    return load_template()


@pytest.fixture(scope="session")
def cloudformation(template: Template) -> Template:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        return transformed(template)
