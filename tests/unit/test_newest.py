"""The newest of a range are the same in steps as at once."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from dropzone.queries.ranges import FIRST, LAST, newest

NOW = datetime.now(UTC)

instants = st.one_of(
    st.integers(-70, 10).map(lambda days: NOW + timedelta(days=days)),
    st.datetimes(timezones=st.just(UTC)),
    st.sampled_from([FIRST, LAST]),
)
bounds = st.none() | instants


@given(st.lists(instants, unique=True), bounds, bounds, bounds, st.integers(1, 12))
@example([FIRST], None, None, FIRST, 1)
@example([LAST, NOW - timedelta(days=40)], None, None, None, 2)
def test_steps_find_what_one_read_finds(
    there: list[datetime], since: datetime | None, until: datetime | None, before: datetime | None, limit: int
) -> None:
    there.sort(reverse=True)
    asked: list[tuple[datetime | None, datetime | None]] = []

    def read(since: datetime | None, until: datetime | None, limit: int) -> list[datetime]:
        asked.append((since, until))
        # A cursor is the reader's own.
        end = min((each for each in (until, before) if each is not None), default=None)
        return [each for each in there if (since is None or each >= since) and (end is None or each < end)][:limit]

    at_once = read(since, until, limit)
    asked.clear()

    began = datetime.now(UTC)
    assert newest(read, since, until, limit, before=before) == at_once
    # The first step has a month at most, up to where it ends; the second all the rest.
    lower, upper = asked[0]
    assert lower is not None
    assert min(each for each in (upper, before or began) if each is not None) - lower <= timedelta(days=31)
    assert len(asked) == 1 or asked[1] == (since, lower)
