"""An issuer of tokens as OpenID Connect has it: metadata, public keys, and tokens signed with RS256."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

from joserfc import jwt
from joserfc.jwk import RSAKey

AUDIENCE = "dropzone-tests"
SCOPE_PREFIX = "dropzone/"


class Issuer:
    """Listens on 127.0.0.1 as long as it is open."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048, {"kid": "of-tests"})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

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
        return jwt.encode({"alg": "RS256", "kid": "of-tests"}, good | claims, key or self._key)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                documents: dict[str, Any] = {
                    "/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"},
                    "/keys": {"keys": [issuer._key.as_dict(private=False)]},
                }
                if self.path not in documents:
                    self.send_error(404)
                    return
                body = json.dumps(documents[self.path]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing on stderr."""

        return Handler
