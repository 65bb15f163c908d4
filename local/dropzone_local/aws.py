"""boto3 clients of the emulator, regardless of the user's AWS settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dropzone_cli.aws import Aws, emulator_session
from dropzone_local.environment import REGION

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_logs import CloudWatchLogsClient


class Clients(Aws):
    """Clients of one emulator, created on demand: those of the command line, and others."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(partial(emulator_session, REGION), endpoint)

    def logs(self) -> CloudWatchLogsClient:
        return self._session.client("logs", endpoint_url=self._endpoint, config=self._config)

    def of(self, service: str) -> BaseClient:
        """A client of any service, by boto3's name of it."""
        client: BaseClient = self._session.client(service, endpoint_url=self._endpoint, config=self._config)  # type: ignore[call-overload] # it knows literals alone
        return client
