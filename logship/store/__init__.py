"""The embedded store: a durable log, compacted into Parquet, read with DuckDB."""
