"""An incident as text: one screen for a terminal, Markdown, and one HTML file."""

from collections.abc import Callable
from html import escape
from urllib.parse import quote

from logship.forensics.incident.finding import Interval, Outlier
from logship.forensics.incident.incident import IncidentReport
from logship.search.times import SECOND_NS, rfc3339
from logship.search.units import duration, plural

# How a line with a next command begins.
NEXT = "next: "
# Writes a time of a report.
Moment = Callable[[int], str]
# How reports name numbers of the evidence; others have the name of their key.
NUMBER_NAMES = {
    "hits_before": "matching requests before",
    "hits_after": "matching requests after",
    "explained": "share explained",
    "g": "G statistic",
}
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{overflow-wrap:anywhere}dt{font-weight:600;margin-top:1rem}"
)


def lines(report: IncidentReport, moment: Moment, kibana_url: str = "") -> list[str]:
    """Return the report for one screen: window, findings with time and query, evidence, next commands."""
    written = [_heading(report, moment), *level_lines(report, moment), *note_lines(report, moment), ""]
    for rank, finding in enumerate(report.findings, 1):
        written.append(f"{rank}. {finding.label}: {finding.sentence}")
        written.append(f"   {_when(finding, moment)}")
        written.append(f"   query: {finding.query}")
        if kibana_url:
            written.append(f"   kibana: {discover(kibana_url, finding, report)}")
    written += [report.not_compared] if report.findings and report.not_compared else []
    written += [report.sentence] * (not report.findings)
    written += ["", f"evidence: {report.delivery.label}. {report.delivery.sentence}"]
    commands = next_commands(report)
    return [*written, *(f"{NEXT}{command}" for command in commands)]


def markdown(report: IncidentReport, moment: Moment, kibana_url: str = "") -> str:
    """Return the report as Markdown."""
    parts = [f"# {_heading(report, moment)}", "", report.sentence, ""]
    parts += [*(f"- {_plain(line)}" for line in level_lines(report, moment)), ""] * bool(report.levels)
    parts += [*(f"- {_plain(line)}" for line in note_lines(report, moment)), ""] * bool(report.annotations)
    for rank, finding in enumerate(report.findings, 1):
        parts += [f"## {rank}. {finding.label}", "", _plain(finding.sentence), "", f"- {_when(finding, moment)}"]
        parts += [f"- {_number_name(name)}: {number:,.6g}" for name, number in finding.evidence.items()]
        parts += [f"- query: `{finding.query}`"]
        parts += [f"- [Kibana]({discover(kibana_url, finding, report)})"] * bool(kibana_url)
        parts.append("")
    parts += ["## Evidence", "", report.delivery.sentence, ""]
    return "\n".join([*parts, "## Next", "", *(f"    {command}" for command in next_commands(report)), ""])


def html(report: IncidentReport, moment: Moment, kibana_url: str = "") -> str:
    """Return the report as one HTML file without scripts."""
    title = escape(_heading(report, moment))
    items = []
    for finding in report.findings:
        numbers = ", ".join(f"{_number_name(name)} {number:,.6g}" for name, number in finding.evidence.items())
        link = f'<br><a href="{escape(discover(kibana_url, finding, report))}">Kibana</a>' if kibana_url else ""
        items.append(
            f"<li><strong>{escape(finding.label)}</strong>: {escape(finding.sentence)}<br>"
            f"{escape(_when(finding, moment))}<br>{escape(numbers)}<br><code>{escape(finding.query)}</code>{link}</li>"
        )
    levels = "".join(f"<p>{escape(line)}</p>" for line in (*level_lines(report, moment), *note_lines(report, moment)))
    commands = "".join(f"<li><code>{escape(command)}</code></li>" for command in next_commands(report))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>'
        f"<p>{escape(report.sentence)}</p>{levels}<ol>{''.join(items)}</ol><h2>Evidence</h2><p>{escape(report.delivery.sentence)}</p>"
        f"<h2>Next</h2><ul>{commands}</ul></html>\n"
    )


def level_lines(report: IncidentReport, moment: Moment) -> list[str]:
    """Return one line for each service that findings are about: request rate, failed requests and p99, before and then."""
    texts: dict[str, list[str]] = {}
    for level in report.levels:
        since = f" ({_span(level.began, moment)})" if level.began else ""
        texts.setdefault(level.service, []).append(level.text() + since)
    return [f"{service}: {'; '.join(parts)}" for service, parts in texts.items()]


def note_lines(report: IncidentReport, moment: Moment) -> list[str]:
    """Return one line for each annotation of the window, oldest first."""
    return [
        f"note: {moment(note.time_ns)} {note.text}" + (f" ({note.service})" if note.service else "")
        for note in report.annotations
    ]


def next_commands(report: IncidentReport) -> list[str]:
    """Return commands that show more of the first findings."""
    window = f"--since {_second(report.clock.since_ns)} --until {_second(report.clock.until_ns + SECOND_NS - 1)}"
    found = []
    for finding in report.findings[:2]:
        if finding.kind == "death":
            found.append(f"logship inflight {window}")
        elif finding.kind in ("gap", "drops"):
            found.append(f"logship verify {window}")
        else:
            found.append(f"logship search '{finding.query}' {window}")
    return list(dict.fromkeys([*found, f"logship compare {window}"] if report.findings else found))


def _second(time_ns: int) -> str:
    """Return a time as commands read it, in whole seconds."""
    return f"{rfc3339(time_ns)[:19]}Z"


def discover(url: str, finding: Outlier, report: IncidentReport) -> str:
    """Return a link to Kibana's Discover with the query and the time of a finding."""
    since, until = (rfc3339(time) for time in (report.clock.since_ns, report.clock.until_ns))
    # Rison: in a quoted text, ! and ' are escaped with !.
    text = finding.query.replace("!", "!!").replace("'", "!'")
    times, query = f"(time:(from:'{since}',to:'{until}'))", f"(index:logship-events,query:(language:kuery,query:'{text}'))"
    return f"{url.rstrip('/')}/app/discover#/?_g={quote(times, safe='():,')}&_a={quote(query, safe='():,')}"


def _heading(report: IncidentReport, moment: Moment) -> str:
    window, baseline = report.clock.window, report.clock.baseline
    service = next((finding.service for finding in report.findings if finding.service), "")
    return (
        f"Incident {service + ' ' if service else ''}{moment(window.since_ns or 0)} - {moment(window.until_ns or 0)} "
        f"({plural(report.requests_after, 'request')}), baseline {moment(baseline.since_ns or 0)} - "
        f"{moment(baseline.until_ns or 0)} ({plural(report.requests_before, 'request')})"
    )


def _when(finding: Outlier, moment: Moment) -> str:
    ended = f", ended {_span(finding.ended, moment)}" if finding.ended else ", not ended at the end of the window"
    if finding.ended == finding.began:
        ended = ""
    lasted = f" (after {duration(finding.ended[1] - finding.began[0])})" if finding.ended and ended else ""
    return f"began {_span(finding.began, moment)}{ended}{lasted}"


def _span(times: Interval, moment: Moment) -> str:
    return moment(times[0]) if times[0] == times[1] else f"{moment(times[0])} - {moment(times[1])}"


def _number_name(key: str) -> str:
    return NUMBER_NAMES.get(key) or key.replace("_", " ")


def _plain(sentence: str) -> str:
    return "".join(f"\\{character}" if character in "*_`[]<>" else character for character in sentence)
