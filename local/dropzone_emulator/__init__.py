"""The AWS emulator, with what it lacks of AWS's behaviour. Runs in the emulator's own environment (local/emulator)."""
