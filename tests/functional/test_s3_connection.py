"""How S3 is reached on AWS, where no test goes: over TLS alone."""

import pytest

from dropzone.adapters.s3 import Bucket, S3Bronze, S3Clients, S3IdempotencyStore, open_store
from dropzone.settings import BronzeSettings


@pytest.mark.parametrize(
    ("endpoint", "is_plain"),
    [
        (None, False),
        ("https://bucket.vpce-1a2b3c.s3.eu-central-1.vpce.amazonaws.com", False),
        ("http://127.0.0.1:4566", True),
    ],
)
def test_plain_text_is_for_an_endpoint_that_says_so(endpoint: str | None, is_plain: bool) -> None:
    store = open_store("bucket", "eu-central-1", endpoint, 1.0)

    assert store.client_options is not None
    assert str(store.client_options["allow_http"]).lower() == str(is_plain).lower()
    assert store.config.get("endpoint") == endpoint
    assert store.config["region"] == "eu-central-1"


@pytest.mark.parametrize(
    ("kind", "asked", "given"),
    [(S3Bronze, 2.0, "2s"), (S3Bronze, 14.0, "10s"), (S3Clients, 14.0, "10s"), (S3IdempotencyStore, 14.0, "5s")],
)
@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:4566"])
def test_a_bucket_is_opened_as_the_settings_say(
    kind: type[Bucket], asked: float, given: str, endpoint: str | None
) -> None:
    settings = {"bronze_bucket": "bronze", "aws_region": "eu-west-3", "aws_endpoint_url": endpoint}

    store = kind.of(BronzeSettings.of(settings), asked)._store

    assert store.config == {"bucket": "bronze", "region": "eu-west-3", **({"endpoint": endpoint} if endpoint else {})}
    assert store.client_options is not None
    assert store.client_options["timeout"] == given
