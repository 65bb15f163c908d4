"""Keep the objects when the emulator has lost their stack.

A crash can leave objects on disk without the stack: the emulator then has a bucket that CloudFormation can't create
again. The objects are moved aside, as the files that the emulator wrote (an object's bytes, and next to it a file with
its metadata), the stack is deployed to an empty emulator, and the files are moved back.
"""

from collections.abc import Iterator
from pathlib import Path

from dropzone_local.emulator import ACCOUNT, Emulator

_SAM_BUCKET_PREFIX = "aws-sam-cli-managed-"
# Where the emulator keeps objects, and their earlier versions.
_SHELVES = (Path(ACCOUNT), Path(".versions") / ACCOUNT)


class ObjectKeeper:
    """Moves the objects of an emulator that is not running."""

    def __init__(self, emulator: Emulator) -> None:
        """The objects are kept next to the emulator's, on the same file system, so that moving is renaming."""
        self._objects = emulator.objects
        self._kept = emulator.directory / "kept-objects"

    @property
    def has_work(self) -> bool:
        """Return whether the emulator has a bucket, which would prevent creating the stack."""
        return bool(self._buckets(_SHELVES[0]))

    @property
    def keeps(self) -> bool:
        """Return whether objects were moved away, but not put back yet."""
        return any(_folders(self._kept / shelf) for shelf in _SHELVES)

    def move_away(self) -> None:
        """Move all objects out of the emulator; those moved by an interrupted run are kept."""
        for shelf in _SHELVES:
            for bucket in self._buckets(shelf):
                _merge(bucket, self._kept / shelf / bucket.name)

    def put_back(self, bucket: str) -> None:
        """Move the kept objects to the bucket, whose name may have changed."""
        for shelf in _SHELVES:
            for folder in _folders(self._kept / shelf):
                _merge(folder, self._objects / shelf / bucket)

    def _buckets(self, shelf: Path) -> list[Path]:
        """Return the folders of all buckets, except the one for SAM's uploads, which is not needed."""
        folders = _folders(self._objects / shelf)
        return [folder for folder in folders if not folder.name.startswith(_SAM_BUCKET_PREFIX)]


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in folder.walk():
        yield from (parent / name for name in names)


def _merge(source: Path, target: Path) -> None:
    """Move all files of one folder to another; existing files are kept, since objects never change."""
    for path in list(_files(source)):
        destination = target / path.relative_to(source)
        destination.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if destination.exists():
            path.unlink()
        else:
            path.rename(destination)
    for folder, _, _ in source.walk(top_down=False):
        folder.rmdir()
