"""KQL that finds the events of a pattern."""

from itertools import groupby

from logship.forensics.patterns.read import LOG_LINES, TEMPLATE
from logship.forensics.patterns.words import SEPARATORS, VARIES, Words
from logship.search import kql

# The longest phrases of a pattern tell it from others.
PHRASES = 3


def kql_of_template(template: str) -> str:
    """Return KQL for the events that were logged with this template."""
    return kql.text_of(kql.equal(TEMPLATE, template))


def kql_of_words(words: Words) -> str:
    """Return KQL for log lines with the phrases of a mined pattern; patterns with the same phrases are found as well."""
    phrases = [phrase for phrase in _phrases(words) if any(map(str.isalnum, phrase))]
    longest = sorted(phrases, key=len, reverse=True)[:PHRASES]
    conditions = [kql.equal("message", phrase) for phrase in phrases if phrase in longest]
    # With a condition on the message, only the requests have to be excluded: they may have the same words.
    where = (
        kql.every(*conditions, kql.parse('not event.dataset: "logship.request"'))
        if conditions
        else kql.parse(LOG_LINES)
    )
    return kql.text_of(where)


def _phrases(words: Words) -> list[str]:
    apart = groupby(words, key=lambda word: word == VARIES or word in SEPARATORS)
    return [" ".join(group) for separates, group in apart if not separates]
