"""Free ports of the loopback interface."""

import random
import socket

from dropzone_local.errors import LocalStackError

LOOPBACK = "127.0.0.1"

# Below the range from which Linux and macOS take the ports of outgoing connections, so that no client can take a port
# after it was found free and before the server binds it.
candidates = range(20_000, 32_000)
_TRIES = 200

_found: set[int] = set()
"""Ports that this process found before: their servers may not be listening yet."""


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def find_free(*, avoid: int | None = None) -> int:
    """Return a port without a listener, a different one each time."""
    source = random.SystemRandom()
    for _ in range(_TRIES):
        port = source.choice(candidates)
        if port != avoid and port not in _found and is_free(port):
            _found.add(port)
            return port
    message = f"No free port found on {LOOPBACK} between {candidates[0]} and {candidates[-1]}."
    raise LocalStackError(message, hint="See what listens there: ss -ltnp")


def choose(*, wanted: int | None, remembered: int | None, purpose: str, option: str, avoid: int | None = None) -> int:
    """Return the requested port, or the last one, or any free one, in this order.

    It is an error if a requested port is in use, but not if a remembered one is.
    """
    if wanted is not None:
        if not is_free(wanted):
            message = f"Port {wanted} of {LOOPBACK}, asked for as the port of {purpose}, is used by another process."
            hint = f"Choose another with {option}, or leave it out to find a free one."
            raise LocalStackError(message, hint=hint)
        return wanted
    if remembered is not None and remembered != avoid and is_free(remembered):
        return remembered
    return find_free(avoid=avoid)
