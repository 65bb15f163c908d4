"""The functions Process (from the queue) and Sweep (on a schedule, and `POST /process`)."""

from dropzone.garbage import collect_rarely

collect_rarely()
