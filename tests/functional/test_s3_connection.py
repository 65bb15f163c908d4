"""How S3 is reached on AWS, where no test goes: over TLS alone."""

import pytest

from dropzone.adapters.s3 import open_store


@pytest.mark.parametrize(
    ("endpoint", "is_plain"),
    [
        (None, False),
        ("https://bucket.vpce-1a2b3c.s3.eu-central-1.vpce.amazonaws.com", False),
        ("http://127.0.0.1:4566", True),
    ],
)
def test_plain_text_is_for_an_endpoint_that_says_so(endpoint: str | None, is_plain: bool) -> None:  # noqa: FBT001 - a test's
    store = open_store("bucket", "eu-central-1", endpoint, 1.0)

    assert store.client_options is not None
    assert str(store.client_options["allow_http"]).lower() == str(is_plain).lower()
    assert store.config.get("endpoint") == endpoint
    assert store.config["region"] == "eu-central-1"
