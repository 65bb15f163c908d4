"""The certificates that the layer carries for RDS."""

import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509

from dropzone.adapters.database import RDS_CA

SPARE_TIME = timedelta(days=180)


def test_the_strict_default_context_loads_them() -> None:
    context = ssl.create_default_context()
    before = context.cert_store_stats()["x509_ca"]

    context.load_verify_locations(RDS_CA)

    assert context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.cert_store_stats()["x509_ca"] - before >= RDS_CA.read_text().count("BEGIN CERTIFICATE") - 5
    assert context.cert_store_stats()["x509_ca"] - before > 80


def test_none_has_expired_or_will_soon() -> None:
    certificates = [
        ssl.PEM_cert_to_DER_cert("-----BEGIN CERTIFICATE-----" + block)
        for block in RDS_CA.read_text().split("-----BEGIN CERTIFICATE-----")[1:]
    ]
    ends = [_not_after(certificate) for certificate in certificates]

    assert min(ends) > datetime.now(UTC) + SPARE_TIME


def _not_after(certificate: bytes) -> datetime:
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc
