"""`logship setup elastic`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logship.cli.output import NOTHING, say, talk
from logship.cli.terminal.text import clean
from logship.errors import QuestionError
from logship.search.units import plural
from logship.settings import Settings, load

if TYPE_CHECKING:
    from logship.elastic.setup import Plan


@click.command("setup")
@click.argument("what", type=click.Choice(["elastic"]))
@click.option("--yes", is_flag=True, help="Apply the changes without confirmation")
@click.option("--dry-run", is_flag=True, help="Only show the changes")
@click.option(
    "--dashboards", metavar="FILE", type=click.Path(path_type=Path),
    help="Kibana objects to import if LOGSHIP_KIBANA_URL is set. Default: the dashboards of logship",
)  # fmt: skip
@click.option("--alerts", is_flag=True, help="Also create alerting rules in Kibana")
@click.option("--reader-key", metavar="NAME", help="Also create a read-only API key with this name, and print it")
def setup(
    what: str, yes: bool, dry_run: bool, dashboards: Path | None, alerts: bool, reader_key: str | None
) -> int:
    """Set up templates, roles and users in Elasticsearch, and dashboards in Kibana.

    `logship setup elastic` shows its plan first. It is idempotent, and never overwrites objects that are not logship's.
    Address, user and passwords are settings: LOGSHIP_ELASTIC_*, LOGSHIP_KIBANA_URL."""
    from logship.elastic import mapping
    from logship.elastic.setup import DASHBOARDS
    from logship.elastic.setup import setup as set_up

    settings = load()
    plans: list[Plan] = []

    def agree(plan: "Plan") -> bool:
        plans.append(plan)
        return _agree(plan, yes, dry_run)

    talk(f"checking {settings.elastic_url}" + (f" and {settings.kibana_url}" if settings.kibana_url else ""))
    agreed = set_up(settings, agree, lambda step: talk(f"done: {step.path}"), dashboards or DASHBOARDS, alerts)
    ready = agreed or not plans[0].changes
    if ready and not dry_run:
        talk(f"{mapping.stream(settings.elastic_namespace)} is ready: new indices get logship's mapping")
        if reader_key:
            _print_key(settings, reader_key)
    return 0 if ready or dry_run else NOTHING


def _agree(plan: "Plan", yes: bool, dry_run: bool) -> bool:
    """Show the plan, and return whether to apply it."""
    widest = max(len(step.path) for step in plan.steps)
    say(clean(f"Elasticsearch {plan.version or 'of unknown version'} at {plan.url}"))
    for step in plan.steps:
        say(clean(f"  {step.change:6}  {step.path:{widest}}  {step.sentence}"))
    for remark in plan.notes:
        talk(f"note: {remark}")
    if not plan.changes:
        talk("everything is up to date")
        return False
    if yes or dry_run:
        return not dry_run
    if not sys.stdin.isatty():
        raise QuestionError(
            "no terminal to confirm on: pass --yes to apply the changes, or --dry-run to only show them"
        )
    return click.confirm(f"Make {plural(len(plan.changes), 'change')}?", err=True)


def _print_key(settings: Settings, name: str) -> None:
    from logship.elastic import access
    from logship.elastic.client import connect

    with connect(settings) as client:
        say(access.make_api_key(client, settings, access.READER, name))
