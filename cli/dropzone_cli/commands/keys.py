"""`dropzone keys`: keys and their permissions."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from dropzone_cli.errors import ExitCode, usage
from dropzone_cli.instants import rfc3339
from dropzone_cli.keys import (
    MAX_BINDING,
    MAX_PATTERN,
    MAX_SUBJECT,
    NAME,
    ROLE,
    SCOPES,
    Entry,
    Keys,
    Made,
    expires,
    is_over,
    parse_lifetime,
)
from dropzone_cli.session import Session
from dropzone_cli.text import count

_A_MINUTE = "It can take up to a minute until every function instance knows it."
_SOON = timedelta(days=14)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The name of the client: lower-case letters, digits, `.`, `_`, `-`.")
]
Scopes = Annotated[list[str], typer.Option("--scope", metavar="SCOPE", help="ingest, read or operate; repeatable.")]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="TIME", help="When it expires: 90d, 12h, 2w, or an instant.")
]


def create(
    session: Session,
    name: Name,
    *,
    scopes: Scopes,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--source", metavar="PATTERN", help="A source that the key may write and read, such as 'hall-3/*'."
        ),
    ] = None,
    writes: Annotated[
        list[str] | None, typer.Option("--writes", metavar="PATTERN", help="A source that the key may write.")
    ] = None,
    reads: Annotated[
        list[str] | None, typer.Option("--reads", metavar="PATTERN", help="A source that the key may read.")
    ] = None,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="ARN", help="Give access to an IAM role or user instead of making a key."),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            "--subject", metavar="SUB", help="Give access to tokens with this claim sub instead of making a key."
        ),
    ] = None,
    expiry: Expires = None,
) -> ExitCode:
    """Make a key with scopes. It is shown only once.

    Without --source, --writes and --reads it may write and read every source. Each can be repeated; `*` is any text and
    `?` any character. With --role or --subject there is no key: the entry is for whoever signs in as that.
    """
    now = datetime.now(UTC)
    if not NAME.fullmatch(name):
        message = f"{name} is not a valid client name."
        raise usage(message, "It has 1 to 64 lower-case letters, digits, dots, hyphens and underscores.")
    entry: Entry = {"name": name, "scopes": _scopes(scopes), "created": rfc3339(now, "seconds")}
    for field, patterns in (("writes", writes), ("reads", reads)):
        if bound := _patterns([*(sources or []), *(patterns or [])]):
            entry[field] = bound
    if expiry is not None:
        entry["expires"] = rfc3339(parse_lifetime(expiry, now), "seconds")
    if "operate" in entry["scopes"] and entry.keys() & {"writes", "reads"}:
        message = "Replays and raw bytes concern all sources: a key with operate can't be bound to some."
        raise usage(message, "Make one key that is bound, and another with only --scope operate.")
    if signs_in := _signs_in(role, subject):
        entry |= signs_in
        _keys(session).enlist(entry)
        session.out.result(entry, f"{name} is listed ({', '.join(entry['scopes'])}). {_A_MINUTE}")
        return ExitCode.DONE
    _show(session, _keys(session).create(entry))
    return ExitCode.DONE


def _signs_in(role: str | None, subject: str | None) -> dict[str, str]:
    if role is not None and subject is not None:
        raise usage("--role and --subject are two clients.", "Give one of them.")
    if role is not None:
        if not ROLE.fullmatch(role):
            message = f"{role} is not an IAM role or user."
            raise usage(message, "Give its ARN without a path, such as arn:aws:iam::111122223333:role/analyst.")
        return {"role": role}
    if subject is not None and not 1 <= len(subject) <= MAX_SUBJECT:
        raise usage("That is not a valid claim sub.", f"It has 1 to {MAX_SUBJECT} characters.")
    return {} if subject is None else {"subject": subject}


def _scopes(given: Sequence[str]) -> list[str]:
    scopes = [scope for each in given for scope in each.split(",")]
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise usage(f"There is no scope {unknown[0]}.", f"The scopes are {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in scopes]


def _patterns(given: Sequence[str]) -> list[str]:
    if any(not 1 <= len(pattern) <= MAX_PATTERN for pattern in given) or len(json.dumps(given)) > MAX_BINDING:
        message = f"A pattern has 1 to {MAX_PATTERN} characters, and all patterns of a key at most {MAX_BINDING}."
        raise usage(message, "Make several keys.")
    return list(dict.fromkeys(given))


def rotate(
    session: Session,
    name: Name,
    *,
    overlap: Annotated[
        str, typer.Option("--overlap", metavar="TIME", help="How long the earlier key keeps working.")
    ] = "7d",
    expiry: Expires = None,
) -> ExitCode:
    """Make another key for a client, with the same scopes. It is shown only once; the earlier one works for a while."""
    now = datetime.now(UTC)
    until = None if expiry is None else parse_lifetime(expiry, now)
    made = _keys(session).rotate(name, parse_lifetime(overlap, now) - now, until, now)
    _show(session, made)
    session.out.note(f"The earlier key of {name} works for {overlap}; dropzone keys revoke ends it earlier.")
    return ExitCode.DONE


def revoke(
    session: Session,
    name: Name,
    *,
    key_id: Annotated[str | None, typer.Option("--key-id", metavar="ID", help="Only this key of the client.")] = None,
) -> ExitCode:
    """Delete the keys of a client. The name can't be used again."""
    ended = _keys(session).revoke(name, key_id, datetime.now(UTC))
    revoked = {"revoked": [each.get("key_id") for each in ended]}
    session.out.result(revoked, f"{count(len(ended), 'key')} of {name} revoked. {_A_MINUTE}")
    return ExitCode.DONE


