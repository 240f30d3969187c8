"""Logs `events` lines, the one at `poisoned` says poison; then says `logged`, and goodbye, or hangs for ever if asked to."""

import argparse
import sys
import time

import logship

given = argparse.ArgumentParser()
given.add_argument("events", type=int)
given.add_argument("--poisoned", type=int, default=-1)
given.add_argument("--flushed", action="store_true", help="say goodbye when all lines are acknowledged")
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
if asked.flushed and not logship.flush(60):
    sys.exit(2)
if asked.hang:
    time.sleep(600)
sys.exit(0 if logship.shutdown(deadline_seconds=60) else 1)
