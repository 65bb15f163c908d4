"""docs/errors.md names every problem type and every code, and nothing else; API Gateway's own answers are problems."""

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl
from uuid import UUID

import pytest

from dropzone.api import problems
from dropzone.api.parameters import invalid_request, unknown_parameter
from dropzone.api.problems import InvalidRequestError, ProblemType
from dropzone.domain.body import JSON, NotJsonError
from dropzone.domain.outcomes import Code, Rejection
from dropzone.domain.validate import MAX_UNPACKED_BYTES, Contents, validate
from dropzone.queries.kpis import KpisRequest, read_kpis
from dropzone.queries.measurements import MeasurementsRequest
from dropzone.queries.sources import SourcesRequest
from dropzone.use_cases.ingest import EnvelopeError, check
from dropzone_process.request import read_request
from support.contracts import ARRIVED, BROKEN, EVENT, OF_KEYS, OF_MAPPINGS, contract, contracts
from support.factories import raw_object
from support.packing import gzipped
from support.reads import Rows
from unit.template.intrinsics import ABSENT, Evaluator
from unit.template.loading import Template, defaults, load_template, resources, transformed

if TYPE_CHECKING:
    from dropzone.adapters.database import Database

PROJECT = Path(__file__).parents[2]
DOCUMENT = PROJECT / "docs" / "errors.md"
OPENAPI = PROJECT / "functions" / "web" / "dropzone_web" / "static" / "openapi.json"

TYPES, EVENTS, PARAMETERS = "Problem types", "Violation codes of events", "Violation codes of parameters"
CONTRACTS, MAPPINGS = "Violation codes of contracts", "Violation codes of mappings"
KEYS = "Violation codes of keys"
MEMBERS = {"type", "title", "status", "detail", "request_id"}
REQUEST_ID = "0b9ca6bf-0d4a-4a8e-a8d2-6d4c0f4e7b11"
ORIGIN = "https://app.example.com"

Row = dict[str, str]


@cache
def rows(section: str) -> dict[str, Row]:
    """The table below a heading, by its first column."""
    text = DOCUMENT.read_text(encoding="utf-8").split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    header, _, *entries = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(cells) == len(header) for cells in entries)
    table = {cells[0].strip("`"): dict(zip(header, cells, strict=True)) for cells in entries}
    assert len(table) == len(entries), "a row is there twice"
    return table


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def kinds() -> list[ProblemType]:
    return [kind for kind in vars(problems).values() if isinstance(kind, ProblemType)]


@cache
def gateway() -> dict[str, dict[str, Any]]:
    """API Gateway's own answers, as CloudFormation gets them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        [api] = resources(transformed(template()), "AWS::ApiGateway::RestApi").values()
    answers: dict[str, dict[str, Any]] = api["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]
    return answers


def gateway_problem(name: str) -> dict[str, Any]:
    [(media_type, text)] = gateway()[name]["responseTemplates"].items()
    assert media_type == "application/json"  # by which API Gateway chooses; the answer's own type is a header
    problem: dict[str, Any] = json.loads(text.replace("$context.requestId", REQUEST_ID))
    return problem


@cache
def template() -> Template:
    return load_template()


def gateway_headers(name: str, parameters: dict[str, str]) -> dict[str, Any]:
    evaluator = Evaluator(template(), defaults(template()) | parameters)
    found = {
        key.removeprefix("gatewayresponse.header."): _resolve(evaluator, value, parameters)
        for key, value in gateway()[name]["responseParameters"].items()
    }
    return {key: value for key, value in found.items() if value is not ABSENT}


def _resolve(evaluator: Evaluator, value: Any, parameters: dict[str, str]) -> Any:  # noqa: ANN401 - of a template
    text = json.dumps(value)
    for name, given in parameters.items():
        text = re.sub(rf'\{{"Fn::Sub": "([^"]*)\$\{{{name}\}}([^"]*)"\}}', rf'"\g<1>{given}\g<2>"', text)
    return evaluator.value(json.loads(text))


def written() -> list[str]:
    """The names of API Gateway's answers, for which SAM need not run while tests are collected."""
    [api] = resources(template(), "AWS::Serverless::Api").values()
    return list(api["Properties"]["GatewayResponses"])


