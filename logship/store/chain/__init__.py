"""The chain of digests of a store: what was sealed, merged and removed, so that other changes are detected."""
