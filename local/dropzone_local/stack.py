"""The local stack: Postgres, the emulator, and the project's own template deployed to it."""

import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import psutil

from dropzone_local import ports
from dropzone_local.deployment import Deployment, Endpoints
from dropzone_local.emulator import Emulator
from dropzone_local.errors import LocalStackError
from dropzone_local.files import exclusive, read_json, write_json
from dropzone_local.postgres import SUPERUSER, Postgres
from dropzone_local.sam import Build, Builder
from dropzone_local.schema import changed_since
from dropzone_local.service import Service
from dropzone_local.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
PORT_VARIABLE = "DROPZONE_PORT"
DATABASE_PORT_VARIABLE = "DROPZONE_DATABASE_PORT"

# Times are seconds instead of the minutes on AWS, so that redelivery and the dead-letter queue can be watched.
_PARAMETERS: Mapping[str, str] = {
    "DatabaseHost": ports.LOOPBACK,
    "DatabaseAuth": "password",
    "DatabaseTls": "disable",
    "DatabaseMasterUser": SUPERUSER,
    "ProcessTimeout": "15",
    "QueueVisibilityTimeout": "90",
    "ProcessConcurrency": "3",
    "MaxReceiveCount": "5",
    "BatchSize": "10",
    "BatchWindow": "0",
    "SweepRate": "1 minute",
    "SweepMinAge": "60",
    "SweepRetry": "10",
    "NotificationRetry": "120",
    # The emulator doesn't support alarms on computed metrics, and writes no access logs.
    "Monitoring": "false",
    "ManageApiGatewayAccount": "false",
}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a stack."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    database_port: int | None = None
    # A stack that is bound to its parent ends with the process that started it, even if that crashes.
    bound_to_parent: bool = True
    # Stacks share their builds, unless this names another folder.
    builds: Path | None = None


