"""The verdict on integrity as one text."""

from logship.search.integrity import Integrity
from logship.search.units import plural

FLAWS_NAMED = 3
NOT_ANCHORED = (
    "not anchored: a chain that was written again or cut, or an older copy of the store, would look the same; `logship anchor`"
    " prints a line to keep elsewhere"
)
SIGNED_NOT_ANCHORED = (
    "signed and not anchored: a cut end or an older copy of the store would look the same; `logship anchor` prints a line to"
    " keep elsewhere"
)


def sentence(found: Integrity) -> str:
    """Return what was found and what was not checked. Clauses are separated by semicolons."""
    parts = [_first(found)]
    if found.finding != "changed" and found.records:
        parts += _not_checked(found)
        if found.finding == "consistent":
            parts.append(SIGNED_NOT_ANCHORED if found.signed else NOT_ANCHORED)
    return "; ".join(parts)


def _not_checked(found: Integrity) -> list[str]:
    texts = (
        (found.after_anchor, "segment", "recorded after the anchor"),
        (found.removed_after_anchor, "event", "removed by retention since the anchor, according to the chain"),
        (found.before_chain, "segment", "older than the chain, unchanged since it began"),
        (found.not_recorded, "file", "at the end not in the chain yet"),
    )
    return [f"{plural(count, noun)} {text}" for count, noun, text in texts if count]


def _first(found: Integrity) -> str:
    if found.flaws:
        named = [f"{flaw.name}: {flaw.reason}" for flaw in found.flaws[:FLAWS_NAMED]]
        more = len(found.flaws) - len(named)
        return "; ".join(named + [f"{more} more"] * bool(more))
    if not found.records:
        return "this store has no chain of digests yet; `logship up` begins it"
    if found.read < found.segments:
        return f"{found.read} of {plural(found.segments, 'segment')} read so far, as recorded; run the check again for the rest"
    those = f"{plural(found.segments, 'segment')} {'is' if found.segments == 1 else 'are'} as recorded"
    anchored = f"the anchor of record {found.anchored_to} matches; "
    return (anchored if found.anchored_to is not None else "") + those
