"""boto3 clients: for an account, or for the local emulator, regardless of the user's AWS settings."""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING

from dropzone_cli.errors import CliError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from boto3.session import Session
    from botocore.config import Config, _RetryDict
    from botocore.exceptions import ClientError
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

_SIGN_IN_HINT = "Sign in again, or choose a profile: --aws-profile NAME, or AWS_PROFILE."
_ACCESS_HINT = "Ask for this permission (docs/cli.md lists them), or choose another profile: --aws-profile NAME."
_PURGE_HINT = "SQS purges a queue at most once a minute: wait, then try again."
_UP_HINT = "Is it up? make up starts the local stack. On AWS, check the network and the region (--region)."
_REACH_HINT = "Check the network and the region (--region, or AWS_REGION), and run the command again."
_HINTS = {
    "ProfileNotFound": "aws configure list-profiles lists the existing ones.",
    "EndpointConnectionError": _UP_HINT,
    "ConnectTimeoutError": _UP_HINT,
    "NoRegionError": "Name the region: --region, or AWS_REGION.",
    "NoCredentialsError": _SIGN_IN_HINT,
    "ExpiredToken": _SIGN_IN_HINT,
    "ExpiredTokenException": _SIGN_IN_HINT,
    "InvalidClientTokenId": _SIGN_IN_HINT,
    "UnrecognizedClientException": _SIGN_IN_HINT,
    "AccessDenied": _ACCESS_HINT,
    "AccessDeniedException": _ACCESS_HINT,
    "AWS.SimpleQueueService.PurgeQueueInProgress": _PURGE_HINT,
    "PurgeQueueInProgress": _PURGE_HINT,
}


def emulator_session(region: str) -> Session:
    """A session for any emulator: no profile or configuration file can redirect it away from this machine."""
    import boto3.session
    import botocore.session

    no_files = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.session.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator takes any
        region_name=region,
        botocore_session=botocore.session.Session(session_vars=no_files),
    )


class Aws:
    """Clients of one account and region, created on demand."""

    def __init__(self, open_session: Callable[[], Session], endpoint: str | None = None) -> None:
        """`open_session` is called for the first client; `endpoint` replaces those of all services."""
        self._open_session = open_session
        self._endpoint = endpoint

    @cached_property
    def _session(self) -> Session:
        return self._open_session()

    @cached_property
    def _config(self) -> Config:
        from botocore.config import Config

        retries: _RetryDict = {"total_max_attempts": 5, "mode": "standard"}
        if self._endpoint is None:
            return Config(connect_timeout=10, read_timeout=60, retries=retries)
        return Config(connect_timeout=5, read_timeout=30, retries=retries, proxies={}, s3={"addressing_style": "path"})

    @classmethod
    def account(cls, *, profile: str | None, region: str | None) -> Aws:
        """Use the user's account, like the AWS CLI."""

        def open_session() -> Session:
            import boto3.session

            return boto3.session.Session(profile_name=profile, region_name=region)

        return cls(open_session)

    @classmethod
    def local(cls, endpoint: str, region: str) -> Aws:
        """Use the emulator; see `emulator_session`."""
        return cls(partial(emulator_session, region), endpoint)

    def cloudformation(self) -> CloudFormationClient:
        return self._session.client("cloudformation", endpoint_url=self._endpoint, config=self._config)

    def apigateway(self) -> APIGatewayClient:
        return self._session.client("apigateway", endpoint_url=self._endpoint, config=self._config)

    def lambda_(self) -> LambdaClient:
        return self._session.client("lambda", endpoint_url=self._endpoint, config=self._config)

    def stepfunctions(self) -> SFNClient:
        return self._session.client("stepfunctions", endpoint_url=self._endpoint, config=self._config)

    def s3(self) -> S3Client:
        return self._session.client("s3", endpoint_url=self._endpoint, config=self._config)

    def sqs(self) -> SQSClient:
        return self._session.client("sqs", endpoint_url=self._endpoint, config=self._config)


def get_object(client: S3Client, bucket: str, key: str) -> GetObjectOutputTypeDef | None:
    """Get an object from S3; None if there is none."""
    try:
        return client.get_object(Bucket=bucket, Key=key)
    except client.exceptions.ClientError as error:
        if error_code(error) in {"NoSuchKey", "404"}:
            return None
        raise


def error_code(error: ClientError) -> str:
    """AWS's code of an error."""
    return error.response.get("Error", {}).get("Code", "Error")


def explained(error: Exception) -> CliError | None:
    """Explain an error of boto3; None for any other error."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        code = error_code(error)
        message = f"AWS refuses {error.operation_name}: {error.response.get('Error', {}).get('Message') or code}"
        return CliError(message, hint=_HINTS.get(code, f"AWS calls it {code}."), exit_code=ExitCode.OUT_OF_REACH)
    if isinstance(error, BotoCoreError):
        return CliError(str(error), hint=_HINTS.get(type(error).__name__, _REACH_HINT))
    return None
