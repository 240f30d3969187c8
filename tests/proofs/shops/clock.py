"""Logs as many lines as it is told while its clock is faked, flushes them, says `logged`, and ends or (`--hang`) waits.

`time.sleep` of libfaketime fails beside a true monotonic clock, so here it is done with `select`."""

import select
import sys
import time

import logship


def sleep(seconds: float) -> None:
    """Wait on the true clock."""
    select.select([], [], [], seconds)


time.sleep = sleep  # type: ignore[assignment]
logship.configure()
log = logship.get_logger("clock")
for number in range(int(sys.argv[1])):
    log.info("line", number=number)
    if number % 20 == 19:
        time.sleep(0.02)
if not logship.flush(60):
    sys.exit(2)
sys.stdout.write("logged\n")
sys.stdout.flush()
if "--hang" in sys.argv:
    time.sleep(600)
sys.exit(0 if logship.shutdown(deadline_seconds=60) else 1)