RESPONSES = pytest.mark.parametrize("name", written())


# ---- problem types -----------------------------------------------------------------------------------------------


def test_api_gateway_answers_as_is_written() -> None:
    assert gateway().keys() == set(written())


def test_the_table_names_every_type_and_no_other() -> None:
    assert rows(TYPES).keys() == {kind.type for kind in kinds()} | {gateway_problem(name)["type"] for name in gateway()}


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_the_table_says_what_a_function_answers(kind: ProblemType) -> None:
    row = rows(TYPES)[kind.type]

    assert (row["Status"], row["Title"]) == (str(kind.status.value), kind.status.phrase)
    assert "function" in row["From"]


@RESPONSES
def test_the_table_says_what_api_gateway_answers(name: str) -> None:
    problem = gateway_problem(name)
    row = rows(TYPES)[problem["type"]]

    assert (row["Status"], row["Title"]) == (str(problem["status"]), problem["title"])
    assert "API" in row["From"]


def test_the_table_says_who_answers() -> None:
    for type_, row in rows(TYPES).items():
        assert ("function" in row["From"]) == (type_ in {kind.type for kind in kinds()})
        assert ("API" in row["From"]) == (type_ in {gateway_problem(name)["type"] for name in gateway()})


def test_to_retry_is_for_429_and_5xx_alone() -> None:
    for type_, row in rows(TYPES).items():
        assert row["Retry"] == ("yes" if row["Status"] == "429" or row["Status"] >= "500" else "no"), type_
        assert row["When"]
        assert row["What to do"]


def test_the_api_s_document_names_no_other_type() -> None:
    named = set(re.findall(r"urn:dropzone:problem:[\w-]+", OPENAPI.read_text(encoding="utf-8")))

    assert named
    assert named <= rows(TYPES).keys()


# ---- codes -------------------------------------------------------------------------------------------------------


def test_the_table_names_every_code_and_no_other() -> None:
    assert [*rows(EVENTS), *rows(CONTRACTS), *rows(MAPPINGS), *rows(KEYS)] == list(Code)


@pytest.mark.parametrize("code", BROKEN)
def test_the_table_says_which_rule_of_a_contract_has_a_code(code: Code) -> None:
    stated, change = BROKEN[code]
    row = rows(CONTRACTS)[code]
    of = contracts(contract("default", stated))
    [outcome] = Contents(json.dumps({**EVENT, **change}).encode(), received_at=ARRIVED, contracts=of).outcomes()

    assert isinstance(outcome, Rejection)
    assert [(each.code, each.field) for each in outcome.violations] == [(code, row["Field"].strip("`"))]
    assert row["Rule"].strip("`") == stated["rule"]
    assert ("index" in row["When"]) == (outcome.violations[0].index is not None)


PACKED = {Code.NOT_GZIP: gzipped(b"[]")[:-1], Code.TOO_LARGE: gzipped(bytes(MAX_UNPACKED_BYTES + 1))}
"""Examples that no table can show."""


@pytest.mark.parametrize("code", sorted(set(Code) - set(BROKEN) - OF_MAPPINGS - OF_KEYS))
def test_a_code_s_example_breaks_that_rule_only(code: Code) -> None:
    row = rows(EVENTS)[code]
    if code in PACKED:
        [outcome] = validate(PACKED[code])
    else:
        [example] = quoted(row["Example"])
        [outcome] = validate(example.encode())

    assert isinstance(outcome, Rejection)
    assert [violation.code for violation in outcome.violations] == [code]
    assert outcome.violations[0].field in quoted(row["Field"])
    assert row["When"]


@pytest.mark.parametrize("code", sorted(set(Code) - set(PACKED) - set(BROKEN) - OF_MAPPINGS - OF_KEYS))
def test_only_the_envelope_is_checked_at_once(code: Code) -> None:
    [example] = quoted(rows(EVENTS)[code]["Example"])
    named: list[Code] = []
    try:
        check(raw_object(example.encode(), JSON), limit=1_000)
    except EnvelopeError as error:
        named += [violation.code for violation in error.violations]
    except NotJsonError:
        pass

    assert named == ([code] if rows(EVENTS)[code]["Reported"] == "at once" else [])


