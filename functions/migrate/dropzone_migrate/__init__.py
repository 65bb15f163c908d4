"""The function Migrate: upgrades the database's schema and roles to what this version's functions need."""

from dropzone.runtime import collect_rarely

collect_rarely()
