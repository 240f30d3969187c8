"""A demo service under several workers, its traffic, an incident, and a delivery check: what `logship demo` shows."""
