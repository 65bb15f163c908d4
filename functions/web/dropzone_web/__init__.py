"""The function Web: routes that need neither a key nor data."""

from dropzone.runtime import collect_rarely

collect_rarely()
