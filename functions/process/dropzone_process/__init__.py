"""The functions Process (from the queue) and Sweep (on a schedule, and `POST /process`)."""