def list_(
    session: Session,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Include expired and revoked keys.")] = False,
) -> ExitCode:
    """List the keys: name, scopes, sources, expiry, and the day of the last request, as API Gateway has metered it."""
    keys, now = _keys(session), datetime.now(UTC)
    shown = [each for each in keys.entries() if everything or not is_over(each, now)]
    used = keys.last_used(now)
    session.out.listing(
        {"keys": [{**_without_hash(each), "last_used": used.get(each.get("key_id", ""))} for each in shown]},
        ("name", "scopes", "writes", "reads", "expires", "last used", "key id, role or subject"),
        (
            (
                each["name"],
                ",".join(each["scopes"]),
                _bound(each, "writes", "ingest"),
                _bound(each, "reads", "read"),
                each.get("expires", "never"),
                used.get(each.get("key_id", ""), "-"),
                each.get("key_id") or each.get("role") or each.get("subject") or "-",
            )
            for each in shown
        ),
        f"{count(len(shown), 'key')}. Others have the stack's DefaultScopes.",
    )
    return ExitCode.DONE


def _without_hash(entry: Entry) -> Entry:
    return {field: value for field, value in entry.items() if field != "sha256"}


def _bound(entry: Mapping[str, Any], field: str, scope: str) -> str:
    return " ".join(entry.get(field) or ["*"]) if scope in entry["scopes"] else "-"


def check(session: Session) -> ExitCode:
    """Compare the document with API Gateway: keys that are not listed, entries without a key, keys that expire soon.

    Exits with 1 if something needs attention.
    """
    keys, now = _keys(session), datetime.now(UTC)
    entries, present = keys.entries(), keys.in_plans()
    listed = {each.get("key_id") for each in entries}
    found = [
        *(
            {"key_id": key_id, "name": name, "finding": "not listed: it has the stack's DefaultScopes"}
            for key_id, name in present.items()
            if key_id not in listed
        ),
        *(
            {"key_id": each.get("key_id", "-"), "name": each["name"], "finding": finding}
            for each in entries
            if (finding := _finding(each, present, now))
        ),
    ]
    session.out.listing(
        {"findings": found},
        ("key id", "name", "finding"),
        [tuple(each.values()) for each in found],
        f"{count(len(found), 'finding')}." if found else "All keys are listed and work.",
    )
    return ExitCode.NOT_ALL_WELL if found else ExitCode.DONE


def _finding(entry: Mapping[str, Any], present: Mapping[str, str], now: datetime) -> str:
    is_key, is_there = "sha256" in entry, entry.get("key_id") in present
    if is_over(entry, now):
        return "expired, but still in API Gateway: revoke it" if is_key and is_there else ""
    if is_key and not is_there:
        return "listed, but in no usage plan: it gives no access"
    until = expires(entry)
    if until is None or until > now + _SOON:
        return ""
    return f"expires on {entry['expires']}{': rotate it' if is_key else ''}"


def _show(session: Session, made: Made) -> None:
    entry = _without_hash(made.entry)
    if session.out.as_json:
        session.out.document({**entry, "key": made.value})
        return
    session.out.line(made.value)
    session.out.note(f"This is the key of {entry['name']} ({', '.join(entry['scopes'])}). It is not shown again.")
    session.out.note(_A_MINUTE)


def _keys(session: Session) -> Keys:
    resources = session.resources
    return Keys(resources.aws, resources.bucket, resources.api_id)
