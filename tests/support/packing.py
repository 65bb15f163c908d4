"""Bodies packed the same way every time: gzip writes the time of day, by which pytest's processes would disagree."""

import gzip


def gzipped(body: bytes, level: int = 9) -> bytes:
    return gzip.compress(body, level, mtime=0)
