"""A notice of the watch as a line, and as the body of a webhook."""

from typing import Any, Literal, TypeAlias

from logship.event.invisible import visible
from logship.forensics.incident.write_up import Moment
from logship.forensics.watch.memory import Notice
from logship.search.units import duration

WebhookFormat: TypeAlias = Literal["generic", "slack"]


def line(notice: Notice, moment: Moment) -> str:
    """Return the notice as one line: time, began or ended, severity, service, kind, what changed, since when, and its query."""
    finding = notice.finding
    head = f"{moment(notice.at_ns)} {notice.kind} {finding.severity} {finding.service or '-'} {finding.label}"
    return visible(f"{head}: {finding.sentence} {_times(notice, moment)} query: {finding.query}")


def body(notice: Notice, format_: WebhookFormat, moment: Moment) -> dict[str, Any]:
    """Return what a webhook gets: the JSON of the notice with its line as `text`, or only the text for Slack."""
    text = line(notice, moment)
    if format_ == "generic":
        return notice.as_json() | {"text": text}
    # The text has values that clients send: & < > would be links and mentions. Source: docs.slack.dev, formatting message text.
    return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}


def _times(notice: Notice, moment: Moment) -> str:
    if notice.ended_ns is None:
        return f"Began {moment(notice.began_ns)}."
    lasted = duration(max(0, notice.ended_ns - notice.began_ns))
    if notice.usual:
        return f"Began {moment(notice.began_ns)}; it has lasted for {lasted} and is now part of the baseline."
    return f"Began {moment(notice.began_ns)}, ended {moment(notice.ended_ns)}, after {lasted}."
