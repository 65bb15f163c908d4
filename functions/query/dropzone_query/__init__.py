"""The function Query: reads, with a key."""

from dropzone.garbage import collect_rarely

collect_rarely()
