"""A client of the API, which retries what can be retried, and explains errors."""

from __future__ import annotations

import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias
from uuid import UUID

import httpx

from dropzone_cli.errors import CliError, ExitCode
from dropzone_cli.formats import received_at
from dropzone_cli.instants import rfc3339
from dropzone_cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dropzone_cli.target import Target

Document: TypeAlias = dict[str, Any]

PAGE = 200
"""The number of objects per call of POST /process: small enough to show progress, and to repeat a call cheaply."""

_RETRIED = frozenset({408, 425, 429, *range(500, 600)})
_QUOTA = "urn:dropzone:problem:quota-exceeded"
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 20.0
# A mistyped address, or a stack that isn't running, should be reported soon.
_UNREACHABLE_TRIES = 3
_ROWS = 1_000
"""The API's maximum number of rows in a page."""
_STANDSTILLS = 5
# These statuses concern one body, not the key, the path or the version: the next body may be accepted.
_OF_THE_BODY = frozenset({400, 409, 413, 422})
# Each concurrent call may start a container, with a connection to the database.
_AT_ONCE = 4
_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How requests are sent, and the clock; tests replace them."""

    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], object] | None = None
    clock: Callable[[], float] = time.monotonic
    patience_seconds: float = 60.0
    """How long a call is retried, in seconds."""


class RefusedError(Exception):
    """The API rejects this body, however often it is sent, but may accept others."""

    def __init__(self, status: int, reason: str, problem: str = "") -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason
        self.problem = problem
        """The `type` of the problem."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The API's answer for an accepted body."""

    raw_id: UUID
    items: int
    is_replayed: bool
    """Whether an earlier request had already stored it."""


_CONVERTED = ("senml", "cloudevents", "text/plain")
"""Parts of media types that are converted to events, even without a contract."""


class Raw(NamedTuple):
    """The bytes of an object."""

    content_type: str
    content: bytes
    contract: str = ""
    """The contract whose mapping reads them, or empty."""

    @property
    def is_mapped(self) -> bool:
        """Whether its events are converted, so that they are not parts of its bytes."""
        return bool(self.contract) or any(kind in self.content_type for kind in _CONVERTED)


