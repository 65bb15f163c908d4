"""Which statements the database was made of: a migration runs for a new revision, and not for a file that changes."""

from hashlib import sha256
from pathlib import Path

from dropzone_local.files import read_json, write_json


def changed_since(record: Path, migrations: Path) -> list[str]:
    """The files of SQL that are others than the database was made of, as the record of earlier calls says.

    With a new revision those that can be replaced were applied again; the tables (`*_tables.sql`) stay as they were.
    """
    revision = max(path.name.partition("_")[0] for path in (migrations / "revisions" / "versions").glob("*.py"))
    files = {path.name: sha256(path.read_bytes()).hexdigest() for path in (migrations / "sql").glob("*.sql")}
    known = read_json(record)
    applied = known.get("files")
    if not isinstance(applied, dict) or known.get("revision") != revision:
        before = applied if isinstance(applied, dict) else {}
        applied = files | {name: digest for name, digest in before.items() if name.endswith("_tables.sql")}
        write_json(record, {"revision": revision, "files": applied})
    return sorted(name for name, digest in files.items() if applied.get(name) != digest)
