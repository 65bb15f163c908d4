"""A Postgres that lets people in as RDS does: members of certain roles by token, everybody else by password.

RDS asks a service of its own about the token (PAM); this one asks a RADIUS server, which Postgres can as well.
"""

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dropzone_local.ports import LOOPBACK, find_free
from dropzone_local.postgres import Postgres

OWNER = "schema_owner"
OWNER_PASSWORD = "what-the-secret-says"  # noqa: S105 - of a server that lives as long as a test

_SHARED_SECRET = b"between-postgres-and-radius"
_ACCEPT, _REJECT = 2, 3
_USER_NAME, _USER_PASSWORD = 1, 2


@dataclass(slots=True)
class Tokens:
    """Who may sign in with what; and the RADIUS server that knows."""

    socket: socket.socket
    good: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """The users that somebody wanted to sign in as, in order."""

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def sign(self, user: str) -> str:
        """Make a token, which ends the one before."""
        self.good[user] = f"token-{len(self.asked)}-of-{user}"
        return self.good[user]

    def serve(self) -> None:
        """Answer until an empty request comes."""
        while True:
            request, whom = self.socket.recvfrom(4_096)
            if not request:
                return
            self.socket.sendto(self._answer(request), whom)

    def _answer(self, request: bytes) -> bytes:
        _, number, _, authenticator = struct.unpack("!BBH16s", request[:20])
        attributes = dict(_attributes(request[20:]))
        user, password = attributes[_USER_NAME].decode(), _uncover(attributes[_USER_PASSWORD], authenticator)
        self.asked.append(user)
        code = _ACCEPT if self.good.get(user) == password else _REJECT
        head = struct.pack("!BBH", code, number, 20)
        return head + hashlib.md5(head + authenticator + _SHARED_SECRET).digest()  # noqa: S324 - RFC 2865 says so


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, length = data[0], data[1]
        yield kind, data[2:length]
        data = data[length:]


def _uncover(hidden: bytes, authenticator: bytes) -> str:
    """Undo how RFC 2865 hides a password."""
    clear, before = b"", authenticator
    for start in range(0, len(hidden), 16):
        block = hidden[start : start + 16]
        key = hashlib.md5(_SHARED_SECRET + before).digest()  # noqa: S324 - RFC 2865 says so
        clear += bytes(left ^ right for left, right in zip(block, key, strict=True))
        before = block
    return clear.rstrip(b"\0").decode()


@dataclass(slots=True)
class Rds:
    """The server, with a database of its owner's, who is no superuser."""

    server: Postgres
    tokens: Tokens
    database: str = "measured"

    def query(self, sql: str) -> list[list[object]]:
        with self.server.connect(self.database) as connection:
            return list(connection.run(sql) or [])

    def let_in_by_token(self, roles: str) -> None:
        """Refuse passwords to the members of these roles, also to indirect ones."""
        radius = (
            f"radius radiusservers={LOOPBACK} radiusports={self.tokens.port} radiussecrets={_SHARED_SECRET.decode()}"
        )
        self._rules(f"host all {roles} {LOOPBACK}/32 {radius}")

    def clear(self) -> None:
        """Return to an owner with a password, and an empty database."""
        self._rules()
        self.tokens.good.clear()
        self.tokens.asked.clear()
        with self.server.connect() as connection:
            connection.run(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
            for role in ("dropzone_writer", "dropzone_reader", "dropzone_analyst"):
                connection.run(f"DROP ROLE IF EXISTS {role}")
            connection.run(f"CREATE DATABASE {self.database} OWNER {OWNER}")

    def _rules(self, *lines: str) -> None:
        """Who is let in how: by these lines, and everybody else by password."""
        rules = self.server.data / "pg_hba.conf"
        rules.write_text("\n".join([*lines, f"host all all {LOOPBACK}/32 scram-sha-256", ""]), encoding="utf-8")
        with self.server.connect() as connection:
            connection.run("SELECT pg_reload_conf()")


@contextmanager
def rds(directory: Path) -> Iterator[Rds]:
    """Run such a server for the time of a with block."""
    server = Postgres(directory, port=find_free(), password="of the superuser", bound_to_parent=True)  # noqa: S106 - as above
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radius:
        radius.bind((LOOPBACK, 0))
        tokens = Tokens(radius)
        thread = threading.Thread(target=tokens.serve)
        thread.start()
        try:
            server.start()
            with server.connect() as connection:
                connection.run("CREATE ROLE rds_iam NOLOGIN")
                connection.run(f"CREATE ROLE {OWNER} LOGIN CREATEROLE CREATEDB PASSWORD '{OWNER_PASSWORD}'")
                # As RDS's master user may; here, it takes membership.
                connection.run(f"GRANT rds_iam TO {OWNER} WITH ADMIN OPTION")
            yield Rds(server, tokens)
        finally:
            server.stop()
            # An empty request ends it: closing a socket does not wake who waits for it.
            radius.sendto(b"", (LOOPBACK, tokens.port))
            thread.join()