class Api:
    def __init__(self, target: Target, options: ClientOptions) -> None:
        self._target = target
        self._options = options
        self._key: str | None = None
        self._ending = threading.Event()
        self._reached = False
        """Whether the API has ever answered."""
        self._client = httpx.Client(
            transport=options.transport,
            timeout=httpx.Timeout(35.0, connect=10.0),
            # The local stack is on this machine, so no proxy is used.
            trust_env=not target.local,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def end(self) -> None:
        """Stop waiting, and retry nothing from now on."""
        self._ending.set()

    def check_key(self) -> None:
        """Look up the key, before several threads need it."""
        self._header()

    def ingest(self, body: bytes, headers: Mapping[str, str], patience_seconds: float) -> Receipt:
        """Send events; with an idempotency key in the headers, it is safe to repeat.

        Raises:
            RefusedError: this body is not accepted.
            CliError: no body would be accepted.
        """
        response = self._send("POST", "/ingest", patience_seconds, headers=headers, content=body)
        if response.status_code in _OF_THE_BODY:
            raise RefusedError(response.status_code, self._reason(response), str(_problem(response).get("type")))
        answer = self._document(response, HTTPStatus.ACCEPTED)
        try:
            return Receipt(
                UUID(answer["raw_id"]), int(answer["items"]), response.headers.get("idempotent-replayed") == "true"
            )
        except (KeyError, ValueError, TypeError, AttributeError):
            raise self._another() from None

    def status(self, raw_id: UUID, *, after: int = -1, limit: int = 1) -> Document | None:
        """The status of an object and of its events after an item; None if there is no such object."""
        response = self._send("GET", f"/ingest/{raw_id}", params={"limit": limit, "cursor": after})
        return None if response.status_code == HTTPStatus.NOT_FOUND else self._document(response)

    def statuses(self, raw_ids: Iterable[UUID]) -> dict[UUID, Document | None]:
        """The statuses of several objects, requested a few at a time."""
        wanted = list(dict.fromkeys(raw_ids))
        if not wanted:
            return {}
        self.check_key()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                return dict(zip(wanted, pool.map(self.status, wanted), strict=True))
            except BaseException:
                # The others end as well, without waiting for their next attempt.
                self._ending.set()
                pool.shutdown(cancel_futures=True)
                self._ending.clear()
                raise

    def process(self, **parameters: object) -> Document:
        """Process a batch, or replay one. Safe to repeat."""
        return self._document(self._send("POST", "/process", json=parameters))

    def process_all(self, limit: int | None, cursor: UUID | str | None, **parameters: object) -> Iterator[Document]:
        """Process batch after batch, from cursor to cursor, up to a limit of objects; yields the answers.

        Raises:
            CliError: the API can't be called, or makes no progress.
        """
        taken, standstills = 0, 0
        while limit is None or taken < limit:
            size = PAGE if limit is None else min(PAGE, limit - taken)
            answer = self.process(**parameters, limit=size, **({} if cursor is None else {"cursor": str(cursor)}))
            taken += int(answer["checked"]) + int(answer.get("unread", 0))
            yield answer
            if "cursor" not in answer:
                return
            standstills = standstills + 1 if answer["cursor"] == cursor else 0
            if standstills == _STANDSTILLS:
                message = "The API makes no progress: each call runs out of time before it has processed an object."
                raise CliError(message, hint="Check its logs and its database, then run the command again.")
            if standstills:
                self.sleep(self._pause(standstills))
            cursor = answer["cursor"]

    def pages(self, name: str, parameters: Mapping[str, object], limit: int | None = None) -> Iterator[Document]:
        """The pages of a list, up to a limit of rows; if there are more, the last page has a cursor."""
        left = limit
        asked = {key: str(value) for key, value in parameters.items() if value is not None}
        while left is None or left > 0:
            asked["limit"] = str(min(_ROWS, left or _ROWS))
            page = self._document(self._send("GET", f"/{name}", params=asked))
            yield page
            if "cursor" not in page:
                return
            asked["cursor"] = str(page["cursor"])
            left = None if left is None else left - len(page[name])

    def contracts(self) -> dict[str, str]:
        """The YAML sources of the deployed data contracts, by identifier."""
        names = [str(contract["id"]) for page in self.pages("contracts", {}) for contract in page["contracts"]]
        as_written = {"Accept": "application/yaml"}
        answers = {name: self._send("GET", f"/contracts/{name}", headers=as_written) for name in names}
        return {name: self._checked(answer).content.decode() for name, answer in answers.items()}

    def measurements(self, source: str, limit: int, **bounds: str) -> list[Document]:
        """A source's measurements, the newest first, up to a limit."""
        pages = self.pages("measurements", {"source": source, **bounds}, limit)
        return [row for page in pages for row in page["measurements"]]

    def raw(self, raw_id: UUID, item: int | None = None) -> Raw | None:
        """Get an object, decoded from its content encoding, or one of its events; None if it is gone."""
        response = self._send("GET", f"/ingest/{raw_id}/raw", params={} if item is None else {"item": item})
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        headers = self._checked(response).headers
        return Raw(headers.get("content-type", ""), response.content, headers.get("dropzone-contract", ""))

    def raws(self, raw_ids: Sequence[UUID]) -> Iterator[Raw | None]:
        """Get several objects in order, a few at a time; only these are held in memory."""
        self.check_key()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for first in range(0, len(raw_ids), _AT_ONCE):
                yield from pool.map(self.raw, raw_ids[first : first + _AT_ONCE])

    def events(self, raw_id: UUID) -> Iterator[Document]:
        """Get all events of a processed batch, in order."""
        after = -1
        while (page := self.status(raw_id, after=after, limit=_ROWS)) is not None:
            yield from page.get("events", [])
            if "cursor" not in page:
                return
            after = int(page["cursor"])

    def rejections_of(self, raw_id: UUID, number: int) -> list[Document]:
        """Get the first rejected events of a batch, from those of the millisecond in which it arrived."""
        arrived = received_at(raw_id)
        millisecond = {"from": rfc3339(arrived), "to": rfc3339(arrived + timedelta(milliseconds=1))}
        entries = (entry for page in self.pages("rejections", millisecond) for entry in page["rejections"])
        return list(islice((entry for entry in entries if entry.get("raw_id") == str(raw_id)), number))

    def sleep(self, seconds: float) -> None:
        """Wait, unless this client is ending."""
        (self._options.sleep or self._ending.wait)(seconds)

    def _send(
        self,
        method: str,
        path: str,
        patience_seconds: float | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        **content: Any,  # noqa: ANN401 - httpx's own
    ) -> httpx.Response:
        """Send a request, with retries if they may help."""
        ends = self._options.clock() + (patience_seconds or self._options.patience_seconds)
        headers = {**headers, **self._header()}
        tries = 0
        while True:
            tries += 1
            try:
                response = self._client.request(method, self._target.url + path, headers=headers, **content)
            except httpx.TransportError as error:
                failure = self._unreachable(error)
                is_hopeful = tries < _UNREACHABLE_TRIES or (patience_seconds and self._reached)
                wait = self._pause(tries) if is_hopeful else None
            else:
                self._reached = True
                if response.status_code not in _RETRIED:
                    return response
                failure = self._refusal(response)
                wait = None if _problem(response).get("type") == _QUOTA else self._pause(tries, response)
            if wait is None or self._options.clock() + wait > ends or self._ending.is_set():
                raise failure
            self.sleep(wait)
            if self._ending.is_set():
                raise failure

    def _pause(self, tries: int, response: httpx.Response | None = None) -> float:
        """Seconds to wait: random, up to twice as long each time, and never less than the response asks for."""
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(tries, 10))
        asked = 0.0 if response is None else _retry_after(response)
        return asked + random.uniform(0, longest)  # noqa: S311 - no secret

    def _header(self) -> dict[str, str]:
        if self._key is None:
            key = self._target.api_key()
            if not _KEY.fullmatch(key):
                message = f"The API key of {self._target.key_source} is empty or has characters that no key has."
                raise CliError(message, hint="Copy it again, without blanks or line ends.", exit_code=ExitCode.USAGE)
            self._key = key
        return {"x-api-key": self._key}

    def _checked(self, response: httpx.Response, expected: HTTPStatus = HTTPStatus.OK) -> httpx.Response:
        if response.status_code != expected:
            raise self._another() if response.is_success else self._refusal(response)
        return response

    def _document(self, response: httpx.Response, expected: HTTPStatus = HTTPStatus.OK) -> Document:
        document = _document(self._checked(response, expected))
        if document is None:
            raise self._another()
        return document

    def _another(self) -> CliError:
        return CliError(f"The server at {self._target.url} is not Dropzone's API.", hint="Check the address.")

    def _unreachable(self, error: httpx.TransportError) -> CliError:
        message = f"The API of {self._target.name} can't be reached ({printable(str(error)) or type(error).__name__})."
        if self._target.local:
            return CliError(message, hint="Is it up? See make status; make up starts it.")
        return CliError(message, hint=f"Check the network and the address: {self._target.url}")

    @staticmethod
    def _reason(response: httpx.Response) -> str:
        """Why a request was refused: the broken rules, if the response names any."""
        problem = _problem(response)
        reason = printable(str(problem.get("detail") or problem.get("message") or response.reason_phrase))
        violations = problem.get("violations")
        broken = "; ".join(
            f"{printable(str(entry.get('field')))}: {printable(str(entry.get('message')))}"
            for entry in (violations if isinstance(violations, list) else [])
            if isinstance(entry, dict)
        )
        return broken or reason

    def _refusal(self, response: httpx.Response) -> CliError:
        problem = _problem(response)
        message = f"The API of {self._target.name} answers {response.status_code}: {self._reason(response)}"
        request_id = problem.get("request_id")
        asking = f" Look for this request_id in its logs: {printable(str(request_id))}." if request_id else ""
        match response.status_code:
            case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
                return CliError(
                    message, hint="Correct the option, then run the command again.", exit_code=ExitCode.USAGE
                )
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                hint = f"It doesn't take {self._target.key_source}, or its version does not have this path."
            case HTTPStatus.TOO_MANY_REQUESTS if problem.get("type") == _QUOTA:
                hint = "Wait until the key's quota is renewed, or ask for a larger one."
            case status if status in _RETRIED:
                hint = f"Retries didn't help. Try later.{asking}"
            case _:
                hint = f"Is {self._target.url} the right address, and of this version?{asking}"
        return CliError(message, hint=hint)


def _document(response: httpx.Response) -> Document | None:
    """The JSON object in a response's body, if it is one."""
    with suppress(ValueError):
        document = response.json()
        return document if isinstance(document, dict) else None
    return None


def _problem(response: httpx.Response) -> Document:
    """The problem in a response's body; empty if there is none."""
    return _document(response) or {}


def _retry_after(response: httpx.Response) -> float:
    """The seconds that a response asks to wait, given as a number or a date."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
