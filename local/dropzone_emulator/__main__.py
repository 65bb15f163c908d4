"""Run the emulator: `python -P <this file>`, with the interpreter of local/emulator."""

import sys
from pathlib import Path

# Not set by PYTHONPATH, which the functions would inherit.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ministack.app import main

import dropzone_emulator.adaptations  # noqa: F401 - it puts them in place

main()
