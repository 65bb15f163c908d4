"""The function Query: reads, with a key."""

from dropzone.runtime import collect_rarely

collect_rarely()
