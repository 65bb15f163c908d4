"""The keys of a stack: in API Gateway, which meters them, and in the document in S3, which has their permissions."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dropzone_cli.aws import error_code, get_object
from dropzone_cli.errors import CliError, usage
from dropzone_cli.instants import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dropzone_cli.aws import Aws

DOCUMENT = "access/clients.json"
SCOPES = ("ingest", "read", "operate")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
ROLE = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[\w+=,.@-]+", re.ASCII)
MAX_BINDING, MAX_PATTERN, MAX_SUBJECT = 1_500, 200, 255

# The end of the usage plan's name, by a key's broadest scope.
_PLANS = {"operate": "operators", "read": "analysts", "ingest": "devices"}
_TRIES = 5
_USAGE_DAYS = 90
_LIFETIME = re.compile(r"([0-9]{1,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Entry = dict[str, Any]


def parse_lifetime(text: str, now: datetime) -> datetime:
    """Parse `90d`, `12h`, `30m` or `2w` from now on, or an instant with an offset.

    Raises:
        CliError: it is neither, or not in the future.
    """
    match = _LIFETIME.fullmatch(text)
    try:
        instant = now + timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        instant = now
    if instant.tzinfo is None or instant <= now:
        message = f"{text} is not a time in the future."
        raise usage(message, "Give a time such as 90d, 12h or 2w, or an instant such as 2027-03-01T00:00Z.")
    return instant


def expires(entry: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(entry["expires"]) if entry.get("expires") else None


@dataclass(frozen=True, slots=True)
class Made:
    """A new key, whose value is shown only once."""

    entry: Entry
    value: str


@dataclass(frozen=True, slots=True)
class Keys:
    aws: Aws
    bucket: str
    api_id: str

    # ---- the document ------------------------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """The entries of the document.

        Raises:
            CliError: the document is not valid; the API answers 503 then.
        """
        return self._read()[0]

    def _read(self) -> tuple[list[Entry], str | None]:
        found = get_object(self.aws.s3(), self.bucket, DOCUMENT)
        if found is None:
            return [], None
        entries: list[Entry] = []
        try:
            entries = json.loads(found["Body"].read())["clients"]
            is_valid = all(isinstance(entry["name"], str) and isinstance(_known_by(entry), tuple) for entry in entries)
        except (ValueError, KeyError, TypeError):
            is_valid = False
        if not is_valid:
            message = (
                f"s3://{self.bucket}/{DOCUMENT} is not a valid clients document: the API answers 503 to every request."
            )
            raise CliError(message, hint="The bucket keeps its earlier versions for 30 days: restore one.")
        return entries, found["ETag"]

    def _change(self, change: Callable[[list[Entry]], list[Entry]]) -> None:
        """Write the document with a change. If it was changed in the meantime, apply the change to the new version."""
        client = self.aws.s3()
        for _ in range(_TRIES):
            entries, version = self._read()
            condition: dict[str, Any] = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
            body = json.dumps({"clients": change(entries)}, indent=2).encode()
            try:
                client.put_object(
                    Bucket=self.bucket, Key=DOCUMENT, Body=body, ContentType="application/json", **condition
                )
            except client.exceptions.ClientError as error:
                if error_code(error) not in {"PreconditionFailed", "ConditionalRequestConflict"}:
                    raise
            else:
                return
        raise CliError("Someone else is changing the keys at the same time.", hint="Run the command again.")

    def enlist(self, entry: Entry) -> None:
        """Add an entry for a role or a subject, which signs in and needs no key.

        Raises:
            CliError: the name was used before, or the role or subject is listed already.
        """

        def added(entries: list[Entry]) -> list[Entry]:
            _check_name(entries, entry["name"])
            if any(_known_by(each) == _known_by(entry) for each in entries):
                raise usage(f"{_known_by(entry)[1]} is listed already.", "dropzone keys list --all shows it.")
            return [*entries, entry]

        self._change(added)

    # ---- keys --------------------------------------------------------------------------------------------------------

    def create(self, entry: Entry) -> Made:
        """Make a key for a new name.

        Raises:
            CliError: the name was used before.
        """
        _check_name(self.entries(), entry["name"])

        def added(entries: list[Entry], made: Entry) -> list[Entry]:
            _check_name(entries, entry["name"])
            return [*entries, made]

        return self._make(entry, added)

    def rotate(self, name: str, overlap: timedelta, expiry: datetime | None, now: datetime) -> Made:
        """Make another key for a name; its earlier keys keep working for `overlap`.

        Without an expiry, the new key has the same lifetime as the newest of the earlier ones.
        """
        newest = self.active(name, now)[-1]
        if "sha256" not in newest:
            raise usage(f"{name} signs in and has no key.", "Only keys can be rotated.")
        until = expires(newest)
        if expiry is None and until is not None and newest.get("created"):
            expiry = now + (until - datetime.fromisoformat(newest["created"]))
        entry = {key: value for key, value in newest.items() if key not in {"sha256", "key_id", "created", "expires"}}
        entry["created"] = rfc3339(now, "seconds")
        if expiry is not None:
            entry["expires"] = rfc3339(expiry, "seconds")

        def added(entries: list[Entry], made: Entry) -> list[Entry]:
            return [*(_ended(each, name, now + overlap) for each in entries), made]

        return self._make(entry, added)

    def revoke(self, name: str, key_id: str | None, now: datetime) -> list[Entry]:
        """Revoke all keys of a name, or one: at once in API Gateway, and in the document, which keeps the name."""
        ended = [each for each in self.active(name, now) if key_id in {None, each.get("key_id")}]
        if not ended:
            raise usage(f"{name} has no key {key_id}.", "dropzone keys list shows the keys.")
        known_by = {_known_by(each) for each in ended}
        self._change(
            lambda entries: [
                {**each, "expires": rfc3339(now, "seconds")} if _known_by(each) in known_by else each
                for each in entries
            ]
        )
        for each in ended:
            self._delete(each.get("key_id"))
        return ended

    def active(self, name: str, now: datetime) -> list[Entry]:
        """The entries of a name whose keys have not expired, the oldest first."""
        found = [each for each in self.entries() if each["name"] == name and not is_over(each, now)]
        if not found:
            message = f"There is no client named {name} with a key that works."
            raise usage(message, "dropzone keys list shows the clients.")
        return found

    def _make(self, entry: Entry, added: Callable[[list[Entry], Entry], list[Entry]]) -> Made:
        gateway = self.aws.apigateway()
        plan = self.plan_of(entry["scopes"])
        key = gateway.create_api_key(name=f"{entry['name']} ({plan['name']})", enabled=True)
        try:
            made = {**entry, "sha256": hashlib.sha256(key["value"].encode()).hexdigest(), "key_id": key["id"]}
            # Listed before it is added to a plan: until then it gives no access, so it never has more than it should.
            self._change(lambda entries: added(entries, made))
            gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
        except BaseException:
            self._delete(key["id"])
            raise
        return Made(made, key["value"])

    def _delete(self, key_id: str | None) -> None:
        if key_id is not None:
            gateway = self.aws.apigateway()
            with suppress(gateway.exceptions.NotFoundException):
                gateway.delete_api_key(apiKey=key_id)

    # ---- API Gateway -------------------------------------------------------------------------------------------------

    def plans(self) -> list[Mapping[str, str]]:
        pages = self.aws.apigateway().get_paginator("get_usage_plans").paginate()
        return [
            {"id": plan["id"], "name": plan.get("name", "")}
            for page in pages
            for plan in page["items"]
            if any(stage.get("apiId") == self.api_id for stage in plan.get("apiStages", []))
        ]

    def plan_of(self, scopes: Sequence[str]) -> Mapping[str, str]:
        """The plan for keys with these scopes; without a matching one, the first plan."""
        plans = self.plans()
        wanted = next(end for scope, end in _PLANS.items() if scope in scopes)
        found = next((plan for plan in plans if plan["name"].endswith(wanted)), plans[0] if plans else None)
        if found is None:
            message = "The stack's API has no usage plan, without which a key gives no access."
            raise CliError(message, hint="Deploy this version.")
        return found

    def in_plans(self) -> dict[str, str]:
        """The names of all keys in the API's plans, by identifier."""
        gateway = self.aws.apigateway()
        return {
            key["id"]: key.get("name", "")
            for plan in self.plans()
            for page in gateway.get_paginator("get_usage_plan_keys").paginate(usagePlanId=plan["id"])
            for key in page["items"]
        }

    def last_used(self, now: datetime) -> dict[str, str]:
        """The day (UTC) of each key's last request within 90 days, as metered by API Gateway."""
        from botocore.exceptions import ClientError

        found: dict[str, str] = {}
        first = (now - timedelta(days=_USAGE_DAYS - 1)).date()
        for plan in self.plans():
            try:
                for key_id, days in self._usage(plan["id"], first.isoformat(), now.date().isoformat()):
                    used = [number for number, (requests, _) in enumerate(days) if requests]
                    if used:
                        day = (first + timedelta(days=used[-1])).isoformat()
                        found[key_id] = max(day, found.get(key_id, day))
            except ClientError:
                continue  # emulators don't meter
        return found

    def _usage(self, plan: str, first: str, last: str) -> Iterator[tuple[str, list[list[int]]]]:
        pages = (
            self.aws.apigateway().get_paginator("get_usage").paginate(usagePlanId=plan, startDate=first, endDate=last)
        )
        for page in pages:
            yield from page.get("items", {}).items()


def _check_name(entries: Sequence[Entry], name: str) -> None:
    if any(each["name"] == name for each in entries):
        message = f"A client named {name} exists or existed."
        raise usage(
            message, "What was sent under a name belongs to that client: choose another name, or rotate its key."
        )


def _known_by(entry: Mapping[str, Any]) -> tuple[str, str]:
    """What identifies an entry's client: its key's hash, its role's ARN or its subject."""
    [(kind, value)] = [(kind, entry[kind]) for kind in ("sha256", "role", "subject") if entry.get(kind) is not None]
    return kind, str(value)


def is_over(entry: Mapping[str, Any], now: datetime) -> bool:
    until = expires(entry)
    return until is not None and until <= now


def _ended(entry: Entry, name: str, until: datetime) -> Entry:
    before = expires(entry)
    if entry["name"] != name or (before is not None and before <= until):
        return entry
    return {**entry, "expires": rfc3339(until, "seconds")}
