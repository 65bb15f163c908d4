"""Translates the parts of the Open Data Contract Standard that Dropzone enforces to its own contracts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from open_data_contract_standard.model import CustomProperty, DataQuality, SchemaProperty
from pydantic import TypeAdapter, ValidationError

from dropzone.domain.contracts import Contract, Dimension, Rule, Severity
from dropzone.domain.mapping import PayloadMapping
from dropzone_contracts.document import ContractError, Document, Finding, Path

FIELDS = ("time_stamp", "data", "source", "unit", "tags")
"""The fields of an event, which are the names of the schema's properties."""

_DIMENSIONS = {
    "ahead": Dimension.TIMELINESS,
    "behind": Dimension.TIMELINESS,
    "samples": Dimension.COMPLETENESS,
    "tags": Dimension.COMPLETENESS,
    "sentinel": Dimension.COMPLETENESS,
    "spread": Dimension.CONSISTENCY,
}
"""The dimensions of rules whose contract names none; for all other rules it is conformity."""

_PLACES = {
    "minimum": "data",
    "maximum": "data",
    "sentinel": "data",
    "samples": "data",
    "spread": "data",
    "units": "unit",
    "tags": "tags",
    "source": "source",
    "ahead": "time_stamp",
    "behind": "time_stamp",
}
"""The property that each rule is about."""

_RULES: TypeAdapter[Rule] = TypeAdapter(Rule)


def translate(document: Document) -> Contract:
    """The contract of a file.

    Raises:
        ContractError: the file has something that can't be enforced; it lists each reason.
    """
    return _Translation(document).contract()


