"""The settings of each function: a frozen model of its environment, read once per container, never on import.

A field's name in upper case is the name of the variable; a test compares the models with the template.
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
    """A variable is missing or malformed. The message names it, without its value."""


class Settings(BaseModel):
    """The base of every function's settings."""

    model_config = ConfigDict(
        frozen=True, alias_generator=str.upper, validate_by_name=True, hide_input_in_errors=True, defer_build=True
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the variables that this model declares; an empty one counts as absent.

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
    """The location of bronze."""

    bronze_bucket: str
    bronze_endpoint_url: str | None = None
    """Replaces the region's S3 endpoint."""
    aws_region: str
    """Set by Lambda."""
    aws_endpoint_url: str | None = None
    """Set by an emulator; the variable that AWS's own clients read."""

    @property
    def bronze_endpoint(self) -> str | None:
        """The endpoint to use; None for the region's own."""
        return self.bronze_endpoint_url or self.aws_endpoint_url


class ApiSettings(Settings):
    """The settings of every function behind the API."""

    cors_origin: str | None = None
    """The origin whose pages may call the API; None for no origin."""


def _scopes(value: object) -> object:
    """The scopes in a text such as `ingest,read`, or `none`."""
    return [scope for scope in value.split(",") if scope != "none"] if isinstance(value, str) else value


class KeySettings(BronzeSettings, ApiSettings):
    """The settings of functions whose routes need a key. The clients document is in the bucket of bronze."""

    default_scopes: Annotated[frozenset[Scope], BeforeValidator(_scopes)] = frozenset()
    """The scopes of keys and roles that the clients document doesn't list."""


class SignInSettings(KeySettings):
    """The settings of functions that also accept signatures and tokens."""

    key_scopes: Annotated[frozenset[Scope], BeforeValidator(_scopes)] = frozenset(Scope)
    """The scopes that keys may have at most."""
    jwt_scopes_claim: str = "scope"
    jwt_scope_prefix: str = ""


MAX_BODY_BYTES = 4_500_000
"""Lambda accepts requests of up to 6 MiB, with the body in base64 and API Gateway's data."""


class IngestSettings(KeySettings):
    """The settings of Ingest."""

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
    """Set by Lambda; used as the connection's application name."""
    call_seconds: Annotated[int, Field(ge=1, le=900)]
    """The function's timeout, in seconds."""

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
    """The settings of functions that write silver."""

    sweep_retry_seconds: Annotated[int, Field(ge=1)]
    """The pause after an object's first attempt, in seconds; it doubles with each further one."""


class ProcessSettings(WriterSettings):
    """The settings of Process."""

    max_receive_count: Annotated[int, Field(ge=1)]
    """The number of receives after which the queue moves a message to the DLQ."""


class SweepSettings(WriterSettings, SignInSettings):
    """The settings of Sweep."""

    sweep_min_age_seconds: Annotated[int, Field(ge=0)]
    """The age in seconds below which the scheduled sweep leaves objects to the queue."""
    notification_channels: Annotated[tuple[Literal["events", "topic", "webhook"], ...], BeforeValidator(_words)] = (
        "events",
    )
    """The channels of notifications; comma-separated in the variable."""


class NotifySettings(BronzeSettings):
    """The settings of Notify."""

    event_bus: str
    """The name of EventBridge's bus."""
    notification_topic_arn: str | None = None
    webhook_secret_arn: str | None = None


class ReplaySettings(WriterSettings):
    """The settings of Replay."""

    replay_concurrency: Annotated[int, Field(ge=1)]
    """The maximum number of concurrent calls by the state machine."""


class ArchiveSettings(BronzeSettings, DatabaseSettings):
    """The settings of Archive."""

    silver_months: Annotated[int, Field(ge=0)]
    """The number of whole months that measurements stay in silver; 0 means forever."""


class QuerySettings(DatabaseSettings, SignInSettings):
    """The settings of Query, which connects as a read-only role."""


class MigrateSettings(DatabaseSettings):
    """The settings of Migrate, which connects as the owner of the schema."""

    role_auth: Literal["iam", "password"]
    """How the other functions' roles, which this one creates, authenticate."""
    statement_seconds: Annotated[int, Field(ge=0, le=900)] = 0
    """The timeout of a statement, in seconds; 0 means the time left in the call."""
    lock_seconds: Annotated[int, Field(ge=1, le=900)] = 30
    """The timeout of waiting for a lock, in seconds; the wait blocks others."""


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
