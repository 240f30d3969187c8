"""Writing a store: normalizing records, the log, sealing, merging, retention and recovery."""
