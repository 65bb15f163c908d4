"""The way to Postgres over TLS, with a handshake in memory: whom the functions talk to, and whom they don't."""

import ssl
from pathlib import Path

import pytest

from dropzone.adapters import database
from dropzone.settings import DatabaseSettings
from support.tls import Authority
from unit.test_settings import DATABASE

SERVER = "192.0.2.7"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(params=["no file given", "a file given"])
def context(
    request: pytest.FixtureRequest, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext:
    """What the functions connect with: on AWS without a file, where RDS's own certificates are trusted."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(authority.pem)
    environment = dict(DATABASE)
    if request.param == "a file given":
        environment["DATABASE_CA_FILE"] = str(bundle)
    else:
        monkeypatch.setattr(database, "RDS_CA", bundle)
    context = database._tls(DatabaseSettings.from_environment(environment))
    assert isinstance(context, ssl.SSLContext)
    return context


def shake_hands(context: ssl.SSLContext, *, host: str, certificate_of: Authority, folder: Path) -> str | None:
    """Connect to a server with a certificate for SERVER, in memory; returns the version that both agree on."""
    pair = folder / "server.pem"
    pair.write_bytes(b"".join(certificate_of.issue(SERVER)))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pair)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=host)
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    return client.version()


def test_server_is_trusted_by_its_name_and_authority(
    context: ssl.SSLContext, authority: Authority, tmp_path: Path
) -> None:
    assert shake_hands(context, host=SERVER, certificate_of=authority, folder=tmp_path) == "TLSv1.3"


def test_server_of_another_name_is_refused(context: ssl.SSLContext, authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        shake_hands(context, host="192.0.2.8", certificate_of=authority, folder=tmp_path)


def test_server_of_another_authority_is_refused(context: ssl.SSLContext, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer certificate"):
        shake_hands(context, host=SERVER, certificate_of=Authority(), folder=tmp_path)


def test_old_versions_of_tls_are_refused(context: ssl.SSLContext) -> None:
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
