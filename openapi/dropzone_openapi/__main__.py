"""`python -m dropzone_openapi` writes the document.

With `--check`, says whether the committed one is right, and whether clients of the released one can live with it; with
`--release`, makes it the released one.
"""

import argparse
import json
import sys

from dropzone_openapi.build import RELEASED, TARGET, text
from dropzone_openapi.contract import breaking_changes, is_allowed


def main() -> int:
    """Write, check or release."""
    parser = argparse.ArgumentParser(prog="dropzone_openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the committed one is wrong")
    parser.add_argument("--release", action="store_true", help="promise clients what the document of today says")
    arguments = parser.parse_args()
    wanted = text()
    if arguments.check and TARGET.read_text(encoding="utf-8") != wanted:
        sys.stderr.write("openapi.json differs from the functions: run make openapi, and look at the difference.\n")
        return 1
    released, today = json.loads(RELEASED.read_text(encoding="utf-8")), json.loads(wanted)
    found = breaking_changes(released, today)
    if (arguments.check or arguments.release) and found and not is_allowed(released, today):
        sys.stderr.write(f"This breaks clients of version {released['info']['version']}:\n")
        sys.stderr.writelines(f"  {change}\n" for change in found)
        sys.stderr.write("Undo it, or raise the version (docs/evolution.md).\n")
        return 1
    if arguments.release:
        RELEASED.write_text(wanted, encoding="utf-8")
    if not arguments.check:
        TARGET.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
