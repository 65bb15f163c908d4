# ruff: noqa: E501 - tables are read by their columns
"""From contracts in YAML to what the layer carries; of what can't be used, the file, the line and the reason."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropzone.adapters.contracts import compiled_expectations, deployed_contracts
from dropzone.domain.contracts import Contracts, contracts_of
from dropzone.domain.outcomes import RULESET
from dropzone_contracts.compiler import compile_documents, compile_folder, overlaps
from dropzone_contracts.document import MAX_BYTES, ContractError
from support.contracts import contract

PROJECT = Path(__file__).parents[3]
DEFAULT = (PROJECT / "contracts" / "default.odcs.yaml").read_text(encoding="utf-8")

HALL = """\
apiVersion: v3.1.0
kind: DataContract
id: hall
version: 2.1.0
status: active
customProperties:
  - property: sources
    value: ["hall-3/*", "hall-4/*"]
schema:
  - name: events
    logicalType: object
    properties:
      - name: time_stamp
        logicalType: timestamp
        quality:
          - id: too-old
            type: custom
            engine: dropzone
            implementation: {rule: behind, limit: P30D}
      - name: data
        logicalType: array
        description: air temperature
        logicalTypeOptions: {minItems: 2, maxItems: 100}
        quality:
          - id: noisy
            type: custom
            engine: dropzone
            implementation: {rule: spread, limit: 5}
            severity: warning
            description: a loose contact
        items:
          name: sample
          logicalType: number
          logicalTypeOptions: {minimum: -40, maximum: 60}
          quality:
            - id: no-reading
              metric: missingValues
              arguments: {missingValues: [-200, 85.0]}
              mustBe: 0
              dimension: accuracy
      - name: source
        logicalType: string
        logicalTypeOptions: {pattern: "hall-[0-9]+/[a-z]+"}
      - name: unit
        logicalType: string
        quality:
          - metric: invalidValues
            arguments: {validValues: ["°C", K]}
            mustBe: 0
      - name: tags
        logicalType: object
        properties:
          - {name: line, logicalType: string, required: true}
          - {name: room, logicalType: string}
      - name: firmware
        logicalType: string
