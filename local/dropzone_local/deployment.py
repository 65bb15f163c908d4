"""The project's template on the emulator: deployed if something changed, and found again."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from dropzone_cli.aws import error_code
from dropzone_cli.keys import SCOPES, Keys
from dropzone_cli.target import outputs_of
from dropzone_local import sam
from dropzone_local.aws import Clients
from dropzone_local.bronze import ObjectKeeper
from dropzone_local.emulator import Emulator, answers
from dropzone_local.environment import REGION
from dropzone_local.errors import LocalStackError
from dropzone_local.files import read_json, write_json

STACK_NAME = "dropzone"

_STANDING = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
_UPDATABLE = _STANDING | {"UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}
_HEALTH_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses and names of a running stack's parts: the content of `stack.json`."""

    url: str
    api_key: str
    database_url: str
    emulator_url: str
    bucket: str
    queue_url: str
    dlq_url: str
    replay_function: str
    replay_machine: str
    region: str = REGION

    def document(self) -> dict[str, object]:
        return asdict(self)


class Deployment:
    """A stack on an emulator. Other stacks on it are not affected, unless it has to start empty."""

    def __init__(self, emulator: Emulator, *, project: Path, root: Path, stack: str = STACK_NAME) -> None:
        """For the template of `project`; what was deployed is recorded under `root`."""
        self._emulator = emulator
        self._stack = stack
        self._project = project
        self._record = root / "deployed.json"
        self._log = root / "sam-deploy.log"
        self._parameters = root / "parameters.yaml"

    @property
    def clients(self) -> Clients:
        return _clients_of(self._emulator.endpoint)

    @property
    def is_deployed(self) -> bool:
        """Return whether the stack exists and its last deployment succeeded."""
        return self._find()[1] in _STANDING

    def prepare(self) -> None:
        """Have the emulator load what a deployment needs, which takes seconds; otherwise the first call does so.

        CloudFormation imports every service whose resources it can create.
        """
        self._find()

    def deploy(self, build: sam.Build, parameters: Mapping[str, str], begin: Callable[[], None] = lambda: None) -> bool:
        """Deploy unless the emulator has exactly this already; call `begin` before. Return whether it was needed."""
        content = json.dumps([build.fingerprint, self._stack, sorted(parameters.items())])
        wanted = {"fingerprint": hashlib.sha256(content.encode()).hexdigest()}
        identifier, status = self._find()
        if status in _STANDING and read_json(self._record) == wanted | {"stack": identifier}:
            return False
        begin()
        self._record.unlink(missing_ok=True)
        keeper = ObjectKeeper(self._emulator)
        # If a crash lost the stack but left its bucket, or if its creation failed or was interrupted, CloudFormation
        # can only delete it, which on this emulator deletes the objects as well.
        if keeper.has_work if status is None else status not in _UPDATABLE:
            self._start_empty(keeper)
        write_json(self._parameters, dict(parameters))  # JSON is YAML, which SAM reads
        try:
            sam.deploy(
                build,
                project=self._project,
                endpoint=self._emulator.endpoint,
                stack=self._stack,
                parameters=self._parameters,
                log=self._log,
            )
        except LocalStackError as error:
            raise self._explained(error) from error
        correct_event_sources(self.clients, enabled=parameters.get("ProcessEnabled", "true") == "true")
        identifier, _ = self._find()
        bucket = self.outputs()["BronzeBucketName"]
        if keeper.keeps:
            self._emulator.stop()
            keeper.put_back(bucket)
            self._emulator.start()
        else:
            self._emulator.save()
        write_json(self._record, wanted | {"stack": identifier})
        return True

    def outputs(self) -> Mapping[str, str]:
        return outputs_of(self.clients.cloudformation().describe_stacks(StackName=self._stack)["Stacks"][0])

    def endpoints(self, database_url: str) -> Endpoints:
        outputs = self.outputs()
        try:
            key = self.clients.apigateway().get_api_key(apiKey=outputs["ApiKeyId"], includeValue=True)
            api = f"{outputs['ApiId']}/{outputs['ApiStage']}"
            return Endpoints(
                url=f"{self._emulator.endpoint}/restapis/{api}/_user_request_",
                api_key=key["value"],
                database_url=database_url,
                emulator_url=self._emulator.endpoint,
                bucket=outputs["BronzeBucketName"],
                queue_url=outputs["QueueUrl"],
                dlq_url=outputs["DeadLetterQueueUrl"],
                replay_function=outputs["ReplayFunctionName"],
                replay_machine=outputs["ReplayMachineArn"],
            )
        except KeyError as error:
            raise LocalStackError(f"The template has no output {error}, which the local stack needs.") from error

    def keys(self) -> Mapping[str, str]:
        """Return a key for each scope, by scope; make missing ones."""
        outputs, gateway = self.outputs(), self.clients.apigateway()
        keys = Keys(self.clients, outputs["BronzeBucketName"], outputs["ApiId"])
        listed = {entry["name"]: entry for entry in keys.entries()}
        found = {}
        for scope in SCOPES:
            entry = listed.get(f"local-{scope}")
            if entry is None:
                found[scope] = keys.create({"name": f"local-{scope}", "scopes": [scope]}).value
            else:
                found[scope] = gateway.get_api_key(apiKey=entry["key_id"], includeValue=True)["value"]
        return found

    def _find(self) -> tuple[str | None, str | None]:
        """Return the stack's identifier and status; None for both if there is none."""
        try:
            stack = self.clients.cloudformation().describe_stacks(StackName=self._stack)["Stacks"][0]
        except ClientError as error:
            if error_code(error) == "ValidationError":
                return None, None
            raise
        return stack.get("StackId"), stack["StackStatus"]

    def _explained(self, error: LocalStackError) -> LocalStackError:
        """Return the error with the resources that failed and why, if CloudFormation reports them."""
        try:
            pages = self.clients.cloudformation().get_paginator("describe_stack_events").paginate(StackName=self._stack)
            events = [event for page in pages for event in page["StackEvents"]]
        except (BotoCoreError, ClientError):
            return error
        reasons = []
        for event in events:  # the newest first
            if event.get("ResourceStatusReason") == "User Initiated":
                break
            if event.get("ResourceStatus", "").endswith("_FAILED"):
                reasons.append(
                    f"{event.get('LogicalResourceId')}: {event.get('ResourceStatusReason', 'no reason given')}"
                )
        if not reasons:
            return error
        return LocalStackError("The template could not be deployed.", detail="\n".join(reasons[::-1]), hint=error.hint)

    def _start_empty(self, keeper: ObjectKeeper) -> None:
        self._emulator.stop()
        keeper.move_away()
        self._emulator.forget()
        self._emulator.start()


@cache
def _clients_of(endpoint: str) -> Clients:
    # Cached, since opening a session takes as long as all calls of a deployment.
    return Clients(endpoint)


def api_answers(url: str) -> bool:
    """Return whether the API's health check answers, which means that a function can start."""
    return answers(f"{url}/health", _HEALTH_SECONDS)


def correct_event_sources(clients: Clients, *, enabled: bool) -> None:
    """Set numbers and a boolean in event source mappings that have parameters in the template.

    CloudFormation's parameters are text, and MiniStack 1.5.33 keeps them as text. Comparing "5" with a number ends each
    round of its poller, so that no message is ever delivered; a mapping with "false" is enabled.
    """
    client = clients.lambda_()
    for page in client.get_paginator("list_event_source_mappings").paginate():
        for mapping in page["EventSourceMappings"]:
            concurrency = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
            client.update_event_source_mapping(
                UUID=mapping["UUID"],
                Enabled=enabled,
                BatchSize=int(mapping["BatchSize"]),
                MaximumBatchingWindowInSeconds=int(mapping.get("MaximumBatchingWindowInSeconds", 0)),
                ScalingConfig={"MaximumConcurrency": int(concurrency)} if concurrency is not None else {},
            )
