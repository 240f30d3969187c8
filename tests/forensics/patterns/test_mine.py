"""Messages become patterns: what varies is replaced, what a programmer wrote stays."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.forensics.patterns.mine import grouped, patterns_of
from logship.forensics.patterns.words import text_of, words_of


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("order 4711 placed", "order <*> placed"),
        ("job 550e8400-e29b-41d4-a716-446655440000 took 3.5 s", "job <*> took <*>"),
        ("connected to 10.0.0.7:5432 as app", "connected to <*> as app"),
        ("wrote /var/lib/shop/orders.db in 12ms", "wrote <*> in <*>"),
        ("retry in 250 ms, 3 left", "retry in <*> left"),
        ("ids [1, 22, 333] are stale", "ids [<*>] are stale"),
        ("cache miss: key=user:17 ttl=30", "cache miss: key=user: <*> ttl=<*>"),
        ("at Sun Jul 10 03:55:15 2005", "at <*>"),
        ("fetch https://shop.example/a?b=c failed", "fetch <*> failed"),
        ("no digits here", "no digits here"),
        ("", ""),
    ],
)
def test_what_varies_is_replaced(message: str, pattern: str) -> None:
    assert text_of(words_of(message)) == pattern


def patterns(*messages: str) -> set[str]:
    return {text_of(words) for words in grouped(messages)}


def test_a_word_that_varies_is_replaced_and_words_of_a_sentence_are_not() -> None:
    users = [f"session opened for user {name}" for name in ("ann", "bob", "cyd", "dan")]
    assert patterns(*users) == {"session opened for user <*>"}
    assert patterns(*users[:3]) == set(users[:3])
    states = ["server started", "server stopped", "server paused", "server resumed"]
    assert patterns(*states) == set(states)


def test_a_word_where_another_message_has_a_value_varies() -> None:
    assert patterns("login of test7 from 1.2.3.4 failed", "login of root from 1.2.3.4 failed") == {
        "login of <*> from <*> failed"
    }


def test_words_that_vary_together_are_replaced() -> None:
    names = [chr(97 + number) * 4 for number in range(20)]
    orders = [f"customer {name} ordered {name[::-1]}x for delivery to town" for name in names]
    assert patterns(*orders) == {"customer <*> ordered <*> for delivery to town"}


def test_different_sentences_of_one_length_stay_apart() -> None:
    sentences = [f"cannot {word}ly {word} that {word}er" for word in map(chr, range(97, 117))]
    assert patterns(*sentences) == set(sentences)


@given(st.lists(st.text(alphabet="ab1 =:,()[]", max_size=12)))
def test_each_message_has_one_pattern_and_counts_add_up(messages: list[str]) -> None:
    counts = Counter(messages)
    groups = grouped(messages)
    assert sum(counts[message] for members in groups.values() for message in members) == len(messages)


@given(st.permutations(["user ann left", "user bob left", "user b2 left", "job 7 done", "job x done", "a=1", "a=b"]))
def test_the_order_of_messages_does_not_matter(messages: list[str]) -> None:
    assert patterns_of(messages) == patterns_of(sorted(messages))
