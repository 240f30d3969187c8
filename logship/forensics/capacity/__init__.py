"""How much traffic the workers of a service can carry, and for how long that is enough."""
