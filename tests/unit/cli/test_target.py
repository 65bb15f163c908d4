"""Which stack a command talks to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dropzone_cli.errors import CliError, ExitCode
from dropzone_cli.session import SessionOptions
from dropzone_cli.target import Target, resolve
from unit.cli.harness import KEY, LOCAL, REGION, STACK, URL, Cli, FakeApi, Stack

NOTHING = SessionOptions()


def find(options: SessionOptions = NOTHING, **environment: str) -> Target:
    names = {name: name if name.startswith("AWS_") else f"DROPZONE_{name}" for name in environment}
    return resolve(options, {names[name]: value for name, value in environment.items()}, Path.cwd())


def refused(options: SessionOptions = NOTHING, **environment: str) -> CliError:
    with pytest.raises(CliError) as caught:
        find(options, **environment)
    return caught.value


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize("folder", [".", "a/b/c"])
def test_the_local_stack_is_found_from_the_folder_upwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / folder)

    target = find()

    assert (target.url, target.api_key(), target.local) == (URL, KEY, True)
    resources = target.needed_resources()
    assert (resources.bucket, resources.queue_url, resources.dlq_url) == (
        LOCAL["bucket"],
        LOCAL["queue_url"],
        LOCAL["dlq_url"],
    )


def test_the_local_stacks_root_may_be_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "stack.json").write_text(json.dumps(LOCAL))

    assert find(ROOT=str(tmp_path / "root")).url == URL


@pytest.mark.usefixtures("local")
def test_the_local_clients_are_deaf_to_the_users_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.example.com")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:8080")
    (tmp_path / "no-config").write_text("[profile production]\nregion = ap-southeast-2\n")

    aws = find().needed_resources().aws
    clients: list[Any] = [aws.sqs(), aws.s3()]

    for client in clients:
        assert client.meta.endpoint_url == LOCAL["emulator_url"]
        assert client.meta.region_name == "us-east-1"
        assert client.meta.config.proxies == {}
        assert client._request_signer._credentials.access_key == "test"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": "http://127.0.0.1"}', "\x00"])
def test_a_broken_file_is_reported(local: Path, content: str) -> None:
    local.write_text(content)

    error = refused()

    assert str(local) in error.message
    assert "make up" in error.hint


def test_without_any_stack_the_ways_to_name_one_are_reported() -> None:
    error = refused()

    assert error.exit_code == ExitCode.OUT_OF_REACH
    for way in ("make up", "--stack-name", "DROPZONE_STACK_NAME", "DROPZONE_URL", "DROPZONE_API_KEY"):
        assert way in error.hint


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_stack_on_aws_by_name(make_stack: Callable[..., Stack], by: str) -> None:
    stack = make_stack("production")

    if by == "option":
        target = find(SessionOptions(stack_name="production", region=REGION))
    else:
        target = find(STACK_NAME="production", AWS_REGION=REGION)

    assert target.url == "https://abc.execute-api.eu-central-1.amazonaws.com/v1"
    assert (target.api_key(), target.local) == (KEY, False)
    resources = target.needed_resources()
    assert (resources.bucket, resources.queue_url, resources.dlq_url) == (stack.bucket, stack.queue_url, stack.dlq_url)


def test_the_option_goes_before_the_environment(make_stack: Callable[..., Stack]) -> None:
    make_stack("one", key_value="a-key-of-another-stack")
    make_stack("two")

    target = find(SessionOptions(stack_name="two", region=REGION), STACK_NAME="one", URL="https://three.example.com")

    assert target.name == "the stack two"


def test_ones_own_key_is_used_where_there_is_one(make_stack: Callable[..., Stack]) -> None:
    make_stack()

    assert find(SessionOptions(stack_name=STACK, region=REGION), API_KEY="my-own").api_key() == "my-own"


def test_a_stack_that_is_not_there(make_stack: Callable[..., Stack]) -> None:
    make_stack()

    error = refused(SessionOptions(stack_name="nowhere", region=REGION))

    assert error.message == "There is no stack nowhere in this account and region."
    assert "--region" in error.hint


@pytest.mark.parametrize(
    "output", ["ApiUrl", "ApiKeyId", "BronzeBucketName", "QueueUrl", "DeadLetterQueueUrl", "ReplayMachineArn"]
)
def test_a_stack_that_is_another_ones(make_stack: Callable[..., Stack], output: str) -> None:
    make_stack(without=output)

    assert output in refused(SessionOptions(stack_name=STACK, region=REGION)).message


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize("options", [SessionOptions(region="eu-west-1"), SessionOptions(aws_profile="x")])
def test_a_region_without_a_stack_is_no_local_one(options: SessionOptions) -> None:
    error = refused(options)

    assert error.exit_code == ExitCode.USAGE
    assert "--stack-name" in error.hint


@pytest.mark.usefixtures("local")
def test_an_address_and_a_key() -> None:
    target = find(URL="https://api.example.com/v1/", API_KEY="theirs")

    assert (target.url, target.api_key()) == ("https://api.example.com/v1", "theirs")
    with pytest.raises(CliError, match="DROPZONE_URL gives access only to the API"):
        target.needed_resources()


def test_an_address_without_a_key() -> None:
    with pytest.raises(CliError, match="DROPZONE_API_KEY isn't"):
        find(URL="https://api.example.com").api_key()


@pytest.mark.parametrize("url", ["api.example.com", "ftp://example.com", "https://", "https://me:pw@example.com"])
def test_what_is_no_address(url: str) -> None:
    error = refused(URL=url, API_KEY="x")

    assert error.exit_code == ExitCode.USAGE
    assert "pw" not in error.message + error.hint


def test_two_stacks_in_the_environment_are_one_too_many() -> None:
    assert refused(URL="https://api.example.com", STACK_NAME="one").exit_code == ExitCode.USAGE


@pytest.mark.usefixtures("local")
def test_the_key_is_not_in_a_targets_representation() -> None:
    assert KEY not in repr(find())


@pytest.mark.usefixtures("account")
def test_errors_of_aws_are_reported_in_words(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    # No region is set, and no profile of this name.
    result = cli("dlq", "list", "--stack-name", "x")
    assert (result.exit_code, "AWS_REGION" in result.stderr) == (3, True)

    result = cli("dlq", "list", "--stack-name", "x", "--aws-profile", "nobody")
    assert (result.exit_code, "nobody" in result.stderr) == (3, True)

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    result = cli("dlq", "list", "--stack-name", "x", "--region", REGION)
    assert (result.exit_code, "Sign in" in result.stderr) == (3, True)


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize("key", ["", "with blank", "with\nnewline", "schlüssel", "\x00"])
def test_a_key_that_can_be_none_is_refused_and_not_shown(cli: Cli, api: FakeApi, local: Path, key: str) -> None:
    local.write_text(json.dumps(LOCAL | {"api_key": key}))

    result = cli("sweep")

    assert result.exit_code == ExitCode.USAGE
    assert not api.requests
    assert not key or key not in result.output
