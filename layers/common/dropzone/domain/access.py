"""What clients may do: their scopes, and the sources to which they are bound. Pure.

A client is known by the SHA-256 of its key, or as who it has signed in: by an IAM role, or by the subject of its
tokens. Who is listed, and for what, is in a document that operators keep (docs/security.md).
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
        raise ValueError(f"a binding has at most {MAX_BINDING} characters")
    return patterns


_Binding = Annotated[tuple[SourcePattern, ...], AfterValidator(_short_enough)]


class Kind(StrEnum):
    """How API Gateway knows a client; the field of its entry."""

    KEY = "sha256"
    ROLE = "role"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sent a request, as API Gateway has checked it."""

    kind: Kind
    value: str
    """The SHA-256 of its key in hexadecimal, the ARN of its IAM role or user, or the claim `sub` of its token."""
    limit: frozenset[Scope] = frozenset(Scope)
    """The scopes that it has at most: those of its token, or those that any key may have."""


class ListedClient(BaseModel):
    """An entry of the document of clients: one key, role or subject. During a rotation, a client has two."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """What was sent with a key belongs to this name, whatever the key."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the key."""
    role: Annotated[str, Field(pattern=r"^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[\w+=,.@-]+$")] | None = None
    """The ARN of an IAM role or user, without its path, which no session's ARN has."""
    subject: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """The claim `sub` of its tokens."""
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
        """The entries by what their clients are known by."""
        return {client.identity: client for client in self.clients}


NO_CLIENTS = ClientsDocument.model_construct()
"""Made without the model's validator, which takes milliseconds of a start to build."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who sent a request, and what it may do."""

    client: str
    """The client's name; of an unlisted one `~` and the beginning of a hash, which no name looks like."""
    scopes: frozenset[Scope]
    writes: tuple[str, ...] | None = None
    """Patterns of the sources that it may write; None for all."""
    reads: tuple[str, ...] | None = None
    """Patterns of the sources that it may read; None for all."""
    is_known: bool = True
    """It is listed, or has a token, which says what it may do."""
    expires: datetime | None = None


_HASH_CHARACTERS = 16


def access_of(identity: Identity, clients: ClientsDocument, default_scopes: frozenset[Scope]) -> Access:
    """What a request may do: what its client's entry says, or without one its token or the default scopes.

    The default scopes are those of keys and roles. Whoever is bound to sources has no scope `operate`: a replay and raw
    bytes are of any source.
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
    return Decision.SCOPE_MISSING if access.is_known or access.scopes else Decision.UNKNOWN
