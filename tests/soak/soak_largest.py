"""The largest object that ingest takes, in calls of the shortest time, by the clock on the wall."""

from resilience.largest import LargestObject, check_that_a_replay_ends, check_that_it_ends, shortest_call
from support.postgres import SilverInPostgres


def test_the_largest_object_ends_in_calls_of_the_shortest_time(tables: SilverInPostgres) -> None:
    assert check_that_it_ends(tables, LargestObject.make(), shortest_call) > 1


def test_a_replay_of_the_largest_object_answers_in_time_and_ends(tables: SilverInPostgres) -> None:
    assert check_that_a_replay_ends(tables, LargestObject.make(), shortest_call) > 1