"""


def compiled(*files: str) -> Contracts:
    named = {f"{number}.odcs.yaml": text.encode() for number, text in enumerate(files)}
    return contracts_of(compile_documents({"default.odcs.yaml": DEFAULT.encode(), **named}.items()).encode())


def findings(*files: str | bytes, default: str = DEFAULT) -> list[str]:
    named = {
        f"{number}.odcs.yaml": text.encode() if isinstance(text, str) else text for number, text in enumerate(files)
    }
    with pytest.raises(ContractError) as raised:
        compile_documents({"default.odcs.yaml": default.encode(), **named}.items())
    return [str(finding) for finding in raised.value.findings]


def test_each_part_of_the_standard_becomes_a_rule() -> None:
    hall = compiled(HALL).named("hall")
    assert hall is not None
    assert (hall.reference, hall.sources) == ("hall@2.1.0", ("hall-3/*", "hall-4/*"))
    about = {"description": "air temperature"}
    assert json.loads(hall.model_dump_json())["rules"] == [
        {"rule": "behind", "id": "too-old", "severity": "error", "dimension": "timeliness", "description": "", "limit": "P30D"},
        {"rule": "samples", "id": "samples", "severity": "error", "dimension": "completeness", **about, "minimum": 2, "maximum": 100},
        {"rule": "spread", "id": "noisy", "severity": "warning", "dimension": "consistency", "description": "a loose contact", "limit": 5.0},
        {"rule": "minimum", "id": "minimum", "severity": "error", "dimension": "conformity", **about, "limit": -40.0},
        {"rule": "maximum", "id": "maximum", "severity": "error", "dimension": "conformity", **about, "limit": 60.0},
        {"rule": "sentinel", "id": "no-reading", "severity": "error", "dimension": "accuracy", "description": "", "values": [-200.0, 85.0]},
        {"rule": "source", "id": "source", "severity": "error", "dimension": "conformity", "description": "", "pattern": "hall-[0-9]+/[a-z]+"},
        {"rule": "units", "id": "units", "severity": "error", "dimension": "conformity", "description": "", "allowed": ["°C", "K"]},
        {"rule": "tags", "id": "tags", "severity": "error", "dimension": "completeness", "description": "", "names": ["line"]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("was", "instead", "expected"),
    [
        ("id: hall\n", "", ['0.odcs.yaml:1: the contract: "id" is a required property']),
        ("version: 2.1.0", "version: 2.1", ['0.odcs.yaml:4: version: 2.1 is not of type "string"']),
        ("version: 2.1.0", "version: 2 1", ["0.odcs.yaml:4: version: String should match pattern"]),
        ("id: hall", "id: Hall 3", ["0.odcs.yaml:3: id: String should match pattern"]),
        ("status: active", "statos: active", ["0.odcs.yaml:1: the contract:"]),
        ('value: ["hall-3/*", "hall-4/*"]', "value: hall-3", ["0.odcs.yaml:6: sources: Input should be a valid tuple"]),
        ("property: sources", "property: colour", ["0.odcs.yaml:7: 'colour' is not supported by Dropzone"]),
        ("{minimum: -40,", "{minimum: cold,", ["0.odcs.yaml:34: schema.0.properties.1.items.logicalTypeOptions.minimum"]),
        ("maximum: 60}", "multipleOf: 5}", ["0.odcs.yaml:34: multipleOf can't be enforced here"]),
        ("limit: P30D", "limit: a month", ["0.odcs.yaml:16: limit: Input should be a valid timedelta"]),
        ("limit: P30D", "limits: P30D", ["0.odcs.yaml:16: limit: Field required", "0.odcs.yaml:16: limits: Extra inputs"]),
        ("rule: behind", "rule: spread", ["0.odcs.yaml:19: a rule 'spread' can't apply to time_stamp"]),
        ("rule: behind", "rule: smell", ["0.odcs.yaml:19: a rule 'smell' can't apply to time_stamp"]),
        ("engine: dropzone\n            implementation: {rule: behind", "engine: soda\n            implementation: {rule: behind",
         ["0.odcs.yaml:16: this rule of time_stamp can't be enforced"]),
        ("severity: warning", "severity: info", ["0.odcs.yaml:25: severity: Input should be 'error' or 'warning'"]),
        ("mustBe: 0\n              dimension", "mustBe: 3\n              dimension", ["0.odcs.yaml:36: this rule of items can't be enforced"]),
        ("dimension: accuracy", "dimension: beauty", ["0.odcs.yaml:40: schema.0.properties.1.items.quality.0.dimension"]),
        ("id: noisy", "id: too-old", ["0.odcs.yaml:9: has two rules with the id 'too-old'"]),
        ("- name: firmware\n        logicalType: string", "- name: firmware\n        logicalType: string\n        logicalTypeOptions: {minLength: 2}",
         ["0.odcs.yaml:55: 'firmware' is no field of an event"]),
        ("[0-9]+/[a-z]+", "(?=[0-9])", ["0.odcs.yaml:43: pattern: Value error, is not a regular expression"]),
        ("kind: DataContract", "kind: DataContract\nkind: DataContract", ["0.odcs.yaml:3: has the key 'kind' twice"]),
        ("id: hall", "id: default", ["0.odcs.yaml:3: the id 'default' is also that of default.odcs.yaml"]),
    ],
)  # fmt: skip
def test_an_error_is_reported_with_its_line(was: str, instead: str, expected: list[str]) -> None:
    assert was in HALL
    found = findings(HALL.replace(was, instead, 1))
    assert [line[: len(start)] for line, start in itertools.zip_longest(found, expected, fillvalue="")] == expected


def test_all_errors_are_reported_at_once() -> None:
    broken = HALL.replace("maximum: 60", "multipleOf: 5").replace("limit: P30D", "limit: a month")
    assert len(findings(broken, broken.replace("id: hall", "id: other"))) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "0.odcs.yaml:1: is not a mapping of keys to values"),
        (b"- 1", "0.odcs.yaml:1: is not a mapping of keys to values"),
        (b"a: [1, 2\nb: 3", "0.odcs.yaml:2: is not YAML: "),
        (b"a: \xff", "0.odcs.yaml:1: is not UTF-8: "),
        (b"a: \x00", "0.odcs.yaml:1: is not YAML: "),
        (b"a: &x [1]\nb: *x", "0.odcs.yaml:2: has an alias: write the value out"),
        (b"a: " + b"[" * 100_000, "0.odcs.yaml:1: is not YAML: exceeded maximum nesting depth"),
        (b"a: " + b"[" * 40 + b"]" * 40, "0.odcs.yaml:1: is nested more than 30 deep"),
        (b"#" * (MAX_BYTES + 1), f"0.odcs.yaml:1: has more than {MAX_BYTES} bytes"),
        (b"a: [" + b"{b: 1}, " * 1_250_000 + b"]", f"0.odcs.yaml:1: has more than {MAX_BYTES} bytes"),
        (b"a: !!python/object/apply:os.system [ls]", "0.odcs.yaml:1: the contract: "),
    ],
)
def test_a_hostile_file_is_refused(text: bytes, expected: str) -> None:
    first, *_ = findings(text)
    assert first.startswith(expected)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_contract_or_refused(text: bytes) -> None:
    findings(text)


def test_drafts_are_checked_and_do_not_hold() -> None:
    assert compiled(HALL.replace("active", "draft")).named("hall") is None
    assert findings(HALL.replace("active", "draft").replace("maximum: 60", "multipleOf: 5"))


def test_there_is_a_default_contract_without_sources() -> None:
    assert findings(default=DEFAULT.replace("status: active", "status: draft")) == [
        "default.odcs.yaml:1: is missing: there must be an active contract 'default'"
    ]
    [found] = findings(default=DEFAULT + 'customProperties: [{property: sources, value: ["a"]}]\n')
    assert found.endswith("the default contract applies to every other source")


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("a/*", "a/*", True),
        ("a/*", "b/*", False),
        ("a*", "*a", True),
        ("ab*", "*ac", True),
        ("ab", "ab", True),
        ("ab", "ac", False),
        ("a?c", "ab?", True),
        ("a?c", "?bd", False),
        ("*a*", "*b*", True),
        ("a/*", "a/b*", False),  # the second one is more specific
        ("a*b", "a*c", False),
        ("x*", "?", False),  # a character for a character
    ],
)
def test_two_patterns_between_which_nothing_decides_are_refused(one: str, other: str, overlap: bool) -> None:
    pair = [contract("one", sources=(one,)), contract("two", sources=(other,))]
    assert bool([*overlaps(pair)]) is overlap


def test_an_overlap_names_both_contracts() -> None:
    found, _ = findings(HALL, HALL.replace("id: hall", "id: room").replace('"hall-3/*", "hall-4/*"', '"*-3/west"'))
    assert found.startswith("0.odcs.yaml:6: the pattern 'hall-3/*' and '*-3/west' of the contract 'room'")


@pytest.mark.slow
def test_a_thousand_contracts_compile() -> None:
    files = [
        HALL.replace("id: hall", f"id: hall-{number}").replace('"hall-3/*", "hall-4/*"', f'"site-{number:04}/*"')
        for number in range(1_000)
    ]
    of = compiled(*files)
    assert of.of_source("site-0998/x").id == "hall-998"
    assert of.of_source("site-1000/x").id == "default"


def test_the_ruleset_changes_with_any_contract() -> None:
    rulesets = [of.ruleset for of in (compiled(), compiled(HALL), compiled(HALL.replace("maximum: 60", "maximum: 61")))]
    assert len(set(rulesets)) == 3
    assert all(ruleset.startswith(f"{RULESET}.") for ruleset in rulesets)
    assert compiled(HALL).ruleset == rulesets[1]


def test_the_layer_carries_the_project_s_contracts() -> None:
    carried = (PROJECT / "layers/common/dropzone/contracts.json").read_text(encoding="utf-8")
    assert carried == compile_folder(PROJECT / "contracts").contracts, "run `make contracts`"
    assert deployed_contracts().ruleset == contracts_of(carried.encode()).ruleset
    assert compiled_expectations() == compile_folder(PROJECT / "contracts").expectations, "run `make contracts`"


def test_the_layer_carries_what_was_written() -> None:
    carried = (PROJECT / "layers/common/dropzone/contracts").glob("*.odcs.yaml")
    texts = {path.name.removesuffix(".odcs.yaml"): path.read_text(encoding="utf-8") for path in carried}
    assert texts == compile_folder(PROJECT / "contracts").texts, "run `make contracts`"
    assert texts.keys() == {contract.id for contract in deployed_contracts()}


def test_the_text_of_a_draft_is_not_carried(tmp_path: Path) -> None:
    (tmp_path / "default.odcs.yaml").write_text(DEFAULT, encoding="utf-8")
    (tmp_path / "some-hall.odcs.yaml").write_text(HALL, encoding="utf-8")
    (tmp_path / "draft.odcs.yaml").write_text(
        HALL.replace("active", "draft").replace("id: hall", "id: draft"), encoding="utf-8"
    )

    assert compile_folder(tmp_path).texts == {"default": DEFAULT, "hall": HALL}


def test_the_default_contract_flags_clocks_that_are_ahead_and_rejects_nothing() -> None:
    assert [(rule.rule, rule.severity) for rule in compiled().default.rules] == [("ahead", "warning")]
