"""Months are made table by table, in the time that there is."""

from collections import Counter
from dataclasses import dataclass, field

from dropzone.ports import Months, SilverTable
from dropzone.use_cases.upkeep import add_months


@dataclass(slots=True)
class Late:
    """Tables that each lack so many months; a call makes one of them, unless others use the table."""

    lacking: Counter[str]
    used: frozenset[str] = frozenset()
    calls: list[str] = field(default_factory=list)

    def add_months(self, table: SilverTable) -> Months:
        self.calls.append(table)
        if self.lacking[table] == 0:
            return Months(0, 0)
        if table in self.used:
            return Months(0, 1)
        self.lacking[table] -= 1
        return Months(1, 0)


def test_all_that_is_lacking_is_made() -> None:
    store = Late(Counter(receipts=2, measurements=1))

    assert add_months(store, time_left=lambda: 60) == Months(3, 0)
    assert Counter(store.calls) == {"receipts": 3, "outcomes": 1, "measurements": 2}


def test_a_table_in_use_is_left_to_the_next_run() -> None:
    store = Late(Counter(receipts=2, outcomes=2), frozenset({"receipts"}))

    assert add_months(store, time_left=lambda: 60) == Months(2, 1)
    assert Counter(store.calls) == {"receipts": 1, "outcomes": 3, "measurements": 1}


def test_no_month_is_begun_without_time() -> None:
    store = Late(Counter(receipts=5, outcomes=5))

    assert add_months(store, time_left=lambda: 60 - 25 * len(store.calls)) == Months(3, 0)
    assert store.calls == ["receipts"] * 3
