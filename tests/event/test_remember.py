from logship.event.remember import ENTRY_BYTES, MOST_ENTRIES, TOTAL_BYTES, Remembered


def test_what_is_kept_is_found_again() -> None:
    cache: Remembered[bytes] = Remembered()
    assert cache.keep(("GET", 200), b"packed") == b"packed"
    assert cache.get(("GET", 200)) == b"packed"


def test_what_is_too_large_is_made_each_time() -> None:
    cache: Remembered[bytes] = Remembered()
    assert cache.keep("x" * ENTRY_BYTES, b"") == b""
    assert cache.keep(("GET", "x" * ENTRY_BYTES), b"") == b""
    assert cache.keep("x", b"x" * ENTRY_BYTES)
    assert len(cache) == 0


def test_neither_entries_nor_bytes_grow_without_a_limit() -> None:
    small: Remembered[bytes] = Remembered()
    large: Remembered[bytes] = Remembered()
    for number in range(3 * MOST_ENTRIES):
        small.keep(number, b"")
        large.keep(f"{number:02000}", b"")
        assert len(small) <= MOST_ENTRIES
        assert len(large) * 2000 <= large.total_bytes <= TOTAL_BYTES
    assert small
    assert large
