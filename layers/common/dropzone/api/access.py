"""The one place that decides whether a request may go on, before any use case or query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from aws_lambda_powertools import Logger

from dropzone.api import problems
from dropzone.api.problems import ProblemError, ProblemType
from dropzone.api.request import Event, gateway_context
from dropzone.domain.access import Access, Decision, Scope, access_of, decide
from dropzone.observability import count_denied, count_refused
from dropzone.ports import ClientStore

_PROBLEMS: Mapping[Decision, ProblemType] = {
    Decision.UNKNOWN: problems.KEY_UNKNOWN,
    Decision.EXPIRED: problems.KEY_EXPIRED,
    Decision.SCOPE_MISSING: problems.SCOPE_MISSING,
}


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Decides on the requests of a function."""

    clients: ClientStore
    default_scopes: frozenset[Scope]
    """Of keys without an entry."""

    def authorize(self, event: Event, opened_by: frozenset[Scope], logger: Logger) -> Access:
        """What a request may do, if one of its scopes is among those that open its route. Logged either way.

        Raises:
            ProblemError: it may not go on.
            BronzeUnavailableError: the document of clients can't be read.
        """
        access = access_of(_digest(event), self.clients.current(), self.default_scopes)
        decision = decide(access, opened_by, datetime.now(UTC))
        # On every further line of the request as well.
        logger.append_keys(client=access.client, scopes=sorted(access.scopes), decision=decision.value)
        if decision is Decision.ALLOWED:
            return access
        logger.warning("refused", reason=decision.value, opened_by=sorted(opened_by))
        count_refused(str(logger.service), decision.value)
        count_denied()
        raise ProblemError(_PROBLEMS[decision], _reason(access, opened_by))


def _reason(access: Access, opened_by: frozenset[Scope]) -> str:
    needed = " or ".join(scope.value for scope in Scope if scope in opened_by)
    given = ", ".join(scope.value for scope in Scope if scope in access.scopes) or "none"
    return f"This call needs the scope {needed}; this key has: {given}."


def _digest(event: Event) -> str:
    """The SHA-256 of the request's key, which API Gateway has checked; of nothing where it asks for none."""
    identity = gateway_context(event).get("identity") or {}
    return sha256(str(identity.get("apiKey") or "").encode()).hexdigest()
