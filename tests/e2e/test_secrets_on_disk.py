"""What the running stack keeps on disk: its secrets are for its owner alone."""

import stat
from collections.abc import Iterator
from pathlib import Path

from e2e.client import Client

MAX_BYTES = 32 * 1024 * 1024


def readable_by_others(file: Path, root: Path) -> bool:
    """Whether somebody else may open a file, by its mode and that of each folder from the stack's own down."""
    folders = [folder for folder in file.parents if folder.is_relative_to(root)]
    if any(not stat.S_IMODE(folder.stat().st_mode) & 0o011 for folder in folders):
        return False
    return bool(stat.S_IMODE(file.stat().st_mode) & 0o044)


def files(root: Path) -> Iterator[Path]:
    for file in root.rglob("*"):
        try:
            if file.is_file() and not file.is_symlink() and file.stat().st_size < MAX_BYTES:
                yield file
        except FileNotFoundError:
            continue  # the servers write while this reads


def test_no_file_with_a_secret_is_readable_by_others(client: Client) -> None:
    root = client.stack.root
    secrets = [client.stack.postgres.password.encode(), client.endpoints.api_key.encode()]

    found = {}
    for file in files(root):
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            continue
        if any(secret in content for secret in secrets):
            found[str(file.relative_to(root))] = readable_by_others(file, root)

    assert {"stack.json", "settings.json"} <= found.keys()
    assert not [name for name, is_readable in found.items() if is_readable]
