"""A shop under several workers, traffic, an incident, and the account of it: what `logship demo` shows."""
