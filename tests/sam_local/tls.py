"""A certificate authority that lives as long as the tests, and Postgres over TLS."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dropzone_local.ports import LOOPBACK
from dropzone_local.postgres import Postgres, unprivileged_account

_LIFE = timedelta(days=1)


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


class TlsPostgres(Postgres):
    """A server that containers reach, by TLS alone."""

    def __init__(self, directory: Path, *, host: str, authority: Authority, port: int, password: str) -> None:
        super().__init__(directory, port=port, password=password, tied=True)
        self.host = host
        self._authority = authority

    def start(self) -> None:
        """Start it with a certificate; whoever comes from elsewhere than this machine has to use TLS."""
        private, certificate = self._authority.issue(self.host)
        self.directory.mkdir(parents=True, exist_ok=True)
        for path, content in ((self._key_file, private), (self._certificate_file, certificate)):
            path.touch(mode=0o600)
            path.write_bytes(content)
            if (account := unprivileged_account()) is not None:
                account.own(path)
        super().start()
        with (self.data / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write("\nhostssl all all all scram-sha-256\n")
        with self.connect("postgres") as connection:
            connection.run("SELECT pg_reload_conf()")

    @property
    def _key_file(self) -> Path:
        return self.directory / "server.key"

    @property
    def _certificate_file(self) -> Path:
        return self.directory / "server.crt"

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": f"{LOOPBACK},{self.host}",
            "ssl": "on",
            "ssl_key_file": str(self._key_file),
            "ssl_cert_file": str(self._certificate_file),
        }
        # The later of two options counts.
        return [*super()._command(), *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))]
