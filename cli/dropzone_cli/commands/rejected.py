"""`dropzone rejected`: events that broke rules, and the bytes they came as."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from dropzone.domain.identifiers import object_key
from dropzone_cli import details
from dropzone_cli.command import Session, command
from dropzone_cli.errors import CliError, ExitCode, usage
from dropzone_cli.instants import FORMS, parse_instant, rfc3339
from dropzone_cli.text import count, preview

if TYPE_CHECKING:
    from botocore.response import StreamingBody

PREVIEW_BYTES = 2_048
_PAGE = 1_000
_MISSING = {"NoSuchKey", "404"}

app = typer.Typer(help="Events that broke rules of data quality.", no_args_is_help=True, pretty_exceptions_enable=False)

Since = Annotated[
    Any, typer.Option("--from", parser=parse_instant, metavar="TIME", help=f"Arrived then or later. {FORMS}")
]
Until = Annotated[Any, typer.Option("--to", parser=parse_instant, metavar="TIME", help="Arrived before; as --from.")]
Code = Annotated[
    str | None,
    typer.Option("--code", metavar="CODE", help="By this rule, such as data.empty; docs/errors.md lists them."),
]

Cursor = Annotated[
    UUID | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where an earlier run ended; it said so.")
]


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    command(app, "list")(list_)
    command(app, "show")(show)
    parent.add_typer(app, name="rejected")


def list_(
    session: Session,
    *,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=100_000, help="The most events; the last object's all the same.")
    ] = 50,
    cursor: Cursor = None,
) -> ExitCode:
    """List rejected events, the newest first, with the rules that each breaks."""
    parameters: dict[str, str] = {
        name: value
        for name, value in (
            ("code", code),
            ("from", rfc3339(since) if since else None),
            ("to", rfc3339(until) if until else None),
            ("cursor", str(cursor) if cursor else None),
        )
        if value
    }
    rejections: list[details.Document] = []
    more = True
    with session.out.progress("Rejected events") as progress:
        while more and len(rejections) < limit:
            page = session.api.rejections(parameters | {"limit": str(min(_PAGE, limit - len(rejections)))})
            rejections += page["rejections"]
            progress.advance(len(page["rejections"]))
            more = "cursor" in page
            parameters["cursor"] = str(page.get("cursor"))
    if session.out.as_json:
        session.out.document({"rejections": rejections} | ({"cursor": parameters["cursor"]} if more else {}))
        return ExitCode.DONE
    session.out.table(
        ("received_at", "raw_id", "item", "violations"),
        [
            (
                str(entry.get("received_at")),
                str(entry.get("raw_id")),
                str(entry.get("item", 0)),
                details.reasons(entry.get("violations", [])),
            )
            for entry in rejections
        ],
    )
    older = f" Older ones: --cursor {parameters['cursor']}" if more else ""
    session.out.note(f"{count(len(rejections), 'rejected event')}.{older}")
    return ExitCode.DONE


def show(
    session: Session,
    raw_id: Annotated[UUID, typer.Argument(metavar="RAW_ID", help="Of the event.", show_default=False)],
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Print the bytes that came, exactly, and nothing else.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write those bytes into a file.")
    ] = None,
) -> ExitCode:
    """Show an event: its violations, and the beginning of its bytes, escaped; all of them with --raw or --output."""
    if raw or output is not None:
        if raw and output is not None:
            raise usage("--raw prints the bytes, --output writes them into a file.", "Choose one of them.")
        if session.out.as_json:
            raise usage("--json prints a document, and --raw and --output the bytes.", "Choose one of them.")
        _copy(session, raw_id, output)
        return ExitCode.DONE
    told = session.api.status(raw_id) or details.unknown(raw_id)
    # Its violations are worth to be seen also where its bytes are gone.
    body, problem = _open_or_explain(session, raw_id)
    size, beginning = 0, b""
    if body is not None:
        size, stream = body
        with stream:
            beginning = stream.read(PREVIEW_BYTES)
    if session.out.as_json:
        session.out.document(
            {
                "status": told,
                "object": None
                if body is None
                else {
                    "key": object_key(raw_id),
                    "size": size,
                    "preview": preview(beginning),
                    "truncated": size > len(beginning),
                },
            }
        )
    else:
        session.out.fields(details.in_full(told))
        if body is not None:
            session.out.fields([("size", f"{size:,} bytes"), ("key", object_key(raw_id))])
            session.out.line()
            for line in preview(beginning).split("\n"):
                session.out.line(line)
            if size > len(beginning):
                session.out.note(
                    f"… {size - len(beginning):,} bytes more: --raw prints all, --output FILE writes them."
                )
    if problem is not None:
        session.out.error(problem)
        return problem.exit_code
    return ExitCode.DONE


def _open_or_explain(session: Session, raw_id: UUID) -> tuple[tuple[int, "StreamingBody"] | None, CliError | None]:
    try:
        return _open(session, raw_id), None
    except CliError as error:
        if error.exit_code != ExitCode.NOT_ALL_WELL:
            raise
        return None, error


def _open(session: Session, raw_id: UUID) -> tuple[int, "StreamingBody"]:
    """Begin to read an object.

    Raises:
        CliError: there is none.
    """
    client = session.resources.aws.s3()
    try:
        answer = client.get_object(Bucket=session.resources.bucket, Key=object_key(raw_id))
    except client.exceptions.ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _MISSING:
            raise
        message = f"Bronze of {session.target.name} has no object of {raw_id}."
        raise CliError(message, hint="Check the RAW_ID and the stack.", exit_code=ExitCode.NOT_ALL_WELL) from None
    return answer["ContentLength"], answer["Body"]


def _copy(session: Session, raw_id: UUID, output: Path | None) -> None:
    size, body = _open(session, raw_id)
    with body:
        if output is None:
            sys.stdout.flush()
            shutil.copyfileobj(body, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        try:
            with output.open("wb") as file:
                shutil.copyfileobj(body, file)
        except OSError as error:
            message = f"{output} can't be written: {error.strerror}."
            raise usage(message, "Name another file.") from None
    session.out.note(f"{count(size, 'byte')} in {output}")
