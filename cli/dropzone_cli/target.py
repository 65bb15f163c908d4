"""The stack that a command uses: one on AWS by name, an API by its address, or the local one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dropzone_cli import aws as clients
from dropzone_cli.aws import Aws
from dropzone_cli.errors import CliError, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_cloudformation.type_defs import StackTypeDef

    from dropzone_cli.session import SessionOptions

URL = "DROPZONE_URL"
API_KEY = "DROPZONE_API_KEY"
STACK_NAME = "DROPZONE_STACK_NAME"
ROOT = "DROPZONE_ROOT"
LOCAL_FILE = Path(".local") / "stack.json"

_IN_LOCAL_FILE = ("bucket", "queue_url", "dlq_url", "replay_function", "replay_machine")

_NOT_FOUND_HINT = (
    f"Start the local one (make up), name one on AWS (--stack-name, or {STACK_NAME}), "
    f"or give the API's address ({URL}, {API_KEY})."
)


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of a stack besides its API, and the clients to access them."""

    aws: Aws
    bucket: str
    queue_url: str
    dlq_url: str
    api_id: str
    replay_function: str
    replay_machine: str


@dataclass(frozen=True, slots=True)
class Target:
    """A stack. Its key is looked up when needed, and never shown."""

    name: str
    url: str
    api_key: Callable[[], str] = field(repr=False)
    key_source: str
    resources: Resources | None = None
    local: bool = False

    def needed_resources(self) -> Resources:
        """Return the resources of the stack besides its API.

        Raises:
            CliError: only the API's address is known.
        """
        if self.resources is None:
            message = f"{URL} gives access only to the API, but this command also needs the stack's queue or bucket."
            raise usage(message, f"Unset {URL}, and name the stack: --stack-name, or {STACK_NAME}.")
        return self.resources


def resolve(options: SessionOptions, environment: Mapping[str, str], folder: Path) -> Target:
    """Find the stack: by options, then environment variables, then `.local/stack.json` from the folder upwards.

    Raises:
        CliError: there is none, or the choice is ambiguous.
    """
    key = environment.get(API_KEY)
    if options.stack_name:
        return _on_aws(options, options.stack_name, environment, key)
    url, name = environment.get(URL), environment.get(STACK_NAME)
    if url and name:
        raise usage(f"{URL} and {STACK_NAME} are both set and may mean two stacks.", "Unset one of them.")
    if name:
        return _on_aws(options, name, environment, key)
    if options.region or options.aws_profile:
        message = "--region and --aws-profile apply to a stack on AWS, but none is named."
        raise usage(message, f"Name it: --stack-name, or {STACK_NAME}.")
    if url:
        return _by_url(url, key)
    return _local(environment.get(ROOT), folder)


def _on_aws(options: SessionOptions, name: str, environment: Mapping[str, str], key: str | None) -> Target:
    account = Aws.account(profile=options.aws_profile, region=options.region or environment.get("AWS_REGION") or None)
    outputs = _outputs(account, name)
    try:
        key_id = outputs["ApiKeyId"]
        resources = Resources(
            account,
            bucket=outputs["BronzeBucketName"],
            queue_url=outputs["QueueUrl"],
            dlq_url=outputs["DeadLetterQueueUrl"],
            api_id=outputs["ApiId"],
            replay_function=outputs["ReplayFunctionName"],
            replay_machine=outputs["ReplayMachineArn"],
        )
        url = outputs["ApiUrl"].rstrip("/")
    except KeyError as error:
        message = f"The stack {name} has no output {error}: it is not Dropzone's, or it has another version."
        raise CliError(message, hint="Check the name, or deploy this version.") from None

    def api_key() -> str:
        return key or account.apigateway().get_api_key(apiKey=key_id, includeValue=True)["value"]

    source = API_KEY if key else f"the key {key_id} of API Gateway"
    return Target(f"the stack {name}", url, api_key, source, resources)


def _outputs(account: Aws, name: str) -> dict[str, str]:
    try:
        stack = account.cloudformation().describe_stacks(StackName=name)["Stacks"][0]
    except Exception as error:
        explained = clients.explained(error)
        if explained is not None and "does not exist" in explained.message:
            message = f"There is no stack {name} in this account and region."
            hint = "Check the name, --region (or AWS_REGION) and --aws-profile (or AWS_PROFILE)."
            raise CliError(message, hint=hint) from None
        raise
    return outputs_of(stack)


def outputs_of(stack: StackTypeDef) -> dict[str, str]:
    """The outputs of a stack by name."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _by_url(url: str, key: str | None) -> Target:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        message = f"{URL} is not the URL of an API."
        raise usage(message, "It looks like https://abc123.execute-api.eu-central-1.amazonaws.com/v1")

    def needed_key() -> str:
        if not key:
            raise usage(f"{URL} is set, and {API_KEY} isn't.", "Set it to a key of this API.")
        return key

    return Target(parts.hostname, url.rstrip("/"), needed_key, API_KEY)


def _local(root: str | None, folder: Path) -> Target:
    if root:
        file: Path | None = Path(root) / LOCAL_FILE.name
    else:
        above = (parent / LOCAL_FILE for parent in (folder, *folder.parents))
        file = next((found for found in above if found.is_file()), None)
    if file is None or not file.is_file():
        message = f"{file} is not there: the local stack is down." if file else "No stack was found."
        raise CliError(message, hint=_NOT_FOUND_HINT)
    try:
        document = json.loads(file.read_bytes())
        url, api_key = str(document["url"]).rstrip("/"), str(document["api_key"])
        resources = Resources(
            Aws.local(document["emulator_url"], document["region"]),
            # …/restapis/<api id>/<stage>/_user_request_
            api_id=url.partition("/restapis/")[2].partition("/")[0],
            **{name: str(document[name]) for name in _IN_LOCAL_FILE},
        )
    except (OSError, ValueError, KeyError, TypeError):
        message = f"{file} can't be read or is incomplete."
        raise CliError(message, hint="Recreate it: make down, then make up.") from None
    return Target("the local stack", url, lambda: api_key, str(file), resources, local=True)
