"""The settings that a stack keeps between runs: its ports and its database's password."""

import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from dropzone_local.files import read_json, write_json


@dataclass(frozen=True, slots=True)
class Settings:
    """Chosen once, and kept if possible, so that URLs stay the same after `down` and `up`."""

    password: str
    emulator_port: int | None = None
    database_port: int | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the settings; generate missing ones."""
        document = read_json(path)

        def port(name: str) -> int | None:
            value = document.get(name)
            return value if isinstance(value, int) else None

        password = document.get("password")
        return cls(
            password=password if isinstance(password, str) and password else secrets.token_urlsafe(18),
            emulator_port=port("emulator_port"),
            database_port=port("database_port"),
        )

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))
