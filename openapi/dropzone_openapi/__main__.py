"""`python -m dropzone_openapi` writes the document; with `--check`, says whether the committed one is right."""

import argparse
import sys

from dropzone_openapi.build import TARGET, text


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(prog="dropzone_openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the committed one differs")
    arguments = parser.parse_args()
    wanted = text()
    if not arguments.check:
        TARGET.write_text(wanted, encoding="utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == wanted:
        return 0
    sys.stderr.write("openapi.json differs from the resolvers: run make openapi, and look at the difference.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
