"""An issuer of tokens as OpenID Connect has it: metadata, public keys, and tokens signed with RS256."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from support.http_server import Request, serving

AUDIENCE = "dropzone-tests"
SCOPE_PREFIX = "dropzone/"


class Issuer:
    """Signs tokens; `issuing` has it listen."""

    url = ""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "of-tests"})

    def token(self, *scopes: str, key: RSAKey | None = None, **claims: object) -> str:
        """A token that is good for five minutes, but for what `claims` say otherwise.

        Args:
            scopes: what it opens, without the prefix.
            key: whose signature it has, if not the issuer's.
            claims: in place of those that a good token has.
        """
        good = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "somebody",
            "exp": int(time.time()) + 300,
            "scope": " ".join(SCOPE_PREFIX + scope for scope in scopes),
        }
        return jwt.encode({"alg": "RS256", "kid": "of-tests"}, good | claims, key or self.key)


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that answers on 127.0.0.1 for the time of a with block."""
    issuer = Issuer()

    class Handler(Request):
        def respond(self) -> None:
            documents: dict[str, Any] = {
                "/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"},
                "/keys": {"keys": [issuer.key.as_dict(private=False)]},
            }
            found = documents.get(self.path)
            self.answer(404 if found is None else 200, json.dumps(found).encode())

    with serving(Handler) as issuer.url:
        yield issuer
