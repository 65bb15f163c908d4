"""AWS's services in this process, by moto."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@contextmanager
def running_moto(host: str = "127.0.0.1") -> Iterator[str]:
    """Serve for the time of a with block, one request at a time; gives the address.

    moto's own server answers several at once: of two that store a key only if it is new, both then may. S3 promises
    that one does.
    """
    app: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with one_at_a_time:
            return app(environ, start_response)

    server = make_server(host, 0, answer, threaded=True, request_handler=MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address, served = server.server_address[:2]
        yield f"http://{address!s}:{served}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
