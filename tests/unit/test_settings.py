"""What the environment may say, and what the settings refuse."""

import pytest

from dropzone.settings import DatabaseSettings, IngestSettings, SettingsError

INGEST = {"BRONZE_BUCKET": "bucket", "AWS_REGION": "eu-central-1", "MAX_BODY_BYTES": "4194304"}
DATABASE = {
    "DATABASE_HOST": "db.example.com",
    "DATABASE_NAME": "dropzone",
    "DATABASE_USER": "dropzone_writer",
    "DATABASE_AUTH": "iam",
    "DATABASE_TLS": "verify-full",
    "AWS_REGION": "eu-central-1",
    "CALL_SECONDS": "60",
}
LOOPBACK = DATABASE | {
    "DATABASE_HOST": "127.0.0.1",
    "DATABASE_AUTH": "password",
    "DATABASE_PASSWORD": "HIDDEN",
    "DATABASE_TLS": "disable",
}


def test_a_variable_s_name_is_the_field_s_in_capitals() -> None:
    settings = IngestSettings.from_environment(INGEST | {"SOMETHING_ELSE": "is not looked at"})

    assert settings.bronze_bucket == "bucket"
    assert settings.max_body_bytes == 4_194_304


def test_the_environment_is_the_process_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in INGEST.items():
        monkeypatch.setenv(name, value)

    assert IngestSettings.from_environment().aws_region == "eu-central-1"


@pytest.mark.parametrize("name", INGEST)
def test_a_variable_that_is_missing_or_empty_is_named(name: str) -> None:
    without = {key: value for key, value in INGEST.items() if key != name}

    for environment in (without, without | {name: ""}):
        with pytest.raises(SettingsError, match=name):
            IngestSettings.from_environment(environment)


def test_an_empty_variable_leaves_the_default() -> None:
    empty = {"DATABASE_PASSWORD": "", "DATABASE_SECRET_ARN": "", "DATABASE_CA_FILE": "", "DATABASE_PORT": ""}

    settings = DatabaseSettings.from_environment(DATABASE | empty)

    assert settings.database_password is None
    assert settings.database_secret_arn is None
    assert settings.database_ca_file is None
    assert settings.database_port == 5_432


@pytest.mark.parametrize(
    ("own", "emulator", "used"), [("", "", None), ("", "http://e", "http://e"), ("http://o", "http://e", "http://o")]
)
def test_bronze_may_have_an_endpoint_of_its_own(own: str, emulator: str, used: str | None) -> None:
    settings = IngestSettings.from_environment(INGEST | {"BRONZE_ENDPOINT_URL": own, "AWS_ENDPOINT_URL": emulator})

    assert settings.bronze_endpoint == used


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_BODY_BYTES", "0"),
        ("MAX_BODY_BYTES", "4718593"),
        ("MAX_BODY_BYTES", "4 MiB"),
    ],
)
def test_a_limit_that_lambda_could_not_keep_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        IngestSettings.from_environment(INGEST | {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_PORT", "0"),
        ("DATABASE_PORT", "65536"),
        ("DATABASE_AUTH", "trust"),
        ("DATABASE_TLS", "require"),
        ("DATABASE_TLS", "prefer"),
        ("CALL_SECONDS", "0"),
        ("CALL_SECONDS", "901"),
    ],
)
def test_what_is_none_of_the_choices_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        DatabaseSettings.from_environment(DATABASE | {name: value})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_this_machine_plain_text_and_a_password_will_do(host: str) -> None:
    settings = DatabaseSettings.from_environment(LOOPBACK | {"DATABASE_HOST": host})

    assert settings.database_password is not None
    assert settings.database_password.get_secret_value() == "HIDDEN"


@pytest.mark.parametrize(
    "host",
    ["db.example.com", "10.0.0.1", "0.0.0.0", "localhost.example.com", "127.0.0.1.example.com", "127.1"],  # noqa: S104
)
@pytest.mark.parametrize(
    "given",
    [
        {"DATABASE_TLS": "disable", "DATABASE_AUTH": "iam", "DATABASE_PASSWORD": ""},
        {"DATABASE_TLS": "verify-full"},
        {"DATABASE_TLS": "verify-full", "DATABASE_SECRET_ARN": "arn:s"},
    ],
    ids=["plain text", "a password", "a password beside a secret"],
)
def test_to_another_machine_they_will_not(host: str, given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="for a loopback host only"):
        DatabaseSettings.from_environment(LOOPBACK | {"DATABASE_HOST": host} | given)


def test_signing_in_with_a_password_needs_one() -> None:
    with pytest.raises(SettingsError, match="DATABASE_SECRET_ARN"):
        DatabaseSettings.from_environment(DATABASE | {"DATABASE_AUTH": "password"})


def test_a_secret_will_do_as_a_password() -> None:
    given = {"DATABASE_AUTH": "password", "DATABASE_SECRET_ARN": "arn:s"}

    settings = DatabaseSettings.from_environment(DATABASE | given)

    assert settings.database_secret_arn == given["DATABASE_SECRET_ARN"]
    assert settings.database_password is None


@pytest.mark.parametrize(
    "broken",
    [
        {"DATABASE_HOST": "db.example.com"},
        {"DATABASE_PORT": "HIDDEN"},
        {"DATABASE_TLS": "HIDDEN"},
        {"DATABASE_AUTH": "HIDDEN"},
        {"CALL_SECONDS": ""},
    ],
    ids=lambda broken: next(iter(broken)),
)
def test_an_error_shows_no_value(broken: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as raised:
        DatabaseSettings.from_environment(LOOPBACK | broken)

    assert "HIDDEN" not in str(raised.value)
    assert "HIDDEN" not in repr(raised.value)


def test_a_password_is_not_shown_with_the_settings() -> None:
    settings = DatabaseSettings.from_environment(LOOPBACK)

    assert "HIDDEN" not in f"{settings!s} {settings!r}"
