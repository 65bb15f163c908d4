"""The function Web: routes that need no key and no data."""

from dropzone.garbage import collect_rarely

collect_rarely()
