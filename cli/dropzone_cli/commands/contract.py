"""`dropzone contract`: check data contracts, try them on received events, propose one.

This needs the project's other packages, which are in a checkout, but not in this package.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from dropzone_cli.aws import get_object
from dropzone_cli.details import Document
from dropzone_cli.errors import CliError, ExitCode, usage
from dropzone_cli.formats import object_key, raw_id_of, received_at
from dropzone_cli.instants import FORMS, bounds, instant_option
from dropzone_cli.session import AsJson, Session
from dropzone_cli.text import count

_AT_ONCE = 8
_A_DAY = timedelta(days=1)
_KINDS = {
    "now_processed": "rejected now, would be processed",
    "now_rejected": "processed now, would be rejected",
    "other_figures": "would be processed with other figures",
    "other_flags": "would be processed with other warnings",
    "other_reasons": "would be rejected for other reasons",
    "new": "found only by the tried contract",
    "gone": "no longer found",
}

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Contracts, *.odcs.yaml.", show_default=False, exists=False)
]
Since = Annotated[
    datetime | None, instant_option("--from", "--since", help=f"Only what arrived at or after this time. {FORMS}")
]
Until = Annotated[
    datetime | None,
    instant_option("--to", "--until", help="Only what arrived before this time, in the same forms as --from."),
]


def check(files: Files, *, as_json: AsJson = False) -> ExitCode:
    """Check data contracts, each and together, and show what each would do; needs no stack.

    Errors name file and line. `make contracts` checks all files of the folder contracts/ together.
    """
    from dropzone_cli.output import Output

    out = Output(as_json=as_json)
    checking = _of_checkout("checking")
    texts = _texts(files)
    findings = checking.check(texts)
    if out.as_json:
        out.document({"findings": findings})
    elif findings:
        for finding in findings:
            out.line(finding)
    else:
        for name, text in texts.items():
            first, *others = checking.in_words(name, text)
            out.line(f"{name}: {first}")
            for line in others:
                out.line(f"  {line}")
    return ExitCode.NOT_ALL_WELL if findings else ExitCode.DONE


def try_(
    session: Session,
    files: Files,
    *,
    since: Since = None,
    until: Until = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="TEXT", help="Only events of this source.", show_default=False)
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="The maximum number of objects.")] = None,
) -> ExitCode:
    """Show which events would change if these contracts were deployed, by rule, with samples. Changes nothing.

    Reads what arrived from bronze, the last day without --from, and validates it here: by the deployed contracts, and
    by these in place of theirs. Drafts are tried as if they were active.
    """
    trial = _trial(session, _texts(files), source)
    unread = 0
    with session.out.progress("Validated") as progress:
        for raw_id, found in _objects(session, since or datetime.now(UTC) - _A_DAY, until, limit):
            if found is None:
                unread += 1
            else:
                trial.add(raw_id, found["body"], content_type=found["content_type"], contract=found["contract"])
            progress.advance(1, f"up to {received_at(raw_id):%Y-%m-%d %H:%M:%S} UTC")
    report = trial.report() | {"unread": unread}
    _show(session, report)
    return ExitCode.NOT_ALL_WELL if unread else ExitCode.DONE


def new(
    session: Session,
    *,
    source: Annotated[
        str,
        typer.Option("--from-source", metavar="NAME", help="The source whose measurements to use.", show_default=False),
    ],
    since: Annotated[
        datetime | None, instant_option("--from", "--since", help="Only measurements at or after this time.")
    ] = None,
    until: Annotated[
        datetime | None,
        instant_option("--to", "--until", help="Only measurements before this time, in the same forms as --from."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="The maximum number of measurements; the newest are used.")
    ] = 10_000,
) -> ExitCode:
    """Propose a data contract for a source from its measurements: bounds, unit and interval, as YAML.

    It is a draft, whose rules only flag events.
    """
    if not source:
        raise usage("A contract names its sources, but this source has no name.", "Correct --from-source.")
    proposal = _of_checkout("proposal")
    measurements = session.api.measurements(source, limit, **bounds(since, until))
    if not measurements:
        message = f"There is no measurement of the source {source!r}."
        raise CliError(message, hint="dropzone status shows the outcomes of events.", exit_code=ExitCode.NOT_ALL_WELL)
    text: str = proposal.propose(source, measurements)
    if session.out.as_json:
        session.out.document({"measurements": len(measurements), "contract": text})
    else:
        # Printed unchanged, as a valid YAML file.
        typer.echo(text, nl=False)
    return ExitCode.DONE


def _of_checkout(name: str) -> Any:  # noqa: ANN401 - a module that this package doesn't know
    try:
        return import_module(f"dropzone_contracts.{name}")
    except ModuleNotFoundError:
        raise usage("This command needs Dropzone's checkout: run it there, as uv run dropzone contract …") from None


def _texts(files: Iterable[Path]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for file in files:
        try:
            found[str(file)] = file.read_bytes()
        except OSError as error:
            raise usage(f"{file} can't be read: {error.strerror}.", "Check its name.") from None
    return found


def _trial(session: Session, texts: dict[str, bytes], source: str | None) -> Any:  # noqa: ANN401 - as above
    module, document = _of_checkout("trial"), _of_checkout("document")
    deployed = session.api.contracts()
    try:
        return module.Trial(deployed, texts, source)
    except document.ContractError as error:
        for finding in error.findings:
            session.out.note(str(finding))
        message = "These contracts can't be deployed."
        raise CliError(message, hint="Correct the errors above.", exit_code=ExitCode.NOT_ALL_WELL) from None


def _objects(
    session: Session, since: datetime, until: datetime | None, limit: int | None
) -> Iterator[tuple[UUID, Document | None]]:
    """The objects that arrived in a range, in order of arrival; None for an object that is gone."""
    bucket, client = session.resources.bucket, session.resources.aws.s3()

    def read(raw_id: UUID) -> Document | None:
        answer = get_object(client, bucket, object_key(raw_id))
        if answer is None:
            return None
        with answer["Body"] as body:
            return {
                "body": body.read(),
                "content_type": answer.get("ContentType", ""),
                "contract": answer["Metadata"].get("contract", ""),
            }

    wanted = islice(_listed(client, bucket, since, until), limit)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while chunk := list(islice(wanted, 4 * _AT_ONCE)):
            yield from zip(chunk, pool.map(read, chunk), strict=True)


def _listed(client: Any, bucket: str, since: datetime, until: datetime | None) -> Iterator[UUID]:  # noqa: ANN401 - boto3's
    """The objects that arrived from `since` on and before `until`: their keys are in order of arrival."""
    milliseconds = max(0, int(since.timestamp() * 1_000))
    start = object_key(UUID(int=milliseconds << 80)).removesuffix(".json")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="raw/", StartAfter=start)
    for entry in (entry for page in pages for entry in page.get("Contents", [])):
        try:
            raw_id = raw_id_of(entry["Key"])
        except ValueError:
            continue
        if until is not None and received_at(raw_id) >= until:
            return
        yield raw_id


def _show(session: Session, report: Document) -> None:
    if session.out.as_json:
        session.out.document(report)
        return
    changes: dict[str, int] = report["changes"]
    changed = sum(number for kind, number in changes.items() if kind != "same")
    events, objects = count(report["events"], "event"), count(report["objects"], "object")
    session.out.line(f"{events} of {objects}, {changed:,} would change")
    for kind, words in _KINDS.items():
        if changes.get(kind):
            session.out.line(f"  {changes[kind]:>9,}  {words}")
    for rule in report["rules"]:
        session.out.line(f"{rule['rule']} {rule['change']} {count(rule['events'], 'event')} ({rule['code']})")
        for sample in rule["samples"]:
            source = f" {sample['source']}" if sample["source"] else ""
            session.out.line(f"  {sample['raw_id']} item {sample['item']}{source}: {sample['message']}")
    if report["unread"]:
        session.out.note(
            f"{count(report['unread'], 'object')} could not be read: deleted in the meantime.", style="red"
        )
