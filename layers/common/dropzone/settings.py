"""What the environment says, one frozen model per function. Read once per container, never at import.

A field's name in upper case is the variable's name; a test holds the models and the template together.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from msgspec import Meta, ValidationError, convert


class SettingsError(ValueError):
    """The environment lacks a variable, or one is malformed; the message shows no values."""


class Secret:
    """A text that is shown to those alone who ask for it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Keep it."""
        self._text = text

    def reveal(self) -> str:
        """The text."""
        return self._text

    def __repr__(self) -> str:
        """Not the text."""
        return "Secret(...)"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Settings:
    """The base of every function's settings."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the variables that this model names; an empty one counts as absent.

        Raises:
            SettingsError: one is missing or malformed.
        """
        variables = os.environ if environment is None else environment
        names = {field.name: field.name.upper() for field in fields(cls)}
        return cls.of({name: variables[key] for name, key in names.items() if variables.get(key)})

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self:
        """Take values by the fields' names, numbers also as texts.

        Raises:
            SettingsError: one is missing or malformed.
        """
        try:
            return convert(values, cls, strict=False, dec_hook=_made_of)
        except ValidationError as error:
            message = str(error)
        for value in values.values():
            message = message.replace(repr(value), "...")
        raise SettingsError(message)


def _made_of(kind: type[Any], value: object) -> object:
    return value if isinstance(value, kind) else kind(value)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BronzeSettings(Settings):
    """Where bronze is."""

    bronze_bucket: str
    bronze_endpoint_url: str | None = None
    """Another S3 than the region's own endpoint."""
    aws_region: str
    """Set by Lambda."""
    aws_endpoint_url: str | None = None
    """Set by an emulator, as AWS's own clients read it."""

    @property
    def bronze_endpoint(self) -> str | None:
        """The endpoint to use, None for the region's own."""
        return self.bronze_endpoint_url or self.aws_endpoint_url


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ApiSettings(Settings):
    """Of every function behind the API."""

    cors_origin: str | None = None
    """The origin whose pages may call from a browser; none without."""


MAX_BODY_BYTES = 4_500_000
"""Lambda takes 6 MiB of request, which is the body in base64, and what API Gateway tells of it."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class IngestSettings(BronzeSettings, ApiSettings):
    """Of the function Ingest."""

    max_body_bytes: Annotated[int, Meta(ge=1, le=MAX_BODY_BYTES)]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DatabaseSettings(Settings):
    """How to reach Postgres, and as whom."""

    database_host: str
    database_port: Annotated[int, Meta(ge=1, le=65_535)] = 5432
    database_name: str
    database_user: str
    database_auth: Literal["iam", "password"]
    database_tls: Literal["verify-full", "disable"]
    database_ca_file: Path | None = None
    """A file of certificates to trust in place of RDS's and the system's."""
    database_secret_arn: str | None = None
    database_password: Secret | None = None
    aws_region: str
    aws_lambda_function_name: str = "dropzone"
    """Set by Lambda; the server sees it as the application's name."""
    call_seconds: Annotated[int, Meta(ge=1, le=900)]
    """The function's timeout."""

    def __post_init__(self) -> None:
        """Secrets stay on this machine."""
        if self.database_tls == "disable" and not _is_loopback(self.database_host):
            message = "DATABASE_TLS=disable is for a loopback host only"
            raise ValueError(message)
        if self.database_password is not None and not _is_loopback(self.database_host):
            message = "DATABASE_PASSWORD is for a loopback host only: use DATABASE_SECRET_ARN, or DATABASE_AUTH=iam"
            raise ValueError(message)
        if self.database_auth == "password" and not (self.database_password or self.database_secret_arn):
            message = "DATABASE_AUTH=password needs DATABASE_SECRET_ARN, or on a loopback host DATABASE_PASSWORD"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ProcessSettings(BronzeSettings, DatabaseSettings):
    """Of the function Process."""

    sweep_retry_seconds: Annotated[int, Meta(ge=1)]
    """The pause after an object's first try; it doubles with each further one."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SweepSettings(ProcessSettings, ApiSettings):
    """Of the function Sweep."""

    sweep_min_age_seconds: Annotated[int, Meta(ge=0)]
    """Younger objects are left to the queue by the schedule's sweep."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class QuerySettings(BronzeSettings, DatabaseSettings, ApiSettings):
    """Of the function Query, which signs in as a role that only reads."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class WebSettings(ApiSettings):
    """Of the function Web."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MigrateSettings(DatabaseSettings):
    """Of the function Migrate, which signs in as the owner of the schema."""

    role_auth: Literal["iam", "password"]
    """How the other functions sign in, with roles that this one makes."""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
