"""The shop with the import and with `RequestLog`, as it happens when somebody reads only half of the README."""

import logship.auto

# isort: split

from tests.worker.shops import plain

app = logship.RequestLog(plain.app)
