"""Questions as plain values: KQL, queries, their meaning, and their translators. No file, no clock."""
