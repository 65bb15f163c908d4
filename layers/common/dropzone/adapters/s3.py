"""S3 through obstore (the Rust object_store): a tenth of boto3's CPU a call (docs/adr/0003)."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import S3Config

_LONGEST_REASON = 200

# The client's errors have no fields. Only S3's status and code may be logged: the rest of the answer can quote headers
# of the request (SignatureDoesNotMatch shows the session's token).
_STATUS = re.compile(r"status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
_NOT_IN_A_HEADER = re.compile(r"[^\x20-\x7e]")


def open_store(bucket: str, region: str, endpoint: str | None, timeout_seconds: float) -> S3Store:
    """A bucket's client; it connects at its first call.

    Args:
        bucket: its name.
        region: the bucket's.
        endpoint: another S3 than AWS's, such as an emulator; credentials come from the environment either way.
        timeout_seconds: for a request, and after which no failed one is sent again.
    """
    config: S3Config = {"region": region}
    if endpoint is not None:
        config["endpoint"] = endpoint
    timeout = timedelta(seconds=timeout_seconds)
    return S3Store(
        bucket,
        config=config,
        client_options={
            "allow_http": endpoint is not None and endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=2),
            "timeout": timeout,
        },
        retry_config={
            "max_retries": 3,
            "retry_timeout": timeout,
            "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=1)},
        },
    )


def in_header(text: str) -> str:
    """The text with `?` for what a header can't hold: the client panics at it."""
    return _NOT_IN_A_HEADER.sub("?", text)


def status_of(error: Exception) -> str | None:
    """S3's status code; None if there was no answer."""
    match = _STATUS.search(str(error))
    return match[1] if match else None


def reason_of(error: Exception) -> str:
    """The error on one short line, without anything that S3's answer may quote."""
    if status := status_of(error):
        code = _CODE.search(str(error))
        return f"S3 answered {status}{f' {code[1]}' if code else ''}"
    summary = str(error).partition("Debug source")[0]
    return f"{type(error).__name__}: {' '.join(summary.split())[:_LONGEST_REASON]}"
