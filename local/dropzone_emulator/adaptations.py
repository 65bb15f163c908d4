"""Corrections, within MiniStack's process, of differences of version 1.5.33 from AWS that affect this application.

On import of this module, each function below replaces one of MiniStack's, which it gets as its first argument.
docs/local.md lists them, and the remaining differences.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
import zipfile
from functools import partial, wraps
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ministack import app
from ministack.core import iam_evaluator, lambda_runtime
from ministack.core.responses import get_region
from ministack.core.router import extract_access_key_id
from ministack.services import apigateway as http_gateway
from ministack.services import apigateway_v1 as gateway
from ministack.services import cloudwatch_logs, lambda_svc, s3

from dropzone_emulator.content_codings import TooLargeError, UnsupportedMediaTypeError, decompressed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SAVE_PATH = "/_dropzone/save"
_LAMBDA_REQUEST_BYTES = 6 * 1024 * 1024
_NOBODY = dict.fromkeys(("accessKey", "accountId", "caller", "principalOrgId", "user", "userArn"))


def _replaces(module: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace a function of MiniStack."""

    def put[F: Callable[..., Any]](function: F) -> F:
        original = getattr(module, name)
        setattr(module, name, wraps(original)(partial(function, original)))
        return function

    return put


@_replaces(gateway, "_execute_in_scope")
async def _decompress_requests(
    execute: Callable[..., Awaitable[Any]],
    request: dict[str, Any],
    api_id: str,
    stage_name: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    *rest: object,
) -> Any:
    try:
        body = decompressed(body, headers.get("content-encoding"))
    except (UnsupportedMediaTypeError, TooLargeError) as error:
        request["stage"] = gateway._stages_v1.get(api_id, {}).get(stage_name)
        if request["stage"]:
            return _refusal(error)
    return await execute(request, api_id, stage_name, method, path, headers, body, *rest)


def _refusal(error: UnsupportedMediaTypeError | TooLargeError) -> Any:
    if isinstance(error, TooLargeError):
        return gateway._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
    return gateway._gw_error("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type")


@_replaces(gateway, "_media_type_matches")
def _take_what_is_not_named_for_json(
    matches: Callable[[str, list[str]], bool], media_type: str | None, binary_media_types: list[str]
) -> bool:
    """API Gateway treats a request without Content-Type or Accept as application/json, which `*/*` covers."""
    return matches(media_type or "application/json", binary_media_types)


@_replaces(gateway, "_resolve_api_key")
def _heed_disabled_keys(resolve: Callable[[str], dict[str, Any] | None], value: str) -> dict[str, Any] | None:
    """A disabled key gives no access. Patch operations are text, and the emulator treats a "false" as true."""
    key = resolve(value)
    return key if key and str(key.get("enabled", True)).lower() == "true" else None


@_replaces(gateway, "_build_lambda_event_v1")
def _name_the_key(build: Callable[..., dict[str, Any]], api_id: str, *parts: Any, **named: Any) -> dict[str, Any]:
    """API Gateway passes the request's API key to the function, and events of a REST API have no version."""
    event = build(api_id, *parts, **named)
    if gateway.find_api_scope(api_id) is None:
        return event
    # Only events of an HTTP API have one, by which the functions recognize signed-in callers.
    del event["version"]
    key = gateway._resolve_api_key(gateway._api_key_from_request(event["headers"]))
    if key:
        event["requestContext"]["identity"] |= {"apiKey": key["value"], "apiKeyId": key["id"]}
    return event


# An integration of an HTTP API with `PayloadFormatVersion: "1.0"` gets events and returns responses in that format:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html


@_replaces(gateway, "_build_lambda_event_v1")
def _build_events_of_http_apis(
    build: Callable[..., dict[str, Any]], api_id: str, *parts: Any, **named: Any
) -> dict[str, Any]:
    if http_gateway.find_api_scope(api_id) is None:
        return build(api_id, *parts, **named)
    *_, headers, _, _, _ = parts
    # An HTTP API has no binary types: whether a request is text depends on its Content-Type, and responses are bytes.
    text = http_gateway._v2_request_body_is_text(headers.get("content-type"))
    event = build(api_id, *parts, **named | {"binary_media_types": [] if text else ["*/*"]})
    context = event["requestContext"]
    context |= {"domainName": f"{api_id}.execute-api.{http_gateway._HOST}", "domainPrefix": api_id}
    if context["stage"] == "$default":
        context["path"] = event["path"]
    context["identity"] = _NOBODY | context["identity"]
    return event


@_replaces(http_gateway, "_invoke_lambda_proxy")
async def _heed_the_payload_format(
    invoke: Callable[..., Awaitable[Any]], integration: dict[str, Any], *parts: Any, **named: Any
) -> Any:
    if integration.get("payloadFormatVersion") != "1.0":
        return await invoke(integration, *parts, **named)
    api_id, stage, path, method, headers, body, query, route_key, path_parameters = parts
    claims = named["authorizer_claims"]
    return await gateway._invoke_lambda_proxy_v1(
        {"uri": integration["integrationUri"]},
        api_id,
        stage,
        {"variables": http_gateway._get_stage_variables(api_id, stage)},
        {"id": route_key, "path": route_key.rpartition(" ")[2]},
        path,
        method,
        headers,
        body,
        query,
        path_parameters,
        owner_account_id=named["owner_account_id"],
        owner_region=named["owner_region"],
        binary_media_types=["*/*"],
        authorizer_context={
            "claims": claims and {name: http_gateway._jwt_claim_to_string(value) for name, value in claims.items()},
            "scopes": named["authorizer_scopes"] or None,
        },
        caller_identity=named["authorizer_iam"] and gateway._iam_caller_identity(headers, query),
    )


