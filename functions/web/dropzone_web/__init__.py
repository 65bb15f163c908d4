"""The function Web: routes that need no key and no data."""

from dropzone.runtime import collect_rarely

collect_rarely()
