"""A client as users have one, and a look behind the scenes: the bucket, the database, the logs."""

import json
from typing import Any, Self
from uuid import UUID

import httpx

from dropzone_cli.aws import Aws
from dropzone_cli.keys import Keys
from dropzone_local.aws import Clients
from dropzone_local.deployment import STACK_NAME, Endpoints
from dropzone_local.polling import wait_until
from dropzone_local.stack import LocalStack

DEADLINE_SECONDS = 60.0
BOUND = "bound-hall"
"""Below which the bound key may write and read."""
EXAMPLE = b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}'


class Client:
    """Talks to one stack."""

    def __init__(self, stack: LocalStack) -> None:
        endpoints = stack.endpoints
        assert endpoints is not None
        self.stack = stack
        self.endpoints: Endpoints = endpoints
        self.clients = Clients(endpoints.emulator_url)
        self.http = httpx.Client(timeout=60.0)
        self.deadline_seconds = DEADLINE_SECONDS
        self.keys: dict[str, str] = {}
        """By what they may do, once they are made."""

    def make_keys(self) -> None:
        """Make a key for each scope, as `make run` does, and two that are bound, as the command line does."""
        self.keys = dict(self.stack.deployment.keys())
        keys = self.key_keeper
        self.keys["bound"] = keys.create(
            {"name": "bound", "scopes": ["ingest", "read"], "writes": [f"{BOUND}/*"], "reads": [f"{BOUND}/*"]}
        ).value
        self.keys["expired"] = keys.create(
            {"name": "expired", "scopes": ["ingest"], "expires": "2020-01-01T00:00:00Z"}
        ).value

    @property
    def key_keeper(self) -> Keys:
        """Return what the command line manages keys and entries with."""
        return Keys(
            Aws.local(self.endpoints.emulator_url, self.endpoints.region),
            self.endpoints.bucket,
            self.stack.deployment.outputs()["ApiId"],
        )

    @property
    def signed_api_id(self) -> str:
        """Return the identifier of the API for those who sign in."""
        return httpx.URL(self.stack.deployment.outputs()["SignedApiUrl"]).host.partition(".")[0]

    @property
    def signed_url(self) -> str:
        """Return where the API for those who sign in is on this machine."""
        return f"{self.endpoints.emulator_url}/_aws/execute-api/{self.signed_api_id}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def request(
        self, method: str, path: str, body: bytes | None = None, *, key: str | None = "", **headers: str
    ) -> httpx.Response:
        """Send a request with the stack's key; another one, or None, where `key` says so."""
        api_key = self.endpoints.api_key if key == "" else key
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if api_key is not None:
            names["x-api-key"] = api_key
        return self.http.request(method, f"{self.endpoints.url}{path}", content=body, headers=names)

    def ingest(self, body: bytes) -> UUID:
        """Send an event that is taken in."""
        response = self.request("POST", "/ingest", body, content_type="application/json")
        assert response.status_code == 202, response.text
        return UUID(response.json()["raw_id"])

    def process(self, **parameters: object) -> dict[str, Any]:
        """Process a batch."""
        response = self.request("POST", "/process", json.dumps(parameters).encode())
        assert response.status_code == 200, response.text
        counts: dict[str, Any] = response.json()
        return counts

    def process_all(self, **parameters: object) -> list[dict[str, Any]]:
        """Process batch after batch, from cursor to cursor."""
        answers = [self.process(**parameters)]
        while "cursor" in answers[-1]:
            answers.append(self.process(**parameters, cursor=answers[-1]["cursor"]))
        return answers

    def bronze_keys(self) -> set[str]:
        """Every key in bronze."""
        pages = self.clients.s3().get_paginator("list_objects_v2").paginate(Bucket=self.endpoints.bucket)
        return {entry["Key"] for page in pages for entry in page.get("Contents", [])}

    def query(self, sql: str, **parameters: object) -> list[list[Any]]:
        """Ask the database."""
        with self.stack.postgres.connect() as connection:
            rows: list[list[Any]] = connection.run(sql, **parameters)
            return rows

    def outcome(self, raw_id: UUID) -> str:
        """Wait for the outcome of an object's event."""
        # To sign in takes longer than to ask.
        with self.stack.postgres.connect() as connection:
            rows = wait_until(
                lambda: connection.run("SELECT outcome FROM outcomes WHERE raw_id = :raw_id", raw_id=raw_id) or None,
                seconds=self.deadline_seconds,
            )
        assert rows is not None, f"{raw_id} has no outcome after {self.deadline_seconds} s"
        return str(rows[0][0])

    def log_lines(self, needle: str, function: str) -> list[str]:
        """Wait for the log lines of a function (its logical name) that contain a text."""
        resource = self.clients.cloudformation().describe_stack_resource(
            StackName=STACK_NAME, LogicalResourceId=f"{function}Logs"
        )
        group = resource["StackResourceDetail"]["PhysicalResourceId"]

        def probe() -> list[str] | None:
            pages = self.clients.logs().get_paginator("filter_log_events").paginate(logGroupName=group)
            return [
                event["message"].rstrip() for page in pages for event in page["events"] if needle in event["message"]
            ] or None

        lines = wait_until(probe, seconds=self.deadline_seconds)
        assert lines is not None, f"no line of {function} has {needle}"
        return lines
