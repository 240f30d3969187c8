"""Reports over any `Source`: workers, what was in flight, and whether everything arrived."""
