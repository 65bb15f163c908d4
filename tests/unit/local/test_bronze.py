from __future__ import annotations

from pathlib import Path

from dropzone_local.bronze import ObjectKeeper
from dropzone_local.emulator import ACCOUNT, Emulator

BUCKET = "dropzone-bronze-000000000000"
OBJECT = Path(ACCOUNT) / BUCKET / "raw" / "1.json"
SIDECAR = Path(ACCOUNT) / BUCKET / "raw" / "1.json.meta.json"
VERSION = Path(".versions") / ACCOUNT / BUCKET / "v0" / "raw" / "1.json"
PACKAGE = Path(ACCOUNT) / "aws-sam-cli-managed-default-samclisourcebucket-1" / "layer.zip"


def make_emulator(directory: Path, *objects: Path) -> Emulator:
    emulator = Emulator(directory, port=1, project=directory)
    for path in objects:
        write(emulator.objects / path, str(path))
    return emulator


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def contents(folder: Path) -> dict[Path, str]:
    return {path.relative_to(folder): path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}


def test_objects_survive_an_emulator_that_forgets_everything(tmp_path: Path) -> None:
    emulator = make_emulator(tmp_path, OBJECT, SIDECAR, VERSION, PACKAGE)
    keeper = ObjectKeeper(emulator)

    keeper.move_away()
    emulator.forget()
    keeper.put_back(BUCKET)

    assert contents(emulator.objects) == {path: str(path) for path in (OBJECT, SIDECAR, VERSION)}


def test_objects_are_kept_from_when_they_are_moved_until_they_are_put_back(tmp_path: Path) -> None:
    keeper = ObjectKeeper(make_emulator(tmp_path, OBJECT))
    kept = [keeper.keeps]
    keeper.move_away()
    kept.append(keeper.keeps)
    keeper.put_back(BUCKET)

    assert [*kept, keeper.keeps] == [False, True, False]


def test_objects_can_come_back_under_another_name(tmp_path: Path) -> None:
    emulator = make_emulator(tmp_path, OBJECT)
    keeper = ObjectKeeper(emulator)

    keeper.move_away()
    keeper.put_back("renamed")

    assert set(contents(emulator.objects)) == {Path(ACCOUNT) / "renamed" / "raw" / "1.json"}


def test_the_next_run_restores_what_an_interrupted_one_moved(tmp_path: Path) -> None:
    interrupted = make_emulator(tmp_path, OBJECT)
    ObjectKeeper(interrupted).move_away()
    interrupted.forget()
    newer = OBJECT.with_name("2.json")
    emulator = make_emulator(tmp_path, newer)
    keeper = ObjectKeeper(emulator)

    keeper.move_away()
    keeper.put_back(BUCKET)

    assert set(contents(emulator.objects)) == {OBJECT, newer}


def test_an_object_that_is_there_already_stays(tmp_path: Path) -> None:
    emulator = make_emulator(tmp_path, OBJECT)
    keeper = ObjectKeeper(emulator)
    keeper.move_away()
    write(emulator.objects / OBJECT, "there")

    keeper.put_back(BUCKET)

    assert contents(emulator.objects) == {OBJECT: "there"}


def test_packages_of_sam_are_no_work(tmp_path: Path) -> None:
    assert not ObjectKeeper(make_emulator(tmp_path / "none")).has_work
    assert not ObjectKeeper(make_emulator(tmp_path / "packages", PACKAGE)).has_work
    assert ObjectKeeper(make_emulator(tmp_path / "bronze", OBJECT)).has_work
