"""The function Archive: moves closed months of measurements to Parquet files."""

from dropzone.runtime import collect_rarely

collect_rarely()
