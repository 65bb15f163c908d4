"""boto3 clients of the emulator, deaf to the user's AWS settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.config import Config

from dropzone_local.environment import ACCESS_KEY, REGION, SECRET_KEY

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# No profile, no configuration file, no proxy: each of them could lead away from this machine.
_NO_FILES = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"total_max_attempts": 3, "mode": "standard"},
    proxies={},
    s3={"addressing_style": "path"},
)


class Clients:
    """Clients of one emulator, made when asked for."""

    def __init__(self, endpoint: str) -> None:
        """Remember where the emulator is; no connection is made yet."""
        self.endpoint = endpoint
        self._session = boto3.session.Session(
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            botocore_session=botocore.session.Session(session_vars=_NO_FILES),
        )

    def cloudformation(self) -> CloudFormationClient:
        """Return a client of CloudFormation."""
        return self._session.client("cloudformation", endpoint_url=self.endpoint, config=_CONFIG)

    def apigateway(self) -> APIGatewayClient:
        """Return a client of API Gateway's REST APIs."""
        return self._session.client("apigateway", endpoint_url=self.endpoint, config=_CONFIG)

    def lambda_(self) -> LambdaClient:
        """Return a client of Lambda."""
        return self._session.client("lambda", endpoint_url=self.endpoint, config=_CONFIG)

    def logs(self) -> CloudWatchLogsClient:
        """Return a client of CloudWatch Logs."""
        return self._session.client("logs", endpoint_url=self.endpoint, config=_CONFIG)

    def s3(self) -> S3Client:
        """Return a client of S3."""
        return self._session.client("s3", endpoint_url=self.endpoint, config=_CONFIG)

    def sqs(self) -> SQSClient:
        """Return a client of SQS."""
        return self._session.client("sqs", endpoint_url=self.endpoint, config=_CONFIG)

    def of(self, service: str) -> BaseClient:
        """Return a client of any service, by boto3's name for it."""
        client: BaseClient = self._session.client(service, endpoint_url=self.endpoint, config=_CONFIG)  # type: ignore[call-overload] # it knows literals alone
        return client
