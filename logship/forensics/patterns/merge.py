"""Merge templates whose words differ where they vary: names of users, hosts and queues have no digit.

Templates are compared if they have the same length and first word, which never varies. Two rules make a place vary:
- Several templates are equal but for that place, and a value is there in one of them, or `LEAST_VALUES` words are. Words
  alone do not suffice with fewer than `LEAST_CONSTANT` other ones: "server started" and "server stopped" are two patterns.
- In a crowd of templates with enough words in common, each has a different word there. This finds places that vary together.

Drain (He et al. 2017) compares the same places, but message by message, so that its result depends on their order. The
splitting of crowds by the place with the fewest words is that of IPLoM (Makanju et al. 2009)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from logship.forensics.patterns.words import SEPARATORS, VARIES, Words, joined

LEAST_VALUES = 4
LEAST_CONSTANT = 2
LEAST_CROWD = 16


def merged(templates: Iterable[Words]) -> dict[Words, Words]:
    """Return for each template the one that it is part of, which may be itself."""
    groups: defaultdict[tuple[int, str], list[Words]] = defaultdict(list)
    for template in sorted(set(templates)):
        groups[len(template), template[0] if template else ""].append(template)
    result: dict[Words, Words] = {}
    for group in groups.values():
        into = _crowds(group)
        into |= _merged_group({into.get(template, template) for template in group})
        result |= {template: joined(_resolve(template, into)) for template in group}
    return result


def _crowds(group: Sequence[Words]) -> dict[Words, Words]:
    """Return the merged template of each template that is part of a crowd."""
    into: dict[Words, Words] = {}
    parts = [group]
    while parts:
        part = parts.pop()
        if len(part) < LEAST_CROWD:
            continue
        distinct = [len(set(column)) for column in zip(*part, strict=True)]
        varying = {at for at, count in enumerate(distinct) if count > 1}
        fewest = min(varying, key=distinct.__getitem__)
        if 2 * distinct[fewest] < len(part):
            parts += _split(part, fewest)
        elif _constant(word for at, word in enumerate(part[0]) if at not in varying) >= max(
            LEAST_CONSTANT, len(varying)
        ):
            general = tuple(VARIES if at in varying else word for at, word in enumerate(part[0]))
            into |= {template: general for template in part if template != general}
    return into


def _split(part: Sequence[Words], at: int) -> Iterable[list[Words]]:
    groups: defaultdict[str, list[Words]] = defaultdict(list)
    for template in part:
        groups[template[at]].append(template)
    return groups.values()


def _merged_group(group: set[Words]) -> dict[Words, Words]:
    """Return the template that each merged one became part of; that one may itself have been merged."""
    into: dict[Words, Words] = {}
    current = group
    changed = len(current) > 1
    while changed:
        changed = False
        for at, alike in _alike(current):
            members = [template for template in alike if template in current]
            if len(members) > 1 and _varies(members, at):
                general = (*members[0][:at], VARIES, *members[0][at + 1 :])
                into |= {template: general for template in members if template != general}
                current.difference_update(members)
                current.add(general)
                changed = True
    return into


def _alike(current: Iterable[Words]) -> Iterator[tuple[int, list[Words]]]:
    """Yield (place, templates that are equal but for this place), the largest groups first."""
    # Sums of hashes find them: comparing what is before and after each place takes the square of the length. Hashes of texts,
    # because those of tuples are nearly additive: templates with two words exchanged would have the same sum.
    groups: defaultdict[tuple[int, int], list[Words]] = defaultdict(list)
    for template in sorted(current):
        hashes = [hash(f"{at} {word}") for at, word in enumerate(template)]
        total = sum(hashes)
        for at in range(1, len(template)):
            if template[at] not in SEPARATORS:
                groups[at, total - hashes[at]].append(template)
    several = [(at, group) for (at, _), group in groups.items() if len(group) > 1]
    yield from sorted(several, key=lambda item: (-len(item[1]), item))


def _varies(members: Sequence[Words], at: int) -> bool:
    values = {template[at] for template in members}
    if VARIES in values:
        return True
    constant = _constant(word for place, word in enumerate(members[0]) if place != at)
    return len(values) >= LEAST_VALUES and constant >= LEAST_CONSTANT


def _constant(words: Iterable[str]) -> int:
    return sum(word not in SEPARATORS and word != VARIES for word in words)


def _resolve(template: Words, into: Mapping[Words, Words]) -> Words:
    while template in into:
        template = into[template]
    return template
