"""A failed deployment is not taken for a complete one."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from dropzone_local import deployment, sam
from dropzone_local.deployment import Deployment
from dropzone_local.errors import LocalStackError
from dropzone_local.sam import Build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PARAMETERS = {"LogLevel": "INFO"}


class World:
    """An emulator with a stack of some status, and what was asked of it."""

    keeper: Any

    def __init__(self, root: Path) -> None:
        self.status: str | None = "CREATE_COMPLETE"
        self.asked: list[str] = []
        self.refuses = False
        self.deployment = Deployment(self, project=root, root=root)  # type: ignore[arg-type] # an emulator's double
        self.build = Build(root, "fingerprint", reused=False)
        self.endpoint = "http://127.0.0.1:1"

    def start(self) -> None:
        self.asked.append("start")

    def stop(self) -> None:
        self.asked.append("stop")

    def save(self) -> None:
        self.asked.append("save")

    def sam_deploy(self, *_: object, **__: object) -> None:
        self.asked.append("deploy")
        if self.refuses:
            raise LocalStackError("sam deploy failed.")

    def deploy(self) -> bool:
        self.asked.clear()
        return self.deployment.deploy(self.build, PARAMETERS)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    made = world.deployment

    class Keeper:
        has_work = False
        keeps = False

        def __init__(self, _emulator: object) -> None:
            """As the real one."""

        def put_back(self, _bucket: str) -> None:
            world.asked.append("put back")

    monkeypatch.setattr(made, "_find", lambda: ("id", world.status))
    monkeypatch.setattr(made, "_explained", lambda error: error)
    monkeypatch.setattr(made, "outputs", lambda: {"BronzeBucketName": "bronze"})
    world.keeper = Keeper
    monkeypatch.setattr(deployment, "ObjectKeeper", Keeper)
    monkeypatch.setattr(deployment, "correct_event_sources", lambda *_, **__: None)
    monkeypatch.setattr(sam, "deploy", world.sam_deploy)
    return world


def test_a_deployed_stack_is_not_deployed_again(world: World) -> None:
    assert world.deploy()
    assert not world.deploy()
    assert world.asked == []


def test_the_emulator_saves_what_was_deployed(world: World) -> None:
    world.deploy()

    assert world.asked == ["deploy", "save"]


def test_objects_are_put_back_into_an_emulator_that_does_not_run(world: World) -> None:
    world.keeper.keeps = True
    world.deploy()

    assert world.asked == ["deploy", "stop", "put back", "start"]


def test_a_failed_deploy_is_tried_again(world: World) -> None:
    world.deploy()
    world.build = Build(world.build.folder, "another", reused=False)
    world.refuses = True
    with pytest.raises(LocalStackError, match="sam deploy failed"):
        world.deploy()

    # The stack was rolled back and is there: as it was before.
    world.refuses = False
    assert world.deploy()
    assert "deploy" in world.asked


def test_what_was_deployed_before_a_failure_is_deployed_again(world: World) -> None:
    first = world.build
    world.deploy()
    world.build, world.refuses = Build(first.folder, "another", reused=False), True
    with pytest.raises(LocalStackError):
        world.deploy()

    world.build, world.refuses = first, False
    assert world.deploy()


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "CREATE_FAILED", None])
def test_a_missing_stack_is_deployed_though_it_was_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch, status: str | None
) -> None:
    monkeypatch.setattr(world.deployment, "_start_empty", lambda _keeper: world.asked.append("empty"))
    world.deploy()
    world.status = status

    assert world.deploy()
    assert "deploy" in world.asked
    assert not world.deployment.is_deployed


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def end_with(code: int) -> None:
        def run(words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - as the real one
            options["stdout"].write("Error: it did not work\n")
            options["stdout"].flush()
            return subprocess.CompletedProcess(words, code)

        monkeypatch.setattr(subprocess, "run", run)

    return end_with


@pytest.mark.parametrize("code", [1, 2, -9])
def test_whatever_sam_ends_with_but_0_is_a_failure(tmp_path: Path, command: Callable[[int], None], code: int) -> None:
    command(code)

    with pytest.raises(LocalStackError, match="sam deploy failed") as raised:
        deploy(tmp_path)
    assert "it did not work" in str(raised.value.detail)


def test_0_is_none(tmp_path: Path, command: Callable[[int], None]) -> None:
    command(0)

    deploy(tmp_path)


def deploy(folder: Path) -> None:
    log = folder / "sam.log"
    (folder / "template.yaml").write_text('{"Resources": {}}', encoding="utf-8")
    sam.deploy(
        Build(folder, "fingerprint", reused=False),
        project=folder,
        endpoint="http://127.0.0.1:1",
        stack="dropzone",
        parameters=folder / "parameters.yaml",
        log=log,
    )
