"""Measure the grouping of log messages: accuracy on systems whose templates are known, and messages per second.

python benchmarks/bench_patterns.py --data DIR

DIR holds files SYSTEM_2k.log_structured.csv of loghub (https://github.com/logpai/loghub) with Content and EventId. Grouping
accuracy (GA): messages in exactly the right group; FGA: the F1 of groups (Jiang et al., ISSTA 2024). One setting for all.
Drain3 with three masks has 0.767 / 0.772 on the mean of 16 systems. It is measured here too if it is installed."""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from time import process_time

from machine import table

from logship.forensics.patterns.merge import merged
from logship.forensics.patterns.mine import patterns_of
from logship.forensics.patterns.words import words_of

LEAST_SECONDS = 0.5


def ours(messages: Sequence[str]) -> Sequence[Hashable]:
    patterns = patterns_of(messages)
    return [patterns[message] for message in messages]


def words_only(messages: Sequence[str]) -> Sequence[Hashable]:
    return [words_of(message) for message in messages]


def drain3(messages: Sequence[str]) -> Sequence[Hashable]:
    from drain3 import TemplateMiner

    miner = TemplateMiner()
    return [miner.add_log_message(message)["cluster_id"] for message in messages]


def groups(labels: Sequence[Hashable]) -> set[frozenset[int]]:
    members: defaultdict[Hashable, set[int]] = defaultdict(set)
    for number, label in enumerate(labels):
        members[label].add(number)
    return {*map(frozenset, members.values())}


def scores(given: Sequence[Hashable], truth: Sequence[str]) -> tuple[float, float]:
    ours_, right = groups(given), groups(truth)
    exact = ours_ & right
    return sum(map(len, exact)) / len(truth), 2 * len(exact) / (len(ours_) + len(right))


def speed(messages: Sequence[str]) -> float:
    """Return messages per second of CPU when each is new: no message is grouped once for all that are equal to it."""
    rounds, begun = 0, process_time()
    while process_time() - begun < LEAST_SECONDS:
        merged([words_of(message) for message in messages])
        rounds += 1
    return rounds * len(messages) / (process_time() - begun)


def systems(folder: Path) -> Mapping[str, tuple[list[str], list[str]]]:
    found = {}
    for path in sorted(folder.glob("*.log_structured.csv")):
        with path.open(newline="") as lines:
            rows = [*csv.DictReader(lines)]
        found[path.name.split("_")[0]] = ([row["Content"] for row in rows], [row["EventId"] for row in rows])
    return found


def main(folder: Path) -> None:
    methods: dict[str, Callable[[Sequence[str]], Sequence[Hashable]]] = {"ours": ours, "words only": words_only}
    try:
        import drain3 as _  # noqa: F401

        methods["Drain3"] = drain3
    except ImportError:
        pass
    rows, every, speeds = [], defaultdict(list), []
    for name, (messages, truth) in systems(folder).items():
        row = [name]
        for method, parse in methods.items():
            every[method].append(scores(parse(messages), truth))
            row.append("{:.3f} / {:.3f}".format(*every[method][-1]))
        speeds.append(speed(messages))
        rows.append([*row, f"{len(groups(ours(messages)))}", f"{len(set(truth))}", f"{speeds[-1]:,.0f}"])
    means = ["{:.3f} / {:.3f}".format(*map(fmean, zip(*pairs, strict=True))) for pairs in every.values()]
    rows.append(["mean", *means, "", "", f"{len(speeds) / sum(1 / each for each in speeds):,.0f}"])
    table("GA / FGA", ["system", *methods, "patterns", "true", "messages/s"], rows)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder with loghub's structured files")
    main(arguments.parse_args().data)
