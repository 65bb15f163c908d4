"""Keep the objects when the emulator has lost their stack.

A crash can leave objects on disk without the stack: the emulator then has a bucket that CloudFormation can't create
again. The objects are moved aside, as files, just as the emulator wrote them (an object's bytes, and beside it a file
with its metadata), the stack is deployed to an empty emulator, and the files are moved back.
"""

from collections.abc import Iterator
from pathlib import Path

from dropzone_local.emulator import ACCOUNT, Emulator

_SAM_BUCKET_PREFIX = "aws-sam-cli-managed-"
# Where the emulator keeps objects, and where the earlier versions of them.
_SHELVES = (Path(ACCOUNT), Path(".versions") / ACCOUNT)


class ObjectKeeper:
    """Moves the objects of an emulator that does not run."""

    def __init__(self, emulator: Emulator) -> None:
        """Keep the objects beside the emulator's, on the same file system: a move is a rename."""
        self._objects = emulator.objects
        self._kept = emulator.directory / "kept-objects"

    @property
    def has_work(self) -> bool:
        """Return whether the emulator has a bucket, which without a stack is in the way."""
        return bool(self._buckets(_SHELVES[0]))

    @property
    def keeps(self) -> bool:
        """Return whether objects were moved away, and not put back yet."""
        return any(_folders(self._kept / shelf) for shelf in _SHELVES)

    def move_away(self) -> None:
        """Move every object out of the emulator; those of an interrupted run are kept."""
        for shelf in _SHELVES:
            for bucket in self._buckets(shelf):
                _merge(bucket, self._kept / shelf / bucket.name)

    def put_back(self, bucket: str) -> None:
        """Move the kept objects to the bucket, which may have another name than before."""
        for shelf in _SHELVES:
            for folder in _folders(self._kept / shelf):
                _merge(folder, self._objects / shelf / bucket)

    def _buckets(self, shelf: Path) -> list[Path]:
        """Return the folders of all buckets but the one that SAM uploads packages to, which can go."""
        folders = _folders(self._objects / shelf)
        return [folder for folder in folders if not folder.name.startswith(_SAM_BUCKET_PREFIX)]


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in folder.walk():
        yield from (parent / name for name in names)


def _merge(source: Path, target: Path) -> None:
    """Move every file of one folder to another; a file that is already there stays, since objects never change."""
    for path in list(_files(source)):
        destination = target / path.relative_to(source)
        destination.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if destination.exists():
            path.unlink()
        else:
            path.rename(destination)
    for folder, _, _ in source.walk(top_down=False):
        folder.rmdir()
