"""What clients may do: their scopes, and the sources to which they are bound. Pure.

A client is known by the SHA-256 of its key; who is listed, and for what, is in a document that operators keep
(docs/security.md).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from dropzone.domain.patterns import SourcePattern

MAX_BINDING = 1_500
"""The limit of a binding's JSON in characters: it is kept with each object, whose metadata has 2 KB."""


class Scope(StrEnum):
    """What a key opens."""

    INGEST = "ingest"
    """POST /ingest, and what has become of what was sent with the same key."""
    READ = "read"
    """Every list and figure."""
    OPERATE = "operate"
    """POST /process with its replays, and the bytes of any object."""


PUBLIC: frozenset[Scope] = frozenset()
"""Of routes that need no key."""


def _short_enough(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if len(json.dumps(patterns)) > MAX_BINDING:
        message = f"a binding has at most {MAX_BINDING} characters"
        raise ValueError(message)
    return patterns


_Binding = Annotated[tuple[SourcePattern, ...], AfterValidator(_short_enough)]


class ListedClient(BaseModel):
    """An entry of the document of clients: one key. During a rotation, a client has two."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """What was sent with a key belongs to this name, whatever the key."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the key; of a role's ARN where API Gateway checks signatures."""
    key_id: str = ""
    """API Gateway's identifier of the key, for those who manage it."""
    scopes: frozenset[Scope]
    writes: _Binding | None = None
    """The sources that it may write, as patterns; all without it."""
    reads: _Binding | None = None
    """The sources that it may read, as patterns; all without it."""
    created: AwareDatetime | None = None
    expires: AwareDatetime | None = None
    """From then on it opens nothing."""


class ClientsDocument(BaseModel):
    """The document of clients."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    clients: tuple[ListedClient, ...] = ()

    @cached_property
    def by_sha256(self) -> Mapping[str, ListedClient]:
        """The entries by their keys' hashes."""
        return {client.sha256: client for client in self.clients}


@dataclass(frozen=True, slots=True)
class Access:
    """Who sent a request, and what it may do."""

    client: str
    """The client's name; of an unlisted one `~` and the beginning of its key's hash, which no name looks like."""
    scopes: frozenset[Scope]
    writes: tuple[str, ...] | None = None
    """Patterns of the sources that it may write; None for all."""
    reads: tuple[str, ...] | None = None
    """Patterns of the sources that it may read; None for all."""
    is_listed: bool = True
    expires: datetime | None = None


_HASH_CHARACTERS = 16


def access_of(digest: str, clients: ClientsDocument, default_scopes: frozenset[Scope]) -> Access:
    """What a request may do: what its client's entry says, or without one the default scopes.

    Args:
        digest: the SHA-256 of its key, in hexadecimal.
        clients: those that are listed.
        default_scopes: of keys without an entry.
    """
    listed = clients.by_sha256.get(digest)
    if listed is None:
        return Access(f"~{digest[:_HASH_CHARACTERS]}", default_scopes, is_listed=False)
    return Access(listed.name, listed.scopes, listed.writes, listed.reads, expires=listed.expires)


class Decision(StrEnum):
    """Of a request."""

    ALLOWED = "allowed"
    UNKNOWN = "key-unknown"
    EXPIRED = "key-expired"
    SCOPE_MISSING = "scope-missing"


def decide(access: Access, opened_by: frozenset[Scope], now: datetime) -> Decision:
    """Whether a request may go on to a route that any of these scopes opens."""
    if access.expires is not None and access.expires <= now:
        return Decision.EXPIRED
    if not access.scopes.isdisjoint(opened_by):
        return Decision.ALLOWED
    return Decision.SCOPE_MISSING if access.is_listed or access.scopes else Decision.UNKNOWN
