from __future__ import annotations

from pathlib import Path

import pytest

from dropzone_local.environment import bare_environment, tool_environment

A_USERS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "real",
    "BOTO_CONFIG": "/home/someone/.boto",
    "HOME": "/home/someone",
    "HTTPS_PROXY": "http://proxy.example:3128",
    "PATH": "/usr/bin",
    "PGPASSWORD": "real",
    "PIP_CERT": "/etc/ssl/company.pem",
    "PYTHONPATH": "/somewhere",
    "SAM_CLI_POLL_DELAY": "9",
    "VIRTUAL_ENV": "/somewhere/.venv",
}


def test_tools_never_see_the_users_account() -> None:
    environment = tool_environment("http://127.0.0.1:4566", base=A_USERS_ENVIRONMENT)

    assert not set(environment.values()) & {"AKIAREAL", "production", "real"}
    assert "AWS_PROFILE" not in environment
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert environment["AWS_CONFIG_FILE"] == "/dev/null"


def test_without_an_emulator_aws_is_a_closed_port_of_this_machine() -> None:
    assert tool_environment(base={})["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"


@pytest.mark.parametrize("name", ["PYTHONPATH", "VIRTUAL_ENV", "PGPASSWORD", "SAM_CLI_POLL_DELAY", "BOTO_CONFIG"])
def test_tools_are_not_steered_by_settings_meant_for_others(name: str) -> None:
    assert name not in tool_environment(base=A_USERS_ENVIRONMENT)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "PIP_CERT", "HOME"])
def test_tools_keep_what_they_need_to_reach_the_package_index(name: str) -> None:
    assert tool_environment(base=A_USERS_ENVIRONMENT)[name] == A_USERS_ENVIRONMENT[name]


def test_a_folder_can_come_first_on_the_path() -> None:
    environment = tool_environment(first_on_path=Path("/opt/python/bin"), base=A_USERS_ENVIRONMENT)

    assert environment["PATH"] == "/opt/python/bin:/usr/bin"


def test_servers_get_nothing_of_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")

    assert set(bare_environment(Path("/home"))) == {"HOME", "LANG", "PATH", "TZ"}
