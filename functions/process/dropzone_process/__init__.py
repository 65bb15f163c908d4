"""The functions Process (from the queue) and Sweep (on a schedule, and `POST /process`)."""

from dropzone.runtime import collect_rarely

collect_rarely()
