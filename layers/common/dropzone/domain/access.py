"""What clients may do: their scopes, and the sources that they are restricted to. Pure.

A client is identified by the SHA-256 of its key, by its IAM role or user, or by the subject of its tokens. Operators
maintain a document that lists the clients and what each may do (docs/security.md).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from dropzone.domain.patterns import SourcePattern

MAX_BINDING = 1_500
"""The maximum length of a binding's JSON, in characters: it is stored in objects' metadata, which has at most 2 KB."""


class Scope(StrEnum):
    """A set of routes that a client may call."""

    INGEST = "ingest"
    """POST /ingest, and the status of what the same client sent."""
    READ = "read"
    """All lists and statistics."""
    OPERATE = "operate"
    """POST /process and replays, and the raw bytes of any object."""


PUBLIC: frozenset[Scope] = frozenset()
"""The scopes of a route that needs no key."""


def _short_enough(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if len(json.dumps(patterns)) > MAX_BINDING:
        raise ValueError(f"a binding has at most {MAX_BINDING} characters")
    return patterns


_Binding = Annotated[tuple[SourcePattern, ...], AfterValidator(_short_enough)]


class Kind(StrEnum):
    """How API Gateway identifies a client; also the name of the field in the client's entry."""

    KEY = "sha256"
    ROLE = "role"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Identity:
    """The sender of a request, as verified by API Gateway."""

    kind: Kind
    value: str
    """The SHA-256 of its key in hexadecimal, the ARN of its IAM role or user, or the claim `sub` of its token."""
    limit: frozenset[Scope] = frozenset(Scope)
    """The scopes that it can have at most: those of its token, or those allowed for any key."""


class ListedClient(BaseModel):
    """An entry of the clients document: one key, role or subject. A client has two entries during a rotation."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """What a client sends is recorded under this name, whichever key it uses."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of the key, in hexadecimal."""
    role: Annotated[str, Field(pattern=r"^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[\w+=,.@-]+$")] | None = None
    """The ARN of an IAM role or user, without its path: ARNs of sessions have none."""
    subject: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """The claim `sub` of its tokens."""
    key_id: str = ""
    """API Gateway's identifier of the key, for key management."""
    scopes: frozenset[Scope]
    writes: _Binding | None = None
    """Patterns of the sources that it may write; None for all."""
    reads: _Binding | None = None
    """Patterns of the sources that it may read; None for all."""
    created: AwareDatetime | None = None
    expires: AwareDatetime | None = None
    """The instant from which the entry is no longer valid; None for never."""

    @model_validator(mode="after")
    def _is_known_by_one_thing(self) -> Self:
        if len(self._identities) != 1:
            raise ValueError("an entry needs exactly one of sha256, role and subject")
        return self

    @property
    def _identities(self) -> list[tuple[Kind, str]]:
        return [(kind, value) for kind in Kind if (value := getattr(self, kind)) is not None]

    @property
    def identity(self) -> tuple[Kind, str]:
        return self._identities[0]


class ClientsDocument(BaseModel):
    """The document of clients."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    clients: tuple[ListedClient, ...] = ()

    @cached_property
    def by_identity(self) -> Mapping[tuple[Kind, str], ListedClient]:
        """The entries by the kind and value of their identities."""
        return {client.identity: client for client in self.clients}


NO_CLIENTS = ClientsDocument.model_construct()
"""Made without the model's validator: building it would add milliseconds to a cold start."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who sent a request, and what it may do."""

    client: str
    """The client's name; for an unlisted client, `~` and the first digits of a hash, which is never a valid name."""
    scopes: frozenset[Scope]
    writes: tuple[str, ...] | None = None
    """Patterns of the sources that it may write; None for all."""
    reads: tuple[str, ...] | None = None
    """Patterns of the sources that it may read; None for all."""
    is_known: bool = True
    """Whether it is listed, or has a token, which carries its scopes."""
    expires: datetime | None = None


_HASH_CHARACTERS = 16


def access_of(identity: Identity, clients: ClientsDocument, default_scopes: frozenset[Scope]) -> Access:
    """What a request may do, by its client's entry; without an entry, by its token or the default scopes.

    The default scopes apply to unlisted keys and roles. A client that is restricted to sources never has the scope
    `operate`: replays and raw bytes are not limited to a source.
    """
    listed = clients.by_identity.get((identity.kind, identity.value))
    if listed is None:
        is_token = identity.kind is Kind.SUBJECT
        scopes = identity.limit if is_token else identity.limit & default_scopes
        return Access(_unlisted(identity), scopes, is_known=is_token)
    is_bound = listed.writes is not None or listed.reads is not None
    scopes = identity.limit & listed.scopes - ({Scope.OPERATE} if is_bound else set())
    return Access(listed.name, scopes, listed.writes, listed.reads, expires=listed.expires)


def _unlisted(identity: Identity) -> str:
    digest = identity.value
    if identity.kind is not Kind.KEY:
        digest = sha256(f"{identity.kind}:{identity.value}".encode()).hexdigest()
    return f"~{digest[:_HASH_CHARACTERS]}"


class Decision(StrEnum):
    """The result of checking a request's access."""

    ALLOWED = "allowed"
    UNKNOWN = "key-unknown"
    EXPIRED = "key-expired"
    SCOPE_MISSING = "scope-missing"


def decide(access: Access, opened_by: frozenset[Scope], now: datetime) -> Decision:
    """Whether a request may call a route that requires one of these scopes."""
    if access.expires is not None and access.expires <= now:
        return Decision.EXPIRED
    if not access.scopes.isdisjoint(opened_by):
        return Decision.ALLOWED
    return Decision.SCOPE_MISSING if access.is_known or access.scopes else Decision.UNKNOWN
