"""Words: the names of what is recorded, values made safe to store, secrets taken out. No files, no clock, no environment."""
