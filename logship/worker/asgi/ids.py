"""Random ids of requests, drawn many at a time: one draw per request takes 0.1 us longer."""

import random

BATCH = 64
ID_BYTES = 24

# logship's own generator: an application that calls random.seed() must not make ids repeat.
generator = random.Random()
# Each is 48 hex digits: a span id of 16, then a request or trace id of 32. RequestLog takes from the end.
ready: list[bytes] = []


def reseed() -> None:
    """Draw new ids from now on. Called in each new process, because a fork copies the generator."""
    generator.seed()
    ready.clear()


def draw() -> bytes:
    """Refill `ready` and return one more id."""
    digits = generator.randbytes(ID_BYTES * BATCH).hex().encode()
    size = 2 * ID_BYTES
    ready.extend(digits[at : at + size] for at in range(0, len(digits) - size, size))
    return digits[-size:]
