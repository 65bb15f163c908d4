"""The AWS emulator, adapted to AWS's behaviour. Runs in the emulator's own environment (local/emulator)."""
