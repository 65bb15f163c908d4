"""Run the emulator: `python -P <this file>`, by the interpreter of local/emulator."""

import sys
from pathlib import Path

# Not by PYTHONPATH, which the functions would inherit.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ministack.app import main

from dropzone_emulator.adaptations import adapt

adapt()
main()
