"""One frozen model of the environment per function. Read once per container, never at import.

A field's name in upper case is the variable's name; a test compares the models with the template.
"""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from dropzone.domain.access import Scope


def _words(text: object) -> object:
    return [word for word in text.split(",") if word] if isinstance(text, str) else text


class SettingsError(ValueError):
    """A variable is missing or malformed; the message names it and shows no values."""


class Settings(BaseModel):
    """The base of every function's settings."""

    model_config = ConfigDict(
        frozen=True, alias_generator=str.upper, validate_by_name=True, hide_input_in_errors=True, defer_build=True
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the variables that this model names; an empty one counts as absent.

        Raises:
            SettingsError: a variable is missing or malformed.
        """
        variables = os.environ if environment is None else environment
        return cls.of({name: value for name, value in variables.items() if value})

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self:
        """Validate values by the fields' or the variables' names; numbers may be text.

        Raises:
            SettingsError: a value is missing or malformed.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(describe(error)) from None


class BronzeSettings(Settings):
    """Where bronze is."""

    bronze_bucket: str
    bronze_endpoint_url: str | None = None
    """Replaces the region's S3 endpoint."""
    aws_region: str
    """Set by Lambda."""
    aws_endpoint_url: str | None = None
    """Set by an emulator, as AWS's own clients read it."""

    @property
    def bronze_endpoint(self) -> str | None:
        """The endpoint to use, None for the region's own."""
        return self.bronze_endpoint_url or self.aws_endpoint_url


class ApiSettings(Settings):
    """Of every function behind the API."""

    cors_origin: str | None = None
    """The origin whose pages may call the API; without it none may."""


def _scopes(value: object) -> object:
    """The scopes in text such as `ingest,read`, or `none`."""
    return [scope for scope in value.split(",") if scope != "none"] if isinstance(value, str) else value


class KeySettings(BronzeSettings, ApiSettings):
    """Of the functions whose routes need a key. The document of clients is beside bronze."""

    default_scopes: Annotated[frozenset[Scope], BeforeValidator(_scopes)] = frozenset()
    """Of keys and roles that the document of clients doesn't list."""


class SignInSettings(KeySettings):
    """Of the functions that are reached with signatures and tokens as well."""

    key_scopes: Annotated[frozenset[Scope], BeforeValidator(_scopes)] = frozenset(Scope)
    """What keys may open at most."""
    jwt_scopes_claim: str = "scope"
    jwt_scope_prefix: str = ""


MAX_BODY_BYTES = 4_500_000
"""Lambda accepts requests of 6 MiB: the body in base64, and API Gateway's data."""


class IngestSettings(KeySettings):
    """Of the function Ingest."""

    max_body_bytes: Annotated[int, Field(ge=1, le=MAX_BODY_BYTES)]


class DatabaseSettings(Settings):
    """The connection to Postgres."""

    database_host: str
    database_port: Annotated[int, Field(ge=1, le=65_535)] = 5432
    database_name: str
    database_user: str
    database_auth: Literal["iam", "password"]
    database_tls: Literal["verify-full", "disable"]
    database_ca_file: Path | None = None
    """Certificates to trust instead of RDS's and the system's."""
    database_secret_arn: str | None = None
    database_password: SecretStr | None = None
    aws_region: str
    aws_lambda_function_name: str = "dropzone"
    """Set by Lambda; the connection's application name."""
    call_seconds: Annotated[int, Field(ge=1, le=900)]
    """The function's timeout."""

    @model_validator(mode="after")
    def _secrets_stay_on_this_machine(self) -> Self:
        if self.database_tls == "disable" and not _is_loopback(self.database_host):
            raise ValueError("DATABASE_TLS=disable is for a loopback host only")
        if self.database_password is not None and not _is_loopback(self.database_host):
            message = "DATABASE_PASSWORD is for a loopback host only: use DATABASE_SECRET_ARN, or DATABASE_AUTH=iam"
            raise ValueError(message)
        if self.database_auth == "password" and not (self.database_password or self.database_secret_arn):
            message = "DATABASE_AUTH=password needs DATABASE_SECRET_ARN, or on a loopback host DATABASE_PASSWORD"
            raise ValueError(message)
        return self


class WriterSettings(BronzeSettings, DatabaseSettings):
    """Of the functions that write silver."""

    sweep_retry_seconds: Annotated[int, Field(ge=1)]
    """The pause after an object's first attempt; it doubles with each further one."""


class ProcessSettings(WriterSettings):
    """Of the function Process."""

    max_receive_count: Annotated[int, Field(ge=1)]
    """Receives after which the queue gives a message to the DLQ."""


class SweepSettings(WriterSettings, SignInSettings):
    """Of the function Sweep."""

    sweep_min_age_seconds: Annotated[int, Field(ge=0)]
    """The scheduled sweep leaves younger objects to the queue."""
    notification_channels: Annotated[tuple[Literal["events", "topic", "webhook"], ...], BeforeValidator(_words)] = (
        "events",
    )
    """Where notifications go, with commas between them."""


class NotifySettings(BronzeSettings):
    """Of the function Notify."""

    event_bus: str
    """Its name."""
    notification_topic_arn: str | None = None
    webhook_secret_arn: str | None = None


class ReplaySettings(WriterSettings):
    """Of the function Replay."""

    replay_concurrency: Annotated[int, Field(ge=1)]
    """How many calls the state machine makes at once."""


class ArchiveSettings(BronzeSettings, DatabaseSettings):
    """Of the function Archive."""

    silver_months: Annotated[int, Field(ge=0)]
    """Whole months that measurements stay in silver; 0: for ever."""


class QuerySettings(DatabaseSettings, SignInSettings):
    """Of the function Query, which signs in as a role that only reads."""


class MigrateSettings(DatabaseSettings):
    """Of the function Migrate, which signs in as the owner of the schema."""

    role_auth: Literal["iam", "password"]
    """How the other functions' roles, which this one creates, sign in."""
    statement_seconds: Annotated[int, Field(ge=0, le=900)] = 0
    """The timeout of a statement; 0 means the call's time."""
    lock_seconds: Annotated[int, Field(ge=1, le=900)] = 30
    """The timeout of a wait for a lock, which blocks others meanwhile."""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def describe(error: ValidationError) -> str:
    """Where and why validation failed, on one line, without input values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join([".".join(map(str, each["loc"])) or "$", each["msg"]]) for each in found)
