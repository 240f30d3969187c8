"""Group messages into patterns. Each message belongs to one pattern, so the counts of patterns add up to the total."""

from collections import defaultdict
from collections.abc import Iterable

from logship.forensics.patterns.merge import merged
from logship.forensics.patterns.words import Words, words_of


def patterns_of(messages: Iterable[str]) -> dict[str, Words]:
    """Return the words of the pattern of each distinct message. All messages that are to be compared have to be given at
    once: which words vary depends on the others."""
    words = {message: words_of(message) for message in set(messages)}
    into = merged(words.values())
    return {message: into[own] for message, own in words.items()}


def grouped(messages: Iterable[str]) -> dict[Words, list[str]]:
    """Return the distinct messages of each pattern, in the order of `messages`."""
    ordered = dict.fromkeys(messages)
    pattern = patterns_of(ordered)
    groups: defaultdict[Words, list[str]] = defaultdict(list)
    for message in ordered:
        groups[pattern[message]].append(message)
    return dict(groups)
