"""The single place that authorizes requests, before any use case or query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from aws_lambda_powertools import Logger

from dropzone.api import problems
from dropzone.api.gateway import Event, gateway_context
from dropzone.api.problems import ProblemError, ProblemType
from dropzone.domain.access import Access, Decision, Identity, Kind, Scope, access_of, decide
from dropzone.observability import count
from dropzone.ports import ClientStore
from dropzone.settings import SignInSettings

_PROBLEMS: Mapping[Decision, ProblemType] = {
    Decision.UNKNOWN: problems.KEY_UNKNOWN,
    Decision.EXPIRED: problems.KEY_EXPIRED,
    Decision.SCOPE_MISSING: problems.SCOPE_MISSING,
}


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Authorizes the requests of a function."""

    clients: ClientStore
    default_scopes: frozenset[Scope]
    """The scopes of keys and roles without an entry."""
    key_scopes: frozenset[Scope] = frozenset(Scope)
    """The scopes that keys may have at most, whatever their entries say."""
    scopes_claim: str = "scope"
    """The claim with a token's scopes: words in a text, or a list."""
    scope_prefix: str = ""
    """The prefix of `ingest`, `read` and `operate` in that claim."""

    def authorize(self, event: Event, opened_by: frozenset[Scope], logger: Logger) -> Access:
        """What a request may do, if it has one of the scopes of its route (`opened_by`). The decision is logged.

        Raises:
            ProblemError: the request is not allowed.
            BronzeUnavailableError: the clients document can't be read.
        """
        identity = self._identify(event)
        access = access_of(identity, self.clients.current(), self.default_scopes)
        decision = decide(access, opened_by, datetime.now(UTC))
        # These keys are also on all further log lines of the request.
        logger.append_keys(client=access.client, scopes=sorted(access.scopes), decision=decision.value)
        if decision is Decision.ALLOWED:
            return access
        logger.warning("refused", reason=decision.value, opened_by=sorted(opened_by))
        count("Refused", service=str(logger.service), reason=decision.value)
        # One metric for all functions: bursts raise an alarm.
        count("Denied", service="access")
        raise ProblemError(_PROBLEMS[decision], missing_scope(identity.kind, access.scopes, opened_by))

    def _identify(self, event: Event) -> Identity:
        """The sender of a request.

        The REST API requires keys, and the HTTP API signatures or tokens. Events of the latter (payload format 1.0)
        have a `version`; for them, keys in headers are ignored.
        """
        context = gateway_context(event)
        caller = context.get("identity") or {}
        if "version" not in event:
            # If API Gateway requires no key, this is the hash of an empty text, which no entry has.
            return Identity(Kind.KEY, sha256(str(caller.get("apiKey") or "").encode()).hexdigest(), self.key_scopes)
        claims = (context.get("authorizer") or {}).get("claims") or {}
        if claims:
            return Identity(Kind.SUBJECT, str(claims.get("sub") or ""), self._scopes_of(claims))
        if arn := caller.get("userArn"):
            return Identity(Kind.ROLE, _role(str(arn)))
        # The caller has not signed in.
        return Identity(Kind.ROLE, "", frozenset())

    def _scopes_of(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        """The scopes that a token's claims grant; unknown words are ignored."""
        value = claims.get(self.scopes_claim)
        # API Gateway writes a list as "[a b]".
        words = value if isinstance(value, list) else str(value or "").removeprefix("[").removesuffix("]").split()
        return frozenset(scope for scope in Scope if self.scope_prefix + scope in words)


def authorizer_of(clients: ClientStore, settings: SignInSettings) -> Authorizer:
    """The authorizer of functions that also accept signatures and tokens."""
    return Authorizer(
        clients, settings.default_scopes, settings.key_scopes, settings.jwt_scopes_claim, settings.jwt_scope_prefix
    )


_WHAT: Mapping[Kind, str] = {Kind.KEY: "key", Kind.ROLE: "role", Kind.SUBJECT: "token"}


def missing_scope(kind: Kind, has: frozenset[Scope], opened_by: frozenset[Scope]) -> str:
    """The reason for refusing a caller without one of the scopes that a call needs."""
    needed = " or ".join(scope.value for scope in Scope if scope in opened_by)
    given = ", ".join(scope.value for scope in Scope if scope in has) or "none"
    return f"This call needs the scope {needed}; this {_WHAT[kind]} has: {given}."


def _role(arn: str) -> str:
    """An IAM principal's ARN without its session and path; unchanged if it has another form."""
    _, partition, service, _, account, resource = (arn.split(":", 5) + [""] * 6)[:6]
    kind, _, name = resource.partition("/")
    if (service, kind) == ("sts", "assumed-role"):
        return f"arn:{partition}:iam::{account}:role/{name.partition('/')[0]}"
    if service == "iam" and kind in {"role", "user"}:
        return f"arn:{partition}:iam::{account}:{kind}/{name.rpartition('/')[2]}"
    return arn
