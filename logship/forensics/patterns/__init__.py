"""Log messages grouped into patterns, and how their number changed against a baseline."""
