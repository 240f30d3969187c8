"""What the threads of the application execute."""

import threading

from logship.worker.stalls.application import Application
from logship.worker.stalls.stack import Stack, stacks_of_others


def busy_stacks(application: Application, *without: int | None) -> dict[str, Stack]:
    """Return the stacks of the threads that execute code of the application, by the name of the thread and its number."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        f"{names.get(thread, 'thread')}\0{thread}": stack
        for thread, stack in stacks_of_others(*without).items()
        if not names.get(thread, "").startswith("logship-") and application.owns_any(stack)
    }
