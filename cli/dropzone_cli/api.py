"""A client of the API: tries again what may be tried again, and puts refusals into words."""

from __future__ import annotations

import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import httpx

from dropzone_cli.errors import CliError, ExitCode
from dropzone_cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from uuid import UUID

    from dropzone_cli.target import Target

type Document = dict[str, Any]

PAGE = 200
"""Objects that one call of POST /process takes: few enough to see progress, and to do again without regret."""

_RETRIED = frozenset({429, 500, 502, 503, 504})
_QUOTA = "urn:dropzone:problem:quota-exceeded"
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 20.0
# Somebody who mistyped an address, or forgot to start the stack, should know it soon.
_UNREACHABLE_TRIES = 3
_STANDSTILLS = 5
# Each may be a container of its own, with a connection to the database.
_AT_ONCE = 4
_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Wiring:
    """What tests change: how requests travel, and time."""

    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], object] | None = None
    clock: Callable[[], float] = time.monotonic
    patience_seconds: float = 60.0
    """How long a call is tried again."""


class Api:
    """The API of one stack."""

    def __init__(self, target: Target, wiring: Wiring) -> None:
        """Make a client; no connection is made yet."""
        self._target = target
        self._wiring = wiring
        self._key: str | None = None
        self._ending = threading.Event()
        self._client = httpx.Client(
            transport=wiring.transport,
            timeout=httpx.Timeout(35.0, connect=10.0),
            # The local stack is on this machine: no proxy is on the way.
            trust_env=not target.local,
        )

    def __enter__(self) -> Self:
        """Use it in a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._client.close()

    def status(self, raw_id: UUID) -> Document | None:
        """Ask what has become of an object; None when there is no such object."""
        response = self._send("GET", f"/ingest/{raw_id}")
        return None if response.status_code == HTTPStatus.NOT_FOUND else self._document(response)

    def statuses(self, raw_ids: Iterable[UUID]) -> dict[UUID, Document | None]:
        """Ask the same of several, a few at once."""
        wanted = list(dict.fromkeys(raw_ids))
        if not wanted:
            return {}
        self._header()  # asked for once, and not by each thread
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                return dict(zip(wanted, pool.map(self.status, wanted), strict=True))
            except BaseException:
                # The others end as well, and don't wait for their next try.
                self._ending.set()
                pool.shutdown(cancel_futures=True)
                self._ending.clear()
                raise

    def process(self, **parameters: object) -> Document:
        """Have a batch processed, or judged again. Safe to repeat."""
        return self._document(self._send("POST", "/process", json=parameters))

    def process_all(self, limit: int | None, cursor: UUID | str | None, **parameters: object) -> Iterator[Document]:
        """Have batch after batch processed, from cursor to cursor, up to a limit of objects.

        Raises:
            CliError: the API can't be asked, or makes no headway.
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
                message = "The API answers, and makes no headway: each call's time is over before it did anything."
                raise CliError(message, hint="Look at its logs and its database, and run the command again.")
            if standstills:
                self.sleep(self._pause(standstills))
            cursor = answer["cursor"]

    def rejections(self, parameters: Mapping[str, str]) -> Document:
        """Ask for a page of rejected events, the newest first."""
        return self._document(self._send("GET", "/rejections", params=dict(parameters)))

    def sleep(self, seconds: float) -> None:
        """Wait, unless this client is about to end."""
        (self._wiring.sleep or self._ending.wait)(seconds)

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Send a request, again and again where that may help."""
        ends = self._wiring.clock() + self._wiring.patience_seconds
        tries = 0
        while True:
            tries += 1
            try:
                response = self._client.request(method, self._target.url + path, headers=self._header(), **content)
            except httpx.TransportError as error:
                failure = self._unreachable(error)
                wait = self._pause(tries) if tries < _UNREACHABLE_TRIES else None
            else:
                if response.status_code not in _RETRIED:
                    return response
                failure = self._refusal(response)
                wait = None if _problem(response).get("type") == _QUOTA else self._pause(tries, response)
            if wait is None or self._wiring.clock() + wait > ends:
                raise failure
            self.sleep(wait)
            if self._ending.is_set():
                raise failure

    def _pause(self, tries: int, response: httpx.Response | None = None) -> float:
        """Seconds to wait: longer each time, by chance, and never less than the answer asks for."""
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0**tries)
        asked = 0.0 if response is None else _retry_after(response)
        return asked + random.uniform(longest / 4, longest)  # noqa: S311 - no secret

    def _header(self) -> dict[str, str]:
        if self._key is None:
            key = self._target.api_key()
            if not _KEY.fullmatch(key):
                message = f"The API key of {self._target.key_source} is empty or holds characters that no key has."
                raise CliError(message, hint="Copy it again, without blanks or line ends.", exit_code=ExitCode.USAGE)
            self._key = key
        return {"x-api-key": self._key}

    def _document(self, response: httpx.Response) -> Document:
        if response.status_code != HTTPStatus.OK:
            raise self._refusal(response)
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            message = f"What answers at {self._target.url} is not Dropzone's API."
            raise CliError(message, hint="Check the address.")
        return document

    def _unreachable(self, error: httpx.TransportError) -> CliError:
        message = f"The API of {self._target.name} can't be reached ({printable(str(error)) or type(error).__name__})."
        hint = (
            "Is it up? make status tells, and make up starts it."
            if self._target.local
            else (f"Check the network and the address: {self._target.url}")
        )
        return CliError(message, hint=hint)

    def _refusal(self, response: httpx.Response) -> CliError:
        problem = _problem(response)
        told = printable(str(problem.get("detail") or problem.get("message") or response.reason_phrase))
        broken = "; ".join(
            f"{printable(str(entry.get('field')))}: {printable(str(entry.get('message')))}"
            for entry in problem.get("violations", [])
            if isinstance(entry, dict)
        )
        message = f"The API of {self._target.name} answers {response.status_code}: {broken or told}"
        request_id = problem.get("request_id")
        asking = f" Its logs know it by the request_id {printable(str(request_id))}." if request_id else ""
        match response.status_code:
            case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_CONTENT:
                return CliError(message, hint="Mend the option, and run it again.", exit_code=ExitCode.USAGE)
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                hint = f"It doesn't take {self._target.key_source}, or its version has no such path."
            case HTTPStatus.TOO_MANY_REQUESTS if problem.get("type") == _QUOTA:
                hint = "Wait until the key's quota starts anew, or ask for a larger one."
            case status if status in _RETRIED:
                hint = f"It was tried again, in vain. Try later.{asking}"
            case _:
                hint = f"Is {self._target.url} the right address, and of this version?{asking}"
        return CliError(message, hint=hint)


def _problem(response: httpx.Response) -> Document:
    """The problem that an answer tells of; nothing where it tells of none."""
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _retry_after(response: httpx.Response) -> float:
    """The seconds that an answer asks to wait: a number, or a date."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
