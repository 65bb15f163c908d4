"""The functions' processes end with the test that started them, well or not, and their ports are free again."""

from pathlib import Path

import psutil
import pytest

from artefact.build import Artefacts
from artefact.interpreter import Interpreter
from artefact.lambda_runtime import RunningFunction, running
from artefact.samples import sample
from dropzone_local.ports import is_free


def left_of(function: RunningFunction, processes: list[psutil.Process]) -> list[object]:
    ports = [port for port in (function.port, function.runtime_port) if not is_free(port)]
    return [*ports, *(process for process in processes if process.is_running())]


def test_nothing_is_left_of_a_function(artefacts: Artefacts, interpreter: Interpreter, tmp_path: Path) -> None:
    function = artefacts.functions()["WebFunction"]

    with running(function, interpreter, tmp_path / "web", {}) as web:
        web.succeed(sample("api-health"))
        processes = web.service.processes()

    commands = 3  # the supervisor, the emulator, the function
    assert len(processes) == commands
    assert left_of(web, processes) == []


def test_nothing_is_left_of_a_function_whose_test_failed(
    artefacts: Artefacts, interpreter: Interpreter, tmp_path: Path
) -> None:
    function = artefacts.functions()["WebFunction"]

    started: list[RunningFunction] = []
    processes: list[psutil.Process] = []

    def failing_test() -> None:
        with running(function, interpreter, tmp_path / "web", {}) as web:
            web.succeed(sample("api-health"))
            started.append(web)
            processes.extend(web.service.processes())
            pytest.fail("on purpose")

    with pytest.raises(pytest.fail.Exception, match="on purpose"):
        failing_test()

    assert len(processes) > 1
    assert left_of(started[0], processes) == []


def test_a_variable_that_the_template_does_not_know_is_refused(
    artefacts: Artefacts, interpreter: Interpreter, tmp_path: Path
) -> None:
    function = artefacts.functions()["WebFunction"]

    with (
        pytest.raises(AssertionError, match="SURPRISE"),
        running(function, interpreter, tmp_path / "web", {"SURPRISE": "1"}),
    ):
        pass
