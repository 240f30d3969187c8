"""When a series of buckets changed: where it began, where it ended, and how certain that is."""
