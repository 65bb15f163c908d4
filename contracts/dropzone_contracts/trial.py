"""Try contracts on objects in bronze, together with the deployed ones."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple
from uuid import UUID

from dropzone.domain.contracts import Contracts, contracts_of
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Change, Outcome, Rejection, Violation, compare
from dropzone.domain.validate import Contents
from dropzone_contracts.compiler import compile_documents
from dropzone_contracts.document import Document

SAMPLES = 3


class _Effect(NamedTuple):
    """The effect of a rule on an event."""

    rule: str
    """The identifier of the rule; for a basic rule, its code."""
    code: str
    verb: str


class Trial:
    """Finds what would change if files were deployed."""

    def __init__(self, deployed: Mapping[str, str], tried: Mapping[str, bytes], source: str | None = None) -> None:
        """Compile the deployed contracts, given by identifier, and the same with files replacing theirs.

        A file is tried whatever its status. With a source, events of others are left out.

        Raises:
            ContractError: the files can't be used, or not together with the others.
        """
        texts = {f"deployed contract {identifier}": text.encode() for identifier, text in deployed.items()}
        replaced = {f"deployed contract {Document(name, text).contract.id}" for name, text in tried.items()}
        others = {name: text for name, text in texts.items() if name not in replaced}
        self._deployed = _contracts(texts)
        self._tried = _contracts({**others, **tried}, tried)
        self._source = source
        self._objects = self._events = 0
        self._changes = Counter[Change]()
        self._effects: defaultdict[tuple[str, _Effect], list[dict[str, Any]]] = defaultdict(list)
        self._counts = Counter[tuple[str, _Effect]]()

    def add(self, raw_id: UUID, body: bytes, *, content_type: str, contract: str) -> None:
        self._objects += 1
        before, after = (
            [
                *Contents(
                    body, content_type, received_at=received_at(raw_id), contracts=contracts, contract=contract
                ).outcomes()
            ]
            for contracts in (self._deployed, self._tried)
        )
        for item, (old, new) in enumerate(zip_longest(before, after)):
            if self._source is None or any(one is not None and one.source == self._source for one in (old, new)):
                self._compare(raw_id, item, old, new)

    def report(self) -> dict[str, Any]:
        """The numbers of events that would change, by rule, with samples; the most frequent first."""
        rules = sorted(self._counts.items(), key=lambda one: (-one[1], one[0]))
        return {
            "objects": self._objects,
            "events": self._events,
            "changes": {change.value: number for change, number in self._changes.items()},
            "rules": [
                {
                    "rule": effect.rule,
                    "code": effect.code,
                    "change": f"{when} {effect.verb}",
                    "events": number,
                    "samples": self._effects[when, effect],
                }
                for (when, effect), number in rules
            ],
        }

    def _compare(self, raw_id: UUID, item: int, old: Outcome | None, new: Outcome | None) -> None:
        self._events += 1
        self._changes.update(compare([] if old is None else [old], [] if new is None else [new]))
        before, after = _effects(old), _effects(new)
        for when, effects, others in (("now", after, before), ("no longer", before, after)):
            for effect, violation in effects.items():
                if effect in others:
                    continue
                self._counts[when, effect] += 1
                samples = self._effects[when, effect]
                if len(samples) < SAMPLES:
                    outcome = new if when == "now" else old
                    samples.append(
                        {
                            "raw_id": str(raw_id),
                            "item": item,
                            "source": "" if outcome is None else outcome.source,
                            "message": f"{violation.field} {violation.message}",
                        }
                    )


def _contracts(files: Mapping[str, bytes], whatever_status: Collection[str] = ()) -> Contracts:
    return contracts_of(compile_documents(files.items(), whatever_status).encode())


def _effects(outcome: Outcome | None) -> dict[_Effect, Violation]:
    if outcome is None:
        return {}
    verb, violations = _of(outcome)
    return {
        _Effect(violation.rule or violation.code.value, violation.code.value, verb): violation
        for violation in violations
    }


def _of(outcome: Outcome) -> tuple[str, Sequence[Violation]]:
    return ("rejects", outcome.violations) if isinstance(outcome, Rejection) else ("flags", outcome.flags)
