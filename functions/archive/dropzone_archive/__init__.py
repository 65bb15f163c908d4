"""The function Archive: moves closed months of measurements to Parquet files."""
