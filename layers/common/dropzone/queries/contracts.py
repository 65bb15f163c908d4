"""`GET /contracts`: the deployed data contracts; one of them as JSON, or as its YAML source."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NotRequired, TypedDict, cast

from pydantic import Field
from pydantic_core import from_json

from dropzone.adapters.contracts import compiled_contracts, compiled_expectations, contract_text
from dropzone.api import problems
from dropzone.api.answers import Cursor, answer, closed, fields_of
from dropzone.api.formats import MediaType
from dropzone.api.pages import Listing
from dropzone.api.parameters import Request
from dropzone.api.problems import ProblemError
from dropzone.domain.patterns import may_overlap

_IDENTIFIER = r"^[a-z0-9][a-z0-9-]{0,63}$"


class ContractFormat(MediaType):
    """A format of one contract."""

    JSON = "application/json"
    YAML = "application/yaml"


class ContractsRequest(Request):
    """The parameters of `GET /contracts`."""

    limit: int = Field(
        default=100, ge=1, le=1_000, description="The maximum number of contracts to return.", examples=[10]
    )
    cursor: str | None = Field(
        default=None,
        pattern=_IDENTIFIER,
        description="The cursor of the previous page.",
        examples=["default"],
    )


@closed
class ContractRule(TypedDict):
    """A rule of a contract."""

    id: Annotated[str, Field(description="The identifier; a violation has it in `rule`.")]
    rule: Annotated[str, Field(description="The type of rule; docs/contracts.md lists them.")]
    severity: Annotated[str, Field(description="`error` rejects an event, `warning` flags it.")]
    dimension: Annotated[
        str, Field(description="The data-quality dimension, as named by the Open Data Contract Standard.")
    ]
    description: Annotated[str, Field(description="Appended to the messages of its violations; may be empty.")]
    arguments: Annotated[Mapping[str, Any], Field(description="The rule's limits by name.")]


@closed
class ContractExpectations(TypedDict):
    """What the contract expects of its sources over time, with the standard's names in brackets; null if not stated."""

    interval_seconds: Annotated[float | None, Field(description="The expected time between two events (`frequency`).")]
    latency_seconds: Annotated[
        float | None, Field(description="The maximum time from a measurement to its arrival (`latency`).")
    ]
    retention_seconds: Annotated[
        float | None,
        Field(
            description="How long to keep measurements (`retention`). Informative: nothing is deleted because of it."
        ),
    ]
    unchanged_seconds: Annotated[
        float | None,
        Field(description="How long all samples may stay the same (`unchanged`) before the source counts as stuck."),
    ]
    rejected_share: Annotated[
        float | None, Field(description="The maximum share of a day's events that may be rejected (`rejectedShare`).")
    ]


Identifier = Annotated[str, Field(description="The identifier, as in `POST /ingest/{id}`.")]
Version = Annotated[str, Field(description="The version; outcomes name the contract as `id@version`.")]
Sources = Annotated[
    Sequence[str],
    Field(
        description=(
            "Patterns of the sources that it applies to. Empty for a contract that bodies are sent to by "
            "name, and for `default`."
        )
    ),
]
Rules = Annotated[Sequence[ContractRule], Field(description="The rules that apply in addition to the basic ones.")]


@closed
class ContractSummary(TypedDict):
    """A contract in a list."""

    id: Identifier
    version: Version
    sources: Sources
    has_mapping: Annotated[bool, Field(description="Whether the contract maps JSON of another form to events.")]
    rules: Rules
    expectations: ContractExpectations


@closed
class ContractMapping(TypedDict):
    """How to find the events in a body, and each field in an event: JMESPath expressions."""

    events: str
    parts: str | None
    time_stamp: str
    data: str
    source: str | None
    unit: str | None
    tags: Mapping[str, str]
    time_format: Annotated[
        str, Field(description="The format of the time: `iso8601`, or an epoch's unit, `epoch_s` to `epoch_ns`.")
    ]
    time_zone: Annotated[str | None, Field(description="The time zone of times without an offset.")]


