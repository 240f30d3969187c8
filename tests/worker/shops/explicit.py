"""The shop by the long way: `configure` and `RequestLog`, without the import hook."""

import logship
from tests.worker.shops import plain

logship.configure(service="shop")
app = logship.RequestLog(plain.app)
