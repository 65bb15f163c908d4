"""Faults for a running stack: each is made, counted when it really struck, and undone."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from dropzone_local.polling import wait_until
from resilience.faulty_s3 import FaultyS3, Weather
from resilience.live_stack import LiveStack, objects_of

_PATIENCE_SECONDS = 60
"""For a fault to strike: on a busy machine, functions need their time to come back from the one before."""

_A_BATCH = 10

_CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'dropzone_writer'"
_WAITERS = """
SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE NOT l.granted AND a.usename = 'dropzone_writer'
"""
# Of the many events of a long object no other statement has any: the middle is that of first items.
_MIDDLE = "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY measured_at) FROM measurements WHERE item = 0"
_FIRST_HALF = "SELECT FROM measurements WHERE measured_at < :middle FOR UPDATE"
_SECOND_HALF = "SELECT FROM measurements WHERE measured_at >= :middle FOR UPDATE"

# Whoever writes receipts now and then meets an error that the superuser put there.
_TRAP = """
CREATE OR REPLACE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF random() < {chance} THEN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'provoked'; END IF;
    RETURN NULL;
END $$
"""
_SET_TRAP = "CREATE TRIGGER trap AFTER INSERT ON receipts FOR EACH STATEMENT EXECUTE FUNCTION public.trap()"
_LIFT_TRAP = "DROP TRIGGER IF EXISTS trap ON receipts"


@dataclass(slots=True)
class Faults:
    """The kinds of faults, and how often each struck."""

    live: LiveStack
    s3: FaultyS3
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - no secret

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        """Every kind, by its name."""
        return {
            "postgres killed": self._kill_postgres,
            "connections cut in the middle": self._cut_connections,
            "deadlocks": self._deadlock,
            "serialization failures": lambda: self._trap("serialization failures", "40001", 0.5),
            "database out of memory": lambda: self._trap("database out of memory", "53200", 0.4),
            "notifications": self._disturb_notifications,
            "process killed": lambda: self._kill_workers("Process"),
            "ingest killed": lambda: self._kill_workers("Ingest"),
            Weather.READS_FAIL: lambda: self._bad_weather(Weather.READS_FAIL, 0.9, 3),
            Weather.READS_SLOW: lambda: self._bad_weather(Weather.READS_SLOW, 0.4, 3),
            Weather.READS_CUT: lambda: self._bad_weather(Weather.READS_CUT, 0.5, 2),
            Weather.PUTS_FAIL: lambda: self._bad_weather(Weather.PUTS_FAIL, 0.9, 2),
            Weather.PUT_ANSWERS_LOST: lambda: self._bad_weather(Weather.PUT_ANSWERS_LOST, 0.5, 2),
        }

    def cycle(self, ended: threading.Event) -> None:
        """Make one fault of each kind, in an order of the seed's."""
        names = list(self.kinds)
        self._random.shuffle(names)
        for name in names:
            if ended.is_set():
                return
            self.kinds[name]()
            ended.wait(self._random.uniform(0.1, 0.6))

    def undo(self) -> None:
        """Make sure that nothing of any fault is left."""
        if not self.live.stack.postgres.healthy:
            self.live.stack.postgres.restart()
        with self._superuser() as connection:
            connection.run(_LIFT_TRAP)

    # ---- Postgres

    @contextmanager
    def _superuser(self) -> Iterator[Connection]:
        with self.live.stack.postgres.connect() as connection:
            connection.run("SET lock_timeout = '4s'")
            yield connection

    def _kill_postgres(self) -> None:
        self.live.stack.postgres.kill()
        self.counts["postgres killed"] += 1
        time.sleep(self._random.uniform(0.2, 2.0))  # an outage, which has to last
        self.live.stack.postgres.restart()

    def _cut_connections(self) -> None:
        """Let statements wait for a lock, in the middle of their work, and end their connections."""
        for _ in range(2):
            with self._superuser() as connection:
                connection.run("BEGIN")
                connection.run("LOCK TABLE measurements IN EXCLUSIVE MODE")
                if self._someone_waits(connection, _PATIENCE_SECONDS / 2):
                    self.counts["connections cut in the middle"] += 1
                connection.run(_CUT)
                connection.run("ROLLBACK")

    def _deadlock(self) -> None:
        """Lock the later rows, wait for a statement that has some of the earlier and waits for these, and want those.

        This transaction looks for a deadlock much later than the other does, which therefore is the one that is ended.
        """
        ends = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < ends and not self._provoke_deadlock():
            pass

    def _provoke_deadlock(self) -> bool:
        with self._superuser() as connection, suppress(DatabaseError, InterfaceError):
            ((middle,),) = connection.run(_MIDDLE)
            before = self._deadlocks(connection)
            # A batch of many messages has rows of both halves.
            with self.live.queue_held():
                wait_until(
                    lambda: self.live.visible(self.live.endpoints.queue_url) >= _A_BATCH, seconds=_PATIENCE_SECONDS / 3
                )
                connection.run("BEGIN")
                connection.run("SET LOCAL deadlock_timeout = '20s'")
                connection.run(_SECOND_HALF, middle=middle)
            if self._someone_waits(connection, _PATIENCE_SECONDS / 3):
                connection.run(_FIRST_HALF, middle=middle)
            connection.run("ROLLBACK")
            if wait_until(lambda: self._deadlocks(connection) > before, seconds=2.0):
                self.counts["deadlocks"] += 1
                return True
        return False

    @staticmethod
    def _deadlocks(connection: Connection) -> int:
        connection.run("SELECT pg_stat_clear_snapshot()")
        rows = connection.run("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") or []
        return int(rows[0][0])

    @staticmethod
    def _someone_waits(connection: Connection, seconds: float) -> bool:
        def waits() -> bool:
            connection.run("SELECT pg_stat_clear_snapshot()")
            rows = connection.run(_WAITERS) or []
            return bool(rows[0][0])

        return wait_until(waits, seconds=seconds) is not None

    def _trap(self, name: str, state: str, chance: float) -> None:
        """Have the database raise a state now and then."""
        log = self.live.stack.postgres.service.log_file

        def raised() -> int:
            return log.read_text(encoding="utf-8", errors="replace").count("ERROR:  provoked")

        before = raised()
        with self._superuser() as connection, suppress(DatabaseError):
            connection.run(_TRAP.format(state=state, chance=chance))
            connection.run(_SET_TRAP)
        wait_until(lambda: raised() > before + 2, seconds=_PATIENCE_SECONDS)
        self._lift_trap()
        self.counts[name] += raised() - before

    def _lift_trap(self) -> None:
        def lift() -> bool:
            with suppress(DatabaseError), self._superuser() as connection:
                connection.run(_LIFT_TRAP)
                return True
            return False

        assert wait_until(lift, seconds=60)

    # ---- S3, SQS and Lambda

    def _bad_weather(self, kind: Weather, chance: float, seconds: float) -> None:
        """Let the weather last for some time, and until it met someone."""
        before = self.s3.counts[kind]
        with self.s3.weather(kind, chance):
            time.sleep(seconds)
            wait_until(lambda: self.s3.counts[kind] > before, seconds=_PATIENCE_SECONDS)

    def _disturb_notifications(self) -> None:
        """Hold the queue until it has some messages; lose some, double some, and send them in another order."""
        url = self.live.endpoints.queue_url
        with self.live.queue_held():
            wait_until(lambda: self.live.visible(url) >= _A_BATCH, seconds=_PATIENCE_SECONDS / 3)
            messages = list(self.live.take(url, visibility=30))
            self._random.shuffle(messages)
            for number, (handle, body) in enumerate(messages):
                if not self.live.delete(url, handle):
                    continue
                # The special ones have to end as dead letters, which takes a message.
                if number % 3 == 0 and not any(map(self.s3.is_special, objects_of(body))):
                    self.counts["notifications dropped"] += 1
                    continue
                self.counts["notifications reordered"] += 1
                self.live.send(body)
                if number % 3 == 1:
                    self.counts["notifications duplicated"] += 1
                    self.live.send(body)

    def _kill_workers(self, function: str) -> None:
        """Kill the processes of a function, twice, so that it happens at different moments of their work."""
        for _ in range(2):
            wait_until(lambda: bool(self.live.workers(function)), seconds=_PATIENCE_SECONDS)
            self.counts[f"{function.lower()} killed"] += self.live.kill_workers(function)
            time.sleep(self._random.uniform(0.2, 0.7))
