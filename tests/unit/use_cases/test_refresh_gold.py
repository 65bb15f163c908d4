"""Keeping gold: chunk by chunk, in the time that there is."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from dropzone.ports import SilverUnavailableError
from dropzone.use_cases.upkeep import refresh_gold


@dataclass(slots=True)
class Stale:
    """Stale buckets of one event, each of which takes so many seconds."""

    stale: int
    seconds: float = 0.0
    now: float = 0.0
    chunks: list[int] = field(default_factory=list)
    fails_after: int | None = None

    def stale_seconds(self) -> float:
        return 0.0

    def refresh(self, max_events: int) -> int:
        if self.fails_after == len(self.chunks):
            raise SilverUnavailableError
        done = min(max_events, self.stale)
        self.stale -= done
        self.now += done * self.seconds
        self.chunks.append(max_events)
        return done

    def time_left(self, seconds: float) -> Callable[[], float]:
        return lambda: seconds - self.now


def refresh(store: Stale, seconds: float = 60.0) -> int:
    return refresh_gold(store, time_left=store.time_left(seconds), clock=lambda: store.now)


def test_all_that_is_stale_is_computed() -> None:
    store = Stale(stale=5000)
    assert refresh(store) == 5000
    assert store.stale == 0


def test_nothing_is_stale() -> None:
    store = Stale(stale=0)
    assert refresh(store) == 0
    assert len(store.chunks) == 1


def test_chunks_grow_while_they_are_quick_and_shrink_while_they_are_not() -> None:
    quick = Stale(stale=10**6, seconds=1e-6)
    refresh(quick)
    assert quick.chunks[:6] == [10_000, 20_000, 40_000, 80_000, 160_000, 160_000]
    slow = Stale(stale=10**6, seconds=3e-4)
    refresh(slow)
    assert slow.chunks[:3] == [10_000, 5_000, 10_000]


def test_one_bucket_at_a_time_is_all_in_the_end() -> None:
    class OneByOne(Stale):
        def refresh(self, max_events: int) -> int:
            assert type(max_events) is int
            return Stale.refresh(self, min(max_events, 1))

    store = OneByOne(stale=17, seconds=3.0)
    assert refresh(store) == 17
    assert store.stale == 0


def test_a_chunk_s_time_is_its_own_whatever_the_clock_says() -> None:
    late = Stale(stale=10**6, seconds=1e-6, now=1e6)
    refresh(late, 1e6 + 60)
    assert late.chunks[:4] == [10_000, 20_000, 40_000, 80_000]


def test_no_chunk_is_begun_without_time() -> None:
    store = Stale(stale=10**6, seconds=1e-4)
    done = refresh(store, 20.0)
    assert 0 < done < 10**6
    assert store.now < 20.0 + 2.0
    assert refresh(Stale(stale=3), 1.0) == 0


def test_a_failure_is_the_caller_s() -> None:
    store = Stale(stale=12_000, fails_after=1)
    with pytest.raises(SilverUnavailableError):
        refresh(store)
    assert store.stale == 2_000
