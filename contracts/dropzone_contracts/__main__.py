"""`python -m dropzone_contracts` compiles the contracts into the layer; `--check` compares."""

import argparse
import sys
from pathlib import Path

from dropzone_contracts.compiler import SUFFIX, compile_folder
from dropzone_contracts.document import ContractError
from dropzone_contracts.table import table

ROOT = Path(__file__).parents[2]
COMPILED = Path("layers/common/dropzone/contracts.json")
EXPECTATIONS = Path("layers/common/dropzone/expectations.json")
TEXTS = Path("layers/common/dropzone/contracts")
TABLE = Path("docs/rules.md")


def main() -> int:
    """Compile, or compare; returns 1 if a contract can't be used, or if a compiled file differs."""
    parser = argparse.ArgumentParser(prog="dropzone_contracts", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what the layer carries, and write nothing")
    check = parser.parse_args().check
    try:
        contracts, expectations, texts = compile_folder(ROOT / "contracts")
    except ContractError as error:
        for finding in error.findings:
            print(f"contracts/{finding}", file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    made = {COMPILED: contracts, EXPECTATIONS: expectations, TABLE: table(contracts, expectations)}
    made |= {TEXTS / f"{identifier}{SUFFIX}": text for identifier, text in texts.items()}
    stale = [path for path, text in made.items() if _differs(path, text, check)]
    stale += [path for path in _texts() if path not in made and _is_left(path, check)]
    for path in stale:
        print(f"{path} is not that of contracts/: run `make contracts`", file=sys.stderr)  # noqa: T201
    return 1 if stale else 0


def _texts() -> list[Path]:
    return sorted(path.relative_to(ROOT) for path in (ROOT / TEXTS).glob(f"*{SUFFIX}"))


def _is_left(path: Path, check: bool) -> bool:  # noqa: FBT001 - of the command line
    """Report the text of a deleted contract, or delete it."""
    if not check:
        (ROOT / path).unlink()
    return check


def _differs(path: Path, text: str, check: bool) -> bool:  # noqa: FBT001 - of the command line
    """Compare a file, or write it."""
    file = ROOT / path
    if not check:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return False
    return not file.exists() or file.read_text(encoding="utf-8") != text


if __name__ == "__main__":
    sys.exit(main())