class LocalStack:
    """A stack, with all its data under `root`.

    As a context manager, it is up inside the block, and down after it. Its data is kept.
    """

    def __init__(
        self,
        root: Path,
        options: Options | None = None,
        *,
        report: Callable[[str], None] = lambda _: None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        """A stack that is not started yet. `announce` is called when a step starts, `report` when it is done."""
        self.root = root.resolve()
        self.options = options or Options()
        self.file = self.root / "stack.json"
        self._report = report
        self._announce = announce
        self._settings_file = self.root / "settings.json"
        self._settings = Settings.load(self._settings_file)
        self.postgres = Postgres(
            self.root / "postgres",
            port=self._settings.database_port or 0,
            password=self._settings.password,
            bound_to_parent=self.options.bound_to_parent,
        )
        self.emulator = Emulator(
            self.root / "emulator",
            port=self._settings.emulator_port or 0,
            project=PROJECT,
            bound_to_parent=self.options.bound_to_parent,
            enforce_iam=True,
            # Not in the template, whose parameters are those of a deploy to AWS, which has no such password.
            variables={"DATABASE_PASSWORD": self.postgres.password},
        )
        self.builder = Builder(PROJECT, builds=self.options.builds, for_host=True)
        self.deployment = Deployment(self.emulator, project=PROJECT, root=self.root)

    def __enter__(self) -> Self:
        """Start the stack, or leave nothing of it running."""
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> Endpoints:
        """Start what isn't running, deploy what has changed, and return the endpoints."""
        # Only the owner may read the folder: the emulator writes the API's keys into files that anybody may read.
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        with self._locked():
            self._choose_ports()
            build = self._start_servers_and_build()
            if self.deployment.deploy(build, self.parameters, lambda: self._announce("Deploying the template")):
                self._report("The template is deployed")
            if stale := changed_since(
                self.root / "schema.json", PROJECT / "functions" / "migrate" / "dropzone_migrate"
            ):
                self._report(
                    f"The database is older than {', '.join(stale)}: a new revision applies what makes no table "
                    "(docs/development.md), and `make clean` starts with an empty database"
                )
            endpoints = self.deployment.endpoints(self.postgres.uri)
            write_json(self.file, endpoints.document())
            return endpoints

    def down(self) -> None:
        """Stop all processes of the stack, if any."""
        if self.root.exists():
            with self._locked():
                self._stop()

    def clean(self) -> None:
        """Stop all processes of the stack, and delete its data."""
        if self.root.exists():
            with self._locked():
                self._stop()
                shutil.rmtree(self.root)

    def kill(self) -> None:
        """Kill all processes of the stack, like a power cut."""
        self.emulator.kill()
        self.postgres.kill()

    @property
    def parameters(self) -> Mapping[str, str]:
        own = {
            "Architecture": self.builder.architecture,
            "DatabasePort": str(self.postgres.port),
            "DatabaseName": self.postgres.database,
        }
        return {**_PARAMETERS, **own, **self.options.parameters}

    @property
    def services(self) -> tuple[Service, ...]:
        return self.postgres.service, self.emulator.service

    @property
    def running(self) -> bool:
        return any(service.processes() for service in self.services)

    @property
    def healthy(self) -> bool:
        """Return whether both servers answer and the template is deployed."""
        return self.postgres.healthy and self.emulator.healthy and self.deployment.is_deployed

    def processes(self) -> Mapping[str, list[psutil.Process]]:
        return {service.name: service.processes() for service in self.services}

    @property
    def endpoints(self) -> Endpoints | None:
        """The endpoints when the stack was last started; None if it is down."""
        document = read_json(self.file)
        return Endpoints(**{name: str(value) for name, value in document.items()}) if document else None

    def _locked(self) -> AbstractContextManager[None]:
        return exclusive(self.root / "lock", busy="The local stack is being started or stopped by another command")

    def _stop(self) -> None:
        self.file.unlink(missing_ok=True)
        with ThreadPoolExecutor() as pool:
            for step in [pool.submit(self.emulator.stop), pool.submit(self.postgres.stop)]:
                step.result()

    def _choose_ports(self) -> None:
        """Keep the ports of running servers; choose ports for the others."""
        self.postgres.port = self._choose_port(
            self.postgres.service,
            wanted=self.options.database_port,
            remembered=self._settings.database_port,
            option=f"--database-port or {DATABASE_PORT_VARIABLE}",
            avoid=self._settings.emulator_port,
        )
        self.emulator.port = self._choose_port(
            self.emulator.service,
            wanted=self.options.port,
            remembered=self._settings.emulator_port,
            option=f"--port or {PORT_VARIABLE}",
            avoid=self.postgres.port,
        )
        self._settings = replace(self._settings, database_port=self.postgres.port, emulator_port=self.emulator.port)
        self._settings.save(self._settings_file)

    def _choose_port(
        self, service: Service, *, wanted: int | None, remembered: int | None, option: str, avoid: int | None
    ) -> int:
        if service.running and remembered is not None:
            if wanted not in {None, remembered}:
                message = f"{service.name} already runs on port {remembered}, and {wanted} was asked for."
                raise LocalStackError(message, hint="Take the stack down first: make down")
            return remembered
        return ports.choose(wanted=wanted, remembered=remembered, purpose=service.name, option=option, avoid=avoid)

    def _start_servers_and_build(self) -> Build:
        """Do the three at the same time, since they are independent."""
        with ThreadPoolExecutor() as pool:
            building = pool.submit(self._build)
            starting = [pool.submit(self._start_postgres), pool.submit(self._start_emulator)]
        # All have ended here, successfully or not. The first failure is shown.
        for step in starting:
            step.result()
        return building.result()

    def _start_postgres(self) -> None:
        if not self.postgres.healthy:
            self._announce("Starting PostgreSQL")
            self.postgres.restart()
            self._report(f"PostgreSQL is up on port {self.postgres.port}")

    def _start_emulator(self) -> None:
        if not self.emulator.healthy:
            self._announce("Starting the AWS emulator")
            self.emulator.restart()
            self._report(f"The AWS emulator is up on port {self.emulator.port}")
            self.deployment.prepare()

    def _build(self) -> Build:
        build = self.builder.build(lambda: self._announce("Building the functions and the layer"))
        if not build.reused:
            self._report("The functions and the layer are built")
        return build