# Lambda accepts requests of up to 6 MB, and API Gateway responds 413 to larger ones.


@_replaces(gateway, "_call_lambda_raw")
async def _limit_requests_of_functions(
    call: Callable[..., Awaitable[Any]], function_ref: str, event: dict[str, Any], **named: Any
) -> Any:
    if len(json.dumps(event)) > _LAMBDA_REQUEST_BYTES:
        raise TooLargeError
    return await call(function_ref, event, **named)


@_replaces(gateway, "_invoke_lambda_proxy_v1")
async def _answer_what_is_too_large(invoke: Callable[..., Awaitable[Any]], *parts: Any, **named: Any) -> Any:
    try:
        return await invoke(*parts, **named)
    except TooLargeError as error:
        return _refusal(error)


@_replaces(gateway, "_import_rest_api")
def _import_gateway_responses(
    import_api: Callable[..., str], spec: dict[str, Any], base_data: dict[str, Any] | None = None
) -> str:
    """An API's document may include its gateway responses."""
    api_id = import_api(spec, base_data)
    for response_type, response in spec.get("x-amazon-apigateway-gateway-responses", {}).items():
        gateway._put_gateway_response(api_id, response_type, response)
    return api_id


@_replaces(iam_evaluator, "_resolve_condition_key")
def _name_the_role(resolve: Callable[[str, Any], Any], key: str, context: Any) -> Any:
    """IAM compares `aws:PrincipalArn` with the ARN of a session's role, not with that of the session.

    Requests also count as sent over TLS, though on the loopback interface none is: this machine has no certificate.
    """
    name = key.lower()
    if name == "aws:securetransport":
        return "true"
    if name == "aws:principalarn" and context.principal_type == "AssumedRole":
        return _role_arn(context.principal_arn)
    return resolve(key, context)


def _role_arn(session_arn: str) -> str:
    """The ARN of the role in `arn:aws:sts::<account>:assumed-role/<role>/<session>`."""
    _, partition, _, _, account, resource = session_arn.split(":", 5)
    return f"arn:{partition}:iam::{account}:role/{resource.split('/')[1]}"


@_replaces(s3, "handle_request")
async def _deny_what_is_missing(
    handle: Callable[..., Awaitable[tuple[int, dict[str, str], bytes]]],
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query_params: dict[str, list[str]],
    **named: Any,
) -> tuple[int, dict[str, str], bytes]:
    """S3 responds 403 for a missing object if the caller may not list the bucket (without a prefix)."""
    answer = await handle(method, path, headers, body, query_params, **named)
    bucket, _, key = path.lstrip("/").partition("/")
    if app.AUTH and method in {"GET", "HEAD"} and key and answer[0] == HTTPStatus.NOT_FOUND:
        caller = extract_access_key_id(headers, query_params)
        if iam_evaluator.enforce(caller, "s3:ListBucket", "s3", get_region(), f"arn:aws:s3:::{bucket}"):
            denied: tuple[int, dict[str, str], bytes] = s3._error("AccessDenied", "Access Denied", 403, path)
            return denied
    return answer


@_replaces(lambda_svc, "_emit_lambda_logs")
def _log_to_groups_that_are_there(emit: Callable[..., None], func: dict[str, Any], *rest: Any, **named: Any) -> None:
    """A function logs to its configured group; none of our roles may create one, which would outlive the stack."""
    group = ((func.get("config") or func).get("LoggingConfig") or {}).get("LogGroup")
    if group is None or group in cloudwatch_logs._log_groups:
        emit(func, *rest, **named)


class _UnpackedOnce(zipfile.ZipFile):
    """A function's processes share its unpacked code, like Lambda's containers share that of a layer.

    The emulator would unpack 35 MB for each, which takes longer than the function's own start. Nothing writes there:
    the build includes the bytecode.
    """

    _shared = Path(tempfile.gettempdir()) / "unpacked"
    # Processes of different functions that start at the same time have the same layer.
    _unpacking = threading.Lock()

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        target = Path(path)
        with Path(str(self.filename)).open("rb") as file:
            content = self._shared / hashlib.file_digest(file, "sha256").hexdigest()
        with self._unpacking:
            if not content.exists():
                self._shared.mkdir(exist_ok=True)
                with tempfile.TemporaryDirectory(dir=self._shared) as unfinished:
                    whole = Path(unfinished) / "whole"
                    super().extractall(whole, members, pwd)
                    whole.rename(content)
        target.rmdir()
        target.symlink_to(content, target_is_directory=True)


lambda_runtime.zipfile = SimpleNamespace(**vars(zipfile) | {"ZipFile": _UnpackedOnce})


@_replaces(app, "app")
async def _save_when_asked(
    serve: Callable[..., Awaitable[None]], scope: dict[str, Any], receive: Any, send: Callable[[Any], Awaitable[None]]
) -> None:
    """The emulator writes its state when it ends. This request makes it do so after a deployment, without a restart."""
    if scope.get("path") != _SAVE_PATH:
        await serve(scope, receive, send)
        return
    app.save_all(app._build_persistence_save_dict())
    await send({"type": "http.response.start", "status": HTTPStatus.NO_CONTENT, "headers": []})
    await send({"type": "http.response.body"})
