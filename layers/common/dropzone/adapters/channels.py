"""The channels of notifications: EventBridge, SNS and a webhook.

Webhooks follow Standard Webhooks (https://www.standardwebhooks.com): a POST of JSON with the headers webhook-id,
webhook-timestamp and webhook-signature, so that receivers can verify a call and recognize a repeated one.
"""

import hmac
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import to_json

from dropzone.domain.notifications import Change, summary
from dropzone.ports import UndeliverableError
from dropzone.settings import describe

SOURCE: Final = "dropzone"
BROKEN: Final = "Source Expectation Broken"
RESTORED: Final = "Source Expectation Restored"

# Of the function's 20 s, the webhook's secret may take 10, then its receiver 8.
_CONFIG = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
_ENTRIES = 10
_TRIES = 3
_TIMEOUT = urllib3.Timeout(connect=3.0, read=5.0)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PREFIX = "whsec_"


@contextmanager
def _calling(service: str) -> Iterator[None]:
    """Raise the errors of an AWS service as UndeliverableError."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise UndeliverableError(f"{service} answered {code}") from None
    except BotoCoreError as error:
        raise UndeliverableError(f"{service} could not be called: {type(error).__name__}") from None


class EventBus:
    """EventBridge: an event for each change."""

    def __init__(self, name: str) -> None:
        self._name, self._client = name, boto3.client("events", config=_CONFIG)

    def __call__(self, batch_id: str, changes: Sequence[Change]) -> None:  # noqa: ARG002 - events carry their own id
        """Put the events; those that the bus refuses are retried at once."""
        for page in batched(changes, _ENTRIES, strict=False):
            left: list[Any] = [self._entry(change) for change in page]
            for _ in range(_TRIES):
                left = self._refused(left)
                if not left:
                    break
            else:
                raise UndeliverableError(f"EventBridge refuses {len(left)} events")

    def _entry(self, change: Change) -> dict[str, Any]:
        detail = {**change.model_dump(mode="json"), "text": change.text}
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": BROKEN if change.is_broken else RESTORED,
            "Time": change.at,
            "Detail": to_json(detail).decode(),
        }

    def _refused(self, entries: list[Any]) -> list[Any]:
        with _calling("EventBridge"):
            results = self._client.put_events(Entries=entries)["Entries"]
        return [entry for entry, result in zip(entries, results, strict=True) if result.get("ErrorCode")]


class Topic:
    """SNS: a message for each batch."""

    def __init__(self, arn: str) -> None:
        self._arn, self._client = arn, boto3.client("sns", config=_CONFIG)

    def __call__(self, batch_id: str, changes: Sequence[Change]) -> None:
        """Publish the changes as text, with their batch as an attribute."""
        number = f"{len(changes)} sources have" if len(changes) > 1 else "a source has"
        with _calling("SNS"):
            self._client.publish(
                TopicArn=self._arn,
                Subject=f"Dropzone: {number} changed",
                Message=summary(changes),
                MessageAttributes={"batch_id": {"DataType": "String", "StringValue": batch_id}},
            )


class WebhookSecret(BaseModel):
    """The content of a webhook's secret, as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr
    """An HTTPS URL. Secret, since many contain a password or token."""
    key: SecretStr = Field(min_length=24)
    """`whsec_` and base64, or any text."""

    @field_validator("url")
    @classmethod
    def _travels_encrypted(cls, url: SecretStr) -> SecretStr:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError("must begin with https://")
        return url

    def signature(self, batch_id: str, timestamp: int, body: bytes) -> str:
        """The header webhook-signature: `v1,` and HMAC-SHA256 of identifier, time and body, in base64."""
        signed = hmac.digest(self._key(), b"%s.%d.%s" % (batch_id.encode(), timestamp, body), "sha256")
        return f"v1,{b64encode(signed).decode()}"

    def _key(self) -> bytes:
        text = self.key.get_secret_value()
        if text.startswith(_PREFIX):
            try:
                return b64decode(text.removeprefix(_PREFIX), validate=True)
            except Base64Error:
                raise UndeliverableError("the webhook's key starts with whsec_, but no base64 follows") from None
        return text.encode()


class Webhook:
    """An HTTPS endpoint: a signed POST for each batch. Redirects are not followed: they lead to another receiver."""

    def __init__(self, secret_arn: str) -> None:
        """The secret with this ARN is read on each call, so that a new one takes effect at once."""
        self._arn, self._client = secret_arn, boto3.client("secretsmanager", config=_CONFIG)
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)

    def __call__(self, batch_id: str, changes: Sequence[Change]) -> None:
        """Post the changes; any response other than a 2xx means that they are not delivered."""
        secret = self._secret()
        timestamp = int(time.time())
        body = to_json(
            {
                "type": "dropzone.sources",
                "timestamp": changes[0].at,
                "text": summary(changes),
                "data": {"changes": [{**change.model_dump(mode="json"), "text": change.text} for change in changes]},
            }
        )
        headers = {
            "content-type": "application/json",
            "user-agent": "dropzone",
            "webhook-id": batch_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": secret.signature(batch_id, timestamp, body),
        }
        try:
            # The response's body is not read: it is of no use, and may be endless.
            answer = self._http.request(
                "POST", secret.url.get_secret_value(), body=body, headers=headers, redirect=False, preload_content=False
            )
            answer.close()
        except urllib3.exceptions.HTTPError as error:
            # Without its message, which quotes the address.
            raise UndeliverableError(f"the webhook could not be called: {type(error).__name__}") from None
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - a status class
            raise UndeliverableError(f"the webhook answered {answer.status}")

    def _secret(self) -> WebhookSecret:
        with _calling("Secrets Manager"):
            secret = self._client.get_secret_value(SecretId=self._arn)
        try:
            return WebhookSecret.model_validate_json(secret["SecretString"])
        except KeyError:
            raise UndeliverableError("the webhook's secret holds no text") from None
        except ValidationError as error:
            raise UndeliverableError(f"the webhook's secret: {describe(error)}") from None