LONG = "9" * 5_000
TOO_LONG_FOR_A_TABLE = [
    ("request.invalid", f'POST /process {{"limit": {LONG}}}'),
    ("request.out_of_range", f"POST /process?limit={LONG}"),
    (
        "request.out_of_range",
        f"POST /process {json.dumps({'reprocess': True, 'raw_ids': [str(UUID(int=0))] * 1_001})}",
    ),
]
EXAMPLES = [(code, example) for code, row in rows(PARAMETERS).items() for example in quoted(row["Examples"])]
READS: dict[str, type[MeasurementsRequest | KpisRequest | SourcesRequest]] = {
    "/measurements": MeasurementsRequest,
    "/kpis": KpisRequest,
    "/sources": SourcesRequest,
}
WITHOUT_EXAMPLE = {"request.too_much", "request.idempotency_key"}
"""Of what a request meets later; tests/functional and tests/integration have them."""


def read(example: str) -> None:
    """Read the parameters of a request as its function does."""
    asked, _, body = example.partition(" ")[2].partition(" ")
    path, _, query = asked.partition("?")
    parameters = dict(parse_qsl(query)) or None
    if path == "/process":
        read_request({"body": body or None, "queryStringParameters": parameters})
        return
    request = READS[path].from_query(parameters or {})
    if isinstance(request, KpisRequest):
        read_kpis(cast("Database", Rows()), request, reads=None)


@pytest.mark.parametrize(("code", "example"), [*EXAMPLES, *TOO_LONG_FOR_A_TABLE])
def test_a_parameter_s_example_is_refused_with_its_code(code: str, example: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(example)

    assert [violation.code for violation in caught.value.violations] == [code]


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 40 + "..."),
        ("\n\u202eü'", "\\n\\u202e\\xfc'"),
        ("", "$"),
    ],
)
def test_a_parameter_s_name_is_told_short_and_in_ascii(name: str, named: str) -> None:
    assert [each.field for each in invalid_request([unknown_parameter(name)]).violations] == [named]


def test_every_code_of_parameters_has_an_example() -> None:
    assert {code for code, _ in EXAMPLES} == rows(PARAMETERS).keys() - WITHOUT_EXAMPLE


# ---- API Gateway's own answers -----------------------------------------------------------------------------------


@RESPONSES
def test_api_gateway_s_own_answer_is_a_problem(name: str) -> None:
    problem = gateway_problem(name)

    assert problem.keys() == MEMBERS
    assert problem["status"] == int(gateway()[name]["statusCode"])
    assert problem["request_id"] == REQUEST_ID
    assert all(type(problem[member]) is str and problem[member] for member in MEMBERS - {"status"})
    assert "$" not in json.dumps(problem)
    assert gateway_headers(name, {})["Content-Type"] == "'application/problem+json'"


@RESPONSES
def test_api_gateway_s_answer_says_when_to_retry_where_that_helps(name: str) -> None:
    status = int(gateway()[name]["statusCode"])
    may_pass = status == 429 or status >= 500

    assert (
        ("Retry-After" in gateway_headers(name, {})) == ("safe to send" in gateway_problem(name)["detail"]) == may_pass
    )
    assert re.fullmatch(r"'[1-9][0-9]*'", gateway_headers(name, {}).get("Retry-After", "'1'"))


@RESPONSES
def test_api_gateway_s_answer_is_for_other_origins_by_parameter_alone(name: str) -> None:
    assert "Access-Control-Allow-Origin" not in gateway_headers(name, {})
    assert gateway_headers(name, {"CorsOrigin": ORIGIN})["Access-Control-Allow-Origin"] == f"'{ORIGIN}'"


def test_what_api_gateway_does_not_name_has_an_answer_too() -> None:
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "INVALID_API_KEY", "THROTTLED", "MISSING_AUTHENTICATION_TOKEN"} <= (
        gateway().keys()
    )
