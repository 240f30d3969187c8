"""Logs `events` lines, the one at `poisoned` says poison; then says `flushed`, or hangs for ever if asked to."""

import argparse
import sys
import time

import logship

given = argparse.ArgumentParser()
given.add_argument("events", type=int)
given.add_argument("--poisoned", type=int, default=-1)
given.add_argument("--hang", action="store_true")
asked = given.parse_args()

logship.configure()
log = logship.get_logger("burst")
for number in range(asked.events):
    log.info("poison" if number == asked.poisoned else "line", number=number)
    if number % 100 == 99:
        time.sleep(0.01)
sys.stdout.write("logged\n")
sys.stdout.flush()
if asked.hang:
    time.sleep(600)
sys.exit(0 if logship.shutdown(deadline_seconds=60) else 1)
