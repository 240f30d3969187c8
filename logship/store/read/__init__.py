"""Reading a store: queries over its files, exports, and lookups by event id."""
