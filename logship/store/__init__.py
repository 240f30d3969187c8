"""The embedded store: a durable log, sealed into Parquet and read with DuckDB. `write` and `read` share the file formats."""