_EXAMPLE: dict[str, Any] = {
    "id": "default",
    "version": "1.0.0",
    "sources": [],
    "has_mapping": False,
    "rules": [
        {
            "id": "clock-ahead",
            "rule": "ahead",
            "severity": "warning",
            "dimension": "timeliness",
            "description": "the clock of the sender is probably wrong",
            "arguments": {"limit": "PT1H"},
        }
    ],
    "expectations": {**dict.fromkeys(fields_of(ContractExpectations)), "interval_seconds": 60.0},
}


@answer({"contracts": [_EXAMPLE], "cursor": "default"})
class ContractsPage(TypedDict):
    """A page of contracts, ordered by identifier."""

    contracts: Sequence[ContractSummary]
    cursor: NotRequired[Cursor]


@answer({name: value for name, value in _EXAMPLE.items() if name != "has_mapping"} | {"mapping": None})
class Contract(TypedDict):
    """A compiled contract."""

    id: Identifier
    version: Version
    sources: Sources
    rules: Rules
    expectations: ContractExpectations
    mapping: Annotated[ContractMapping | None, Field(description="Null if the contract takes this API's own events.")]


LISTING = Listing("contracts", ContractsPage, ContractSummary, lambda contract: contract["id"])


def read_contracts(request: ContractsRequest, *, reads: tuple[str, ...] | None) -> list[ContractSummary]:
    """The deployed contracts, ordered by identifier; one more than the limit if there are more."""
    found = sorted(_readable(reads), key=lambda contract: str(contract["id"]))
    after = [contract for contract in found if request.cursor is None or contract["id"] > request.cursor]
    return [
        _as(ContractSummary, {**contract, "has_mapping": contract["mapping"] is not None})
        for contract in after[: request.limit + 1]
    ]


def read_contract(identifier: str, *, reads: tuple[str, ...] | None) -> Contract:
    """One contract; `reads` are patterns of the sources that may be read, None for all.

    Raises:
        ProblemError: there is no readable contract with this identifier.
    """
    found = next((contract for contract in _readable(reads) if contract["id"] == identifier), None)
    if found is None:
        raise ProblemError(problems.NO_SUCH_CONTRACT)
    return _as(Contract, found)


def read_contract_text(identifier: str, *, reads: tuple[str, ...] | None) -> str:
    """The YAML source of one contract; only if all sources that it names may be read.

    Raises:
        ProblemError: there is no readable contract with this identifier.
    """
    named = next((each["sources"] for each in compiled_contracts() if each["id"] == identifier), None)
    if named is None or read_contract(identifier, reads=reads)["sources"] != named:
        raise ProblemError(problems.NO_SUCH_CONTRACT)
    return contract_text(identifier)


def _readable(reads: tuple[str, ...] | None) -> Iterator[Mapping[str, Any]]:
    """The contracts that may apply to a readable source, each with only the patterns that may.

    A contract that names no sources is the default, or one that bodies are sent to by name.
    """
    stated = {contract["id"]: contract for contract in from_json(compiled_expectations())}
    for contract in compiled_contracts():
        named = contract["sources"]
        shown = named if reads is None else [one for one in named if any(may_overlap(one, other) for other in reads)]
        if shown or not named:
            expected = _as(ContractExpectations, stated[contract["id"]])
            yield {**contract, "sources": shown, "rules": [*map(_rule, contract["rules"])], "expectations": expected}


def _rule(rule: Mapping[str, Any]) -> ContractRule:
    arguments = {name: value for name, value in rule.items() if name not in ContractRule.__annotations__}
    return _as(ContractRule, {**rule, "arguments": arguments})


def _as[T](answer: type[T], found: Mapping[str, Any]) -> T:
    """The values of an answer's fields."""
    return cast("T", {name: found[name] for name in answer.__annotations__})
