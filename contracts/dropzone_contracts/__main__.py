"""`python -m dropzone_contracts` compiles the contracts into the layer; `--check` compares."""

import argparse
import sys
from pathlib import Path

from dropzone_contracts.compiler import compile_folder
from dropzone_contracts.findings import ContractError

ROOT = Path(__file__).parents[2]
COMPILED = Path("layers/common/dropzone/contracts.json")


def main() -> int:
    """Compile, or compare; 1 where a contract can't be used, or the layer's file is not that of the contracts."""
    parser = argparse.ArgumentParser(prog="dropzone_contracts", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what the layer carries, and write nothing")
    check = parser.parse_args().check
    try:
        compiled = compile_folder(ROOT / "contracts")
    except ContractError as error:
        for finding in error.findings:
            print(f"contracts/{finding}", file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    file = ROOT / COMPILED
    if not check:
        file.write_text(compiled)
    elif not file.exists() or file.read_text() != compiled:
        print(f"{COMPILED} is not that of contracts/: run `make contracts`", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
