"""KQL, Kibana's query language: text to a tree of values and back."""

from logship.search.kql.parser import DEPTH_LIMIT, TERMS_LIMIT, TEXT_LIMIT_CHARACTERS, parse
from logship.search.kql.printer import text_of
from logship.search.kql.tree import (
    And,
    Is,
    Leaf,
    Node,
    Not,
    Operator,
    Or,
    Pattern,
    Range,
    Text,
    Value,
    either,
    equal,
    every,
    existing,
    leaves,
)

__all__ = [
    "DEPTH_LIMIT", "TERMS_LIMIT", "TEXT_LIMIT_CHARACTERS",
    "And", "Is", "Leaf", "Node", "Not", "Operator", "Or", "Pattern", "Range", "Text", "Value",
    "either", "equal", "every", "existing", "leaves", "parse", "text_of",
]  # fmt: skip
