"""A stand-in for S3 that costs its callers as little as it can: enough of GET, HEAD and PUT.

    python -m benchmarks.stand_in

It prints its port and serves until its standard input ends. One process and one loop, without threads: on two cores
the other one is the client's. It checks no signature.

`PUT /` sets the answer to every key that was never put; `POST /` stores many objects at once, each as a line with its
path and its length, then its bytes. What is put into the bucket `forgotten` is not kept. A page of a listing has a
thousand keys, as S3's.
"""

import re
import selectors
import socket
import sys
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from urllib.parse import parse_qs

_CHUNK = 1 << 20
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)
_COMMON = (
    b'Server: stand-in\r\nLast-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\nETag: "0f343b0931126a20f133d67c2b018a3b"\r\n'
)

_STORED = b"HTTP/1.1 200 OK\r\n" + _COMMON + b"Content-Length: 0\r\n\r\n"
_MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FOUND = (
    b"HTTP/1.1 200 OK\r\n" + _COMMON + b"Content-Type: application/json\r\n"
    b"x-amz-meta-correlation-id: 0b9ee3b2-2b4c-4f0e-9a5c-1f8d5c6b7a80\r\nContent-Length: %d\r\n\r\n"
)

_PAGE = 1_000
_LISTED = (
    b"<Contents><Key>%s</Key><Size>%d</Size><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
    b"<ETag>&quot;0f343b0931126a20f133d67c2b018a3b&quot;</ETag></Contents>"
)
_LISTING = (
    b'<?xml version="1.0"?><ListBucketResult><KeyCount>%d</KeyCount><IsTruncated>%s</IsTruncated>'
    b"<NextContinuationToken>%s</NextContinuationToken>%s</ListBucketResult>"
)
_XML = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s"

_WITH_BODY = (b"PUT", b"POST")
_DEFAULT = b"/"
_FORGOTTEN = b"/forgotten/"


@dataclass(slots=True)
class Connection:
    """What was received of a request so far, and what is still to be sent."""

    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview | None = None
    continued: bool = False


class Server:
    """The objects, and the loop."""

    def __init__(self, listener: socket.socket) -> None:
        """Take the socket that connections come from."""
        self.listener = listener
        self.objects: dict[bytes, bytes] = {}
        self.listed: list[bytes] = []
        """Their paths in order, as of the last listing."""
        self.selector = selectors.DefaultSelector()

    def serve(self, until: socket.socket | int) -> None:
        """Answer until something can be read here, be it the end."""
        self.listener.setblocking(False)  # noqa: FBT003 - the socket's own way
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(until, selectors.EVENT_READ)
        while True:
            for key, events in self.selector.select():
                if key.fileobj is self.listener:
                    self._accept()
                elif key.data is None:
                    return
                else:
                    self._serve(key.data, events)

    def _accept(self) -> None:
        try:
            accepted, _ = self.listener.accept()
        except OSError:
            return  # gone before it was let in
        accepted.setblocking(False)  # noqa: FBT003
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(accepted, selectors.EVENT_READ, Connection(accepted))

    def _serve(self, connection: Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE and connection.unsent is not None:
                self._send(connection, connection.unsent)
            if events & selectors.EVENT_READ:
                received = connection.socket.recv(_CHUNK)
                if not received:
                    raise ConnectionResetError
                connection.received += received
                self._answer(connection)
        except OSError:
            self.selector.unregister(connection.socket)
            connection.socket.close()

    def _answer(self, connection: Connection) -> None:
        """Answer the request if it is there whole; a client sends the next one when it has its answer."""
        received = connection.received
        end = received.find(_END_OF_HEAD)
        if end < 0:
            return
        start = end + len(_END_OF_HEAD)
        if received.startswith(_WITH_BODY):
            head = bytes(received[:start])
            length = _LENGTH.search(head)
            if not connection.continued and _EXPECTS.search(head):
                connection.continued = True
                self._send(connection, memoryview(_CONTINUE))
            if length is not None and len(received) - start < int(length[1]):
                return
        verb, path, _ = bytes(received[:end]).split(b" ", 2)
        body = bytes(received[start:])
        connection.received = bytearray()
        connection.continued = False
        self._send(connection, memoryview(self._reply(verb, path, body)))

    def _reply(self, verb: bytes, path: bytes, body: bytes) -> bytes:
        if verb == b"POST":
            self._store_many(body)
            return _STORED
        if verb == b"PUT":
            if not path.startswith(_FORGOTTEN):
                self.objects[path] = body
            return _STORED
        if b"list-type=2" in path:
            return self._list(path)
        found = self.objects.get(path.partition(b"?")[0])
        if found is None and b"/access/" not in path:
            found = self.objects.get(_DEFAULT)
        if found is None:
            return _MISSING
        head = _FOUND % len(found)
        return head if verb == b"HEAD" else head + found

    def _list(self, path: bytes) -> bytes:
        bucket, _, query = path.partition(b"?")
        asked = parse_qs(query)
        begin = bucket.rstrip(b"/") + b"/"
        prefix = begin + asked.get(b"prefix", [b""])[0]
        after = begin + asked.get(b"continuation-token", asked.get(b"start-after", [b""]))[0]
        if len(self.listed) != len(self.objects):
            self.listed = sorted(self.objects)
        first = max(bisect_right(self.listed, after), bisect_left(self.listed, prefix))
        found = [key for key in self.listed[first : first + _PAGE + 1] if key.startswith(prefix)]
        page = found[:_PAGE]
        entries = b"".join(_LISTED % (key[len(begin) :], len(self.objects[key])) for key in page)
        last = page[-1][len(begin) :] if page else b""
        listing = _LISTING % (len(page), b"true" if len(found) > _PAGE else b"false", last, entries)
        return _XML % (len(listing), listing)

    def _store_many(self, body: bytes) -> None:
        start = 0
        while start < len(body):
            line = body.index(b"\n", start)
            path, length = body[start:line].split(b" ")
            start = line + 1 + int(length)
            self.objects[path] = body[line + 1 : start]

    def _send(self, connection: Connection, data: memoryview) -> None:
        try:
            sent = connection.socket.send(data)
        except BlockingIOError:
            sent = 0
        unsent = data[sent:] or None
        if (unsent is None) != (connection.unsent is None):
            waiting = selectors.EVENT_READ if unsent is None else selectors.EVENT_READ | selectors.EVENT_WRITE
            self.selector.modify(connection.socket, waiting, connection)
        connection.unsent = unsent


def main() -> None:
    """Serve on a free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        Server(listener).serve(sys.stdin.fileno())


if __name__ == "__main__":
    main()
