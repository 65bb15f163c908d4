"""The function Query: the reads, which need a key."""

from dropzone.runtime import collect_rarely

collect_rarely()