class _Translation:
    def __init__(self, document: Document) -> None:
        self._document, self._findings = document, list[Finding]()

    def contract(self) -> Contract:
        stated = self._document.contract
        properties = self._custom(stated.customProperties, ("customProperties",), {"sources"})
        rules = [rule for rule in self._rules() if rule is not None]
        sources = properties.get("sources", [])
        mapping = self._mapping()
        contract = None
        try:
            contract = Contract.model_validate(
                {"id": stated.id, "version": stated.version, "sources": sources, "rules": rules, "mapping": mapping}
            )
        except ValidationError as error:
            for entry in error.errors(include_url=False, include_input=False):
                path: Path = tuple(entry["loc"])
                place = ("customProperties",) if path[:1] == ("sources",) else path
                self._find(place, f"{'.'.join(map(str, path))}: {entry['msg']}")
        for identifier in {rule.id for rule in rules if [other.id for other in rules].count(rule.id) > 1}:
            self._find(("schema",), f"has two rules with the id {identifier!r}")
        if contract is None or self._findings:
            raise ContractError(self._findings)
        return contract

    def _find(self, path: Path, message: str) -> None:
        self._findings.append(self._document.finding(path, message))

    def _custom(self, stated: list[CustomProperty] | None, path: Path, known: set[str]) -> dict[str, Any]:
        """The known custom properties."""
        found: dict[str, Any] = {}
        for index, custom in enumerate(stated or []):
            if custom.property in known:
                found[custom.property] = custom.value
            else:
                self._find((*path, index), f"{custom.property!r} is not supported by Dropzone")
        return found

    def _rules(self) -> Iterator[Rule | None]:
        stated = self._document.contract
        schemas = stated.schema_ or []
        if len(schemas) != 1:
            self._find(("schema",), "must have one object, the events")
            return
        (events,) = schemas
        if events.quality:
            self._find(("schema", 0, "quality"), "quality belongs to a property of the events")
        for index, stated_property in enumerate(events.properties or []):
            path: Path = ("schema", 0, "properties", index)
            yield from self._of_property(stated_property, path)

    def _mapping(self) -> PayloadMapping | None:
        """The mapping in `transformLogic`; the custom properties of the schema's object tell where the events are."""
        if len(self._document.contract.schema_ or []) != 1:
            return None
        (events,) = self._document.contract.schema_ or []
        stated = self._custom(events.customProperties, ("schema", 0, "customProperties"), {"events", "parts"})
        for stated_property in events.properties or []:
            if stated_property.name in FIELDS and stated_property.transformLogic:
                stated[stated_property.name] = stated_property.transformLogic
            if stated_property.name == "tags":
                tags = {tag.name: tag.transformLogic for tag in stated_property.properties or [] if tag.transformLogic}
                stated |= {"tags": tags} if tags else {}
        if not stated:
            return None
        return self._mapping_of({**stated, **self._time_options(events.properties or [])})

    def _mapping_of(self, stated: dict[str, object]) -> PayloadMapping | None:
        try:
            return PayloadMapping.model_validate(stated)
        except ValidationError as error:
            names = [entry.name for entry in (self._document.contract.schema_ or [])[0].properties or []]
            for entry in error.errors(include_url=False, include_input=False):
                field = str(entry["loc"][0]) if entry["loc"] else ""
                field = "time_stamp" if field in {"time_format", "time_zone"} else field
                path: Path = ("schema", 0)
                if field in names:
                    path = ("schema", 0, "properties", names.index(field), "transformLogic")
                self._find(path, f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}".removeprefix(": "))
            return None

    @staticmethod
    def _time_options(properties: Sequence[SchemaProperty]) -> dict[str, object]:
        options = next((of.logicalTypeOptions or {} for of in properties if of.name == "time_stamp"), {})
        names = {"format": "time_format", "defaultTimezone": "time_zone"}
        return {names[option]: value for option, value in options.items() if option in names}

    def _of_property(self, stated: SchemaProperty, path: Path) -> Iterator[Rule | None]:
        name = stated.name or ""
        if name not in FIELDS:
            if stated.quality or stated.logicalTypeOptions:
                self._find(path, f"{name!r} is no field of an event ({', '.join(FIELDS)}): its rules can't be enforced")
            return
        if name == "unit" and stated.required and not stated.quality:
            self._find(path, "a required unit needs a library metric invalidValues with the units that are valid")
        yield from self._of_options(name, stated, path)
        for index, quality in enumerate(stated.quality or []):
            yield self._of_quality(name, quality, (*path, "quality", index))
        if stated.items:
            items = (*path, "items")
            yield from self._of_options("items", stated.items, items, stated.description)
            for index, quality in enumerate(stated.items.quality or []):
                yield self._of_quality("items", quality, (*items, "quality", index))

    def _of_options(
        self, name: str, stated: SchemaProperty, path: Path, description: str | None = None
    ) -> Iterator[Rule | None]:
        """The rules in a property's type."""
        options = _options(stated)
        about = stated.description or description or ""
        where = (*path, "logicalTypeOptions")

        def rule(kind: str, place: Path, **arguments: object) -> Rule | None:
            return self._rule(kind, {"id": kind, "description": about, **arguments}, place)

        match name:
            case "items":
                limits = [limit for limit in ("minimum", "maximum") if limit in options]
                yield from (rule(limit, (*where, limit), limit=options.pop(limit)) for limit in limits)
            case "data":
                minimum, maximum = options.pop("minItems", 1), options.pop("maxItems", None)
                # At least one sample is already a basic rule.
                if minimum != 1 or maximum is not None:
                    yield rule("samples", where, minimum=minimum, maximum=maximum)
            case "source" if stated.required or "pattern" in options:
                yield rule("source", (*where, "pattern"), pattern=options.pop("pattern", ".+"))
            case "tags" if names := [tag.name for tag in stated.properties or [] if tag.required]:
                yield rule("tags", (*path, "properties"), names=names)
        for option in options:
            self._find((*where, option), f"{option} can't be enforced here")

    def _of_quality(self, name: str, quality: DataQuality, path: Path) -> Rule | None:
        match quality:
            case DataQuality(type="text"):
                return None
            case DataQuality(type="custom", engine="dropzone", implementation=dict(stated)):
                kind = str(stated.get("rule"))
                if _PLACES.get(kind) != ("data" if name == "items" else name):
                    self._find((*path, "implementation"), f"a rule {kind!r} can't apply to {name}")
                    return None
                return self._rule(kind, _given(quality, kind) | {k: v for k, v in stated.items() if k != "rule"}, path)
            case DataQuality(metric="missingValues", mustBe=0) if name == "items":
                values = (quality.arguments or {}).get("missingValues")
                return self._rule("sentinel", _given(quality, "sentinel") | {"values": values}, path)
            case DataQuality(metric="invalidValues", mustBe=0) if name == "unit":
                values = (quality.arguments or {}).get("validValues")
                return self._rule("units", _given(quality, "units") | {"allowed": values}, path)
        self._find(path, f"this rule of {name} can't be enforced: see docs/contracts.md for those that can")
        return None

    def _rule(self, kind: str, arguments: Mapping[str, object], path: Path) -> Rule | None:
        stated = {"dimension": _DIMENSIONS.get(kind, Dimension.CONFORMITY), "rule": kind, **arguments}
        try:
            return _RULES.validate_python(stated)
        except ValidationError as error:
            for entry in error.errors(include_url=False, include_input=False):
                field = ".".join(str(part) for part in entry["loc"] if part != kind)
                self._find(path, f"{field}: {entry['msg']}" if field else entry["msg"])
            return None


def _options(stated: SchemaProperty) -> dict[str, Any]:
    """The options of a property's type, except the format of a mapped time."""
    is_mapped = {"format", "defaultTimezone"} if stated.name == "time_stamp" and stated.transformLogic else set()
    return {key: value for key, value in (stated.logicalTypeOptions or {}).items() if key not in is_mapped}


def _given(quality: DataQuality, kind: str) -> dict[str, object]:
    given: dict[str, object] = {
        "id": quality.id or kind,
        "severity": quality.severity or Severity.ERROR,
        "description": quality.description or "",
    }
    return given | ({"dimension": quality.dimension} if quality.dimension else {})
