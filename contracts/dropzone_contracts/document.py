"""A contract's YAML file: its value, the line of each of its parts, and what is wrong there."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import yaml
from jsonschema_rs import Validator, validator_for
from open_data_contract_standard.model import OpenDataContractStandard

MAX_BYTES = 256 * 1024
MAX_DEPTH = 30

Path = tuple[str | int, ...]


class Finding(NamedTuple):
    """A reason why a contract can't be used."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        """The finding in the format of compilers, so that editors find the line."""
        return f"{self.file}:{self.line}: {self.message}"


class ContractError(ValueError):
    """Contracts can't be used, for the reasons in `findings`."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float")}


class Document:
    """A file that is valid YAML, and valid by the Open Data Contract Standard."""

    def __init__(self, name: str, text: bytes) -> None:
        """Read and check a file.

        Raises:
            ContractError: the file is not valid; it lists each reason.
        """
        self.name = name
        self._lines: dict[Path, int] = {(): 1}
        self.value = self._read(text)
        findings = [self.finding(path, message) for path, message in _schema_errors(self.value)]
        if findings:
            raise ContractError(findings)
        self.contract = OpenDataContractStandard.model_validate(self.value)

    def finding(self, path: Iterable[str | int], message: str) -> Finding:
        """A finding about the part at a path; a missing part has the line of its parent."""
        place = tuple(path)
        while place not in self._lines:
            place = place[:-1]
        return Finding(self.name, self._lines[place], message)

    def _read(self, text: bytes) -> Any:  # noqa: ANN401 - any YAML
        if len(text) > MAX_BYTES:
            raise ContractError([Finding(self.name, 1, f"has more than {MAX_BYTES} bytes")])
        try:
            source = text.decode()
            self._check_events(source)
            node = yaml.compose(source, Loader=_Loader)
        except UnicodeDecodeError as error:
            raise ContractError([Finding(self.name, 1, f"is not UTF-8: {error.reason}")]) from error
        except yaml.MarkedYAMLError as error:
            line = getattr(error.problem_mark, "line", 0) + 1
            raise ContractError([Finding(self.name, line, f"is not YAML: {error.problem}")]) from error
        except yaml.YAMLError as error:
            raise ContractError([Finding(self.name, 1, f"is not YAML: {error}")]) from error
        if not isinstance(node, yaml.MappingNode):
            raise ContractError([Finding(self.name, 1, "is not a mapping of keys to values")])
        return self._value(node, ())

    def _check_events(self, source: str) -> None:
        """Reject what would expand a small file to a large one, or nest it without limit."""
        depth = 0
        for event in yaml.parse(source, Loader=_Loader):
            line = getattr(event.start_mark, "line", 0) + 1
            if isinstance(event, yaml.AliasEvent):
                raise ContractError([Finding(self.name, line, "has an alias: write the value out")])
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ContractError([Finding(self.name, line, f"is nested more than {MAX_DEPTH} deep")])

    def _value(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - any YAML
        self._lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(entry, (*path, index)) for index, entry in enumerate(node.value)]
        # Dates stay text, as in JSON.
        return _CONSTRUCTOR.construct_object(node) if node.tag in _SCALARS else node.value

    def _entries(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        known: set[str] = set()
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in known:
                line = key_node.start_mark.line + 1
                raise ContractError([Finding(self.name, line, f"has the key {key!r} twice")])
            known.add(key)
            value = self._value(value_node, (*path, key))
            self._lines[*path, key] = key_node.start_mark.line + 1
            yield key, value


@cache
def _validator() -> Validator:
    return validator_for(json.loads(OpenDataContractStandard.json_schema()))  # type: ignore[no-untyped-call] # has none


def _schema_errors(value: Any) -> Iterator[tuple[Path, str]]:  # noqa: ANN401 - any YAML
    """The paths at which a value breaks the standard's schema, each once, with the reason."""
    errors = {tuple(error.instance_path): error.message for error in _validator().iter_errors(value)}
    for path, message in errors.items():
        # An error in a nested value also makes the property around it unexpected.
        if not any(other[: len(path)] == path for other in errors if len(other) > len(path)):
            where = ".".join(map(str, path)) or "the contract"
            yield path, f"{where}: {message[:200]}"
