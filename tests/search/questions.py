"""Questions and records that belong together: small alphabets, so that random ones often match."""

from typing import Any

from hypothesis import strategies as st

from logship.search.kql import And, Is, Node, Not, Or, Pattern, Range, Text, Value

WORDS = (
    "get",
    "GET",
    "order",
    "a-b",
    "x_y",
    "500",
    "3",
    "äö",
    "slow path",
    "50%",
    "a\\b",
    'q"q',
    "not it",
    "or",
    "",
    "a.b",
    "a.b.c",
    "1.5",
    "1,000",
    "it's",
    "a:b",
    "a.1",
    "..",
    "_a.b_",
    "a..b",
    "x.",
)
PIECES = ("", "o", "e", "GE", "50", "a", "ä", "%", "_", ".", "a.", "b ", "1")
TEXT_FIELDS = ("message", "error.message", "error.stack_trace")
KEYWORDS = ("http.request.method", "url.path", "event.outcome")
ADDRESSES = ("10.0.0.1", "10.0.0.200", "10.0.1.0", "210.45.3.7", "::1", "2001:db8::1", "2001:db8:0:1::")
NETWORKS = ("10.0.0.0/8", "10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/15", "0.0.0.0/0", "::/0", "2001:db8::/48")
NUMBERS = ("http.response.status_code", "event.duration")

words = st.sampled_from(WORDS)
sentences = st.lists(words, min_size=1, max_size=3).map(" ".join)
numbers = st.sampled_from((0, 3, 200, 499, 500, 2**62, -1))
times = st.sampled_from(
    ("2026-11-20T10:00:00.000000000Z", "2026-11-20T10:00:00.000000001Z", "2026-11-20T23:59:59.999999999Z")
)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record as a store gives it back."""
    record: dict[str, Any] = {"@timestamp": draw(times)}
    record |= draw(st.dictionaries(st.sampled_from(TEXT_FIELDS), sentences, max_size=2))
    record |= draw(st.dictionaries(st.sampled_from(KEYWORDS), words, max_size=3))
    record |= draw(st.dictionaries(st.sampled_from(NUMBERS), numbers, max_size=2))
    for name, values in (("labels", words), ("numeric_labels", numbers.map(float))):
        labels = draw(st.dictionaries(st.sampled_from(("tenant", "order.id", "x_y")), values, max_size=2))
        if labels:
            record[name] = labels
    record |= draw(st.dictionaries(st.just("client.ip"), st.sampled_from(ADDRESSES)))
    tags = draw(st.lists(words, max_size=2))
    return record | ({"tags": tags} if tags else {})


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    parts = draw(st.lists(st.sampled_from(PIECES), min_size=2, max_size=3))
    # A parser trims.
    return Pattern((parts[0].lstrip(), *parts[1:-1], parts[-1].rstrip()))


# A parser never gives an unquoted empty text.
texts = st.builds(Text, st.one_of(sentences, numbers.map(str)), st.booleans()).map(
    lambda text: Text(text.text.strip(), quoted=text.quoted or not text.text.strip())
)
values: st.SearchStrategy[Value] = st.one_of(texts, patterns())
names: st.SearchStrategy[Value] = st.one_of(
    st.sampled_from((*TEXT_FIELDS, *KEYWORDS, "tags", "labels.tenant", "order.id", "x_y", "labels")).map(Text),
    st.sampled_from((("labels.", ""), ("", ""), ("", "_y"), ("error.", ""), ("http.re", ""))).map(Pattern),
)
operators = st.sampled_from(("<", "<=", ">", ">="))
leaves: st.SearchStrategy[Node] = st.one_of(
    st.builds(Is, st.one_of(names, st.none()), values),
    st.builds(Range, names, operators, texts),
    st.builds(Range, st.sampled_from(NUMBERS).map(Text), operators, numbers.map(lambda n: Text(str(n + 0.5)))),
    st.builds(Is, st.just(Text("client.ip")), st.sampled_from(ADDRESSES + NETWORKS).map(Text)),
    st.builds(Range, st.just(Text("client.ip")), operators, st.sampled_from(ADDRESSES).map(Text)),
    st.builds(Is, st.sampled_from(NUMBERS).map(Text), st.sampled_from(("3", "5e2", "499.5", "1e30")).map(Text)),
    st.builds(
        Range,
        st.just(Text("@timestamp")),
        operators,
        st.sampled_from(("2026-11-20", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00.000000001Z")).map(Text),
    ),
    st.builds(Is, st.just(Text("@timestamp")), st.sampled_from(("2026-11-20T10:00:00Z", "2026")).map(Text)),
)
nodes: st.SearchStrategy[Node] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=6,
)
