"""What KQL means, as data: questions and the letters of the records that fit. Every store is held to them.

Written from the grammar and from what Elasticsearch answers; the words of running text are its standard analyser's."""

from typing import Any

from logship.search.times import from_rfc3339

NOW = from_rfc3339("2026-11-20T10:10:30Z")
TRACE = 'Traceback:\n  File "shop/db.py", line 7, in run\n    await asyncio.wait_for(q)\nTimeoutError: 5.0s over'
RECORDS: dict[str, dict[str, Any]] = {
    "a": {
        "@timestamp": "2026-11-20T10:00:00.000000000Z", "message": "GET /api/orders/17 200 24.3ms",
        "http.request.method": "GET", "http.response.status_code": 200, "url.path": "/api/orders/17",
        "http.route": "/api/orders/{id}", "client.ip": "210.45.3.7", "event.duration": 24_300_000,
        "logship.worker.slot": 0, "service.node.name": "web-1/shop/w0", "tags": ["slow", "cut"],
        "labels": {"tenant": "tenant-003", "flag_7": "on"}, "numeric_labels": {"retry": 2.0},
        "http.request.id": "req-1", "trace.id": "t1",
    },
    "b": {
        "@timestamp": "2026-11-20T10:00:30.500000000Z", "message": "upstream httpx.ConnectError: can't connect",
        "http.request.method": "POST", "http.response.status_code": 500, "url.path": "/api/carts",
        "client.ip": "10.0.0.5", "event.duration": 5_000_000_000, "logship.worker.slot": 3, "log.level": "error",
        "error.type": "httpx.ConnectError", "error.message": "All connection attempts failed",
        "error.stack_trace": TRACE, "labels": {"tenant": "tenant-001", "retry": "often"}, "trace.id": "t1",
    },
    "c": {
        "@timestamp": "2026-11-20T10:01:00.000000000Z", "message": "customer_id 1,000 saved; a:b x-y user@host",
        "log.level": "warning",
        "labels": {"tenant": "Tenant-003", "user.plan": "gold", "note": 'say "hi" (now)', "status": "paid"},
        "numeric_labels": {"order.id": 17.0, "ratio": 0.25, "duration": 90.0}, "tags": ["app"], "http.request.id": "req-1",
    },
    "d": {
        "@timestamp": "2026-11-20T10:02:00.000000000Z", "message": "12 events, 3 requests in flight",
        "event.action": "worker-heartbeat", "logship.journal.durable": True, "logship.worker.slot": 3,
        "logship.in_flight.count": 0,
    },
    "e": {
        "@timestamp": "2026-11-20T23:59:59.999999999Z", "message": "Not found: cannot do",
        "http.request.method": "GET", "http.response.status_code": 404, "url.path": "/a b/*x*",
        "client.ip": "2001:db8::7", "logship.journal.durable": False,
    },
    "f": {"@timestamp": "2026-11-21T00:00:00.000000000Z", "message": "Größe ÄÖÜ v1.2.3 100%_done", "client.ip": "::1"},
}  # fmt: skip

CASES = r"""
abcdef  *:*
abcdef  *: *
abcdef  *
abcdef  message: *
abcdef  @timestamp: *
ab      http.response.status_code: (200 or 500)
abe     http.response.status_code: *
cdf     not http.response.status_code: *
a       http.response.status_code: 200
a       http.response.status_code: "200"
a       http.response.status_code: 200.0
a       http.response.status_code: 2e2
-       http.response.status_code: 200.5
be      http.response.status_code > 200
abe     http.response.status_code >= 200
abe     http.response.status_code >= 199.5
be      http.response.status_code > 200.5
a       http.response.status_code < 404
ae      http.response.status_code <= 404
ae      http.response.status_code<=404
-       http.response.status_code >= 1e30
abe     http.response.status_code <= 1e30
e       http.response.status_code >= 400 and http.response.status_code < 500
bcdef   not http.response.status_code: 200
d       logship.in_flight.count: 0
d       logship.in_flight.count: -0
ae      http.request.method: GET
ae      http.request.method: "GET"
ae      http.request.method: get
ae      http.request.method: G*
abe     http.request.method: *T
b       http.request.method: P*T
ae      http.request.method: g*
-       http.request.method: et
-       http.request.method: "G*"
b       http.request.method > GET
abe     http.request.method >= GET
a       url.path: /api/orders/17
ab      url.path: /api/*
a       url.path: /api/*/17
a       url.path: *17
-       url.path: /api
e       url.path: "/a b/*x*"
e       url.path: /a b/\*x\*
e       url.path: /a b/*
e       url.path: /a*x*
-       url.path: "/a b/*"
a       http.route: "/api/orders/{id}"
a       http.route: /api/orders/\{id\}
b       error.type: httpx.ConnectError
b       error.type: *Error
-       error.type: ConnectError
-       error.type: httpx.connecterror
a       message: get
a       message: GET
a       message: 24.3ms
-       message: 24
-       message: 3ms
a       message: orders
a       message: 17
a       message: orders/17
a       message: "orders/17"
a       message: "api orders 17 200"
-       message: "orders 200"
-       message: "17 orders"
a       message: 24.*
a       message: *3ms
a       message: 2*ms
ab      message: (get or upstream)
b       message: connect
-       message: connecterror
b       message: httpx.connecterror
b       message: "HTTPX.ConnectError can't connect"
b       message: can't
-       message: can
be      message: can*
be      message: can* or message: cannot
b       message: *error
b       message: *.ConnectError
b       message: httpx.*
b       message: h*r
c       message: customer_id
-       message: customer
c       message: customer*
c       message: 1,000
-       message: 1
-       message: 000
c       message: a\:b
c       message: "a:b"
-       message: a
c       message: x-y
c       message: x
c       message: "x y"
c       message: user@host
c       message: host
c       message: saved
d       message: events
d       message: "events 3"
d       message: "12 events, 3 requests"
ad      message: (flight or get)
-       message: (flight and get)
d       message: (flight and not get)
cdf     message: (requests or saved or größe)
e       message: "cannot do"
e       message: "not found"
e       message: ("cannot" and do)
f       message: größe
f       message: GRÖSSE or message: größe
f       message: äöü
f       message: v1.2.3 or message: nothing
-       message: v1
f       message: v1*
f       message: 100
-       message: done
f       message: _done
-       message: ""
-       message: "/ - @"
af      message: get größe
af      message: 24.* größe
b       error.stack_trace: asyncio.wait_for
b       error.stack_trace: *asyncio*
-       error.stack_trace: asyncio
b       error.stack_trace: "TimeoutError 5.0s"
b       error.stack_trace: *
b       error.*: attempts
b       error.*: *Error
ab      tags: slow or error.type: *
a       tags: slow
a       tags: (slow and cut)
-       tags: (slow and app)
ac      tags: *
ac      tags: (slow or app)
a       tags: s*
-       tags: SLOW
bdef    not tags: *
d       logship.journal.durable: true
e       logship.journal.durable: false
de      logship.journal.durable: *
a       labels.tenant: tenant-003
a       tenant: tenant-003
-       tenant: TENANT-003
ab      tenant: tenant-*
abc     tenant: *
c       user.plan: gold
c       labels.user.plan: gold
a       labels: tenant-003
c       labels: gold
c       labels.*: gold
a       labels.flag*: on
a       flag_7: *
bcdef   not flag_7: *
c       note: "say \"hi\" (now)"
c       note: say \"hi\" \(now\)
c       note: *hi*
a       retry: 2
b       retry: often
ab      retry: *
a       retry >= 2
-       retry > 2
a       numeric_labels.retry <= 2
c       order.id: 17
c       order.id < 17.5
c       ratio: 0.25
-       ratio: a
b       labels.retry > nope
-       nothing: *
abcdef  not nothing: *
-       nothing: x
a       client.ip: 210.45.3.7
a       client.ip: 210.45.0.0/16
a       client.ip: "210.45.0.0/16"
a       client.ip: 210.45.3.0/30 or client.ip: 210.45.3.4/30
b       client.ip: 10.0.0.0/8
-       client.ip: 10.0.0.4
b       client.ip: 10.0.0.4/31
ab      client.ip: 0.0.0.0/0
e       client.ip: "2001:db8::/32"
e       client.ip: "2001:0DB8:0:0:0:0:0:7"
f       client.ip: "::1"
abef    client.ip: "::/0"
abef    client.ip: *
a       client.ip: "::ffff:210.45.3.7"
ae      client.ip > 10.0.0.5
abe     client.ip >= 10.0.0.5
bf      client.ip < 210.0.0.0
e       client.ip > 255.255.255.255
f       client.ip <= "::1"
bf      client.ip < 20.0.0.0
cd      not client.ip: *
a       @timestamp: "2026-11-20T10:00:00Z"
ab      @timestamp: "2026-11-20T10:00"
abcd    @timestamp: "2026-11-20T10"
abcde   @timestamp: 2026-11-20
f       @timestamp: 2026-11-21
abcdef  @timestamp: 2026-11
abcdef  @timestamp: 2026
bcdef   @timestamp > "2026-11-20T10:00:00Z"
cdef    @timestamp > "2026-11-20T10:00:30Z"
bcdef   @timestamp >= "2026-11-20T10:00:30.5Z"
cdef    @timestamp > "2026-11-20T10:00:30.5Z"
ab      @timestamp <= "2026-11-20T10:00:30Z"
a       @timestamp < "2026-11-20T10:00:30Z"
f       @timestamp > 2026-11-20
abcde   @timestamp <= 2026-11-20
abcde   @timestamp < 2026-11-21
def     @timestamp >= now-9m
bcdef   @timestamp >= now-9m/m-30s
cdef    @timestamp > now-10m/m
abcdef  @timestamp >= now-10m/h
ab      @timestamp <= now-10m/m
abcde   @timestamp: now/d
abcde   @timestamp <= now/d
f       @timestamp > now/d
f       @timestamp >= now+1d/d
ef      @timestamp > now
f       @timestamp >= "2026-11-20||+1d/d"
abcdef  @timestamp < now/w+1w
a       @timestamp: 1795168800
ab      http.request.id: req-1 and trace.id: t1 or error.type: *
a       http.request.id: req-1 and trace.id: t1
ac      req-1
ac      "req-1"
ab      t1
-       req
a       get
a       orders
b       httpx.ConnectError
b       "All connection"
ab      get or upstream
a       get and orders
-       get and upstream
bcdef   not get
a       24.3*
b       httpx.C*
b       *ConnectError
-       connecterror
e       "cannot do"
f       größe
af      24.* größe
a       http.re*: GET and url.path: *17
ae      http.re*: GET
a       *: tenant-003
ac      *: 17
d       logship.worker.*: 3 and not error.type: *
bd      logship.worker.*: 3
a       service.node.name: web-1/shop/w0
a       service.node.name: web-1*
b       (http.response.status_code >= 500 or log.level: error) and not tags: *
abe     http.response.status_code: 200 or (http.response.status_code >= 400 and not log.level: warning)
bc      log.level: (error or warning)
c       log.level: (error or warning) and not log.level: error
-       log.level: (error and warning)
c       log.level: ((error or warning) and not error)
b       event.duration >= 1000000000
a       event.duration < 1000000000
b       event.duration > 24300000.5
a       status: 200
b       status >= 500
be      status: (4xx or 5xx)
ab      not status: 4xx and status: *  and not status: paid
c       status: paid
c       labels.status: *
abce    status: *
b       http.response.status_code: 5XX
ae      method: GET
ae      method: get
b       method: "post"
a       route: "/api/orders/{id}"
a       path: /api/orders/*
a       request_id: req-1 and trace_id: t1
b       level: error
b       level: ERROR
bc      level: (Warn or ERR)
c       log.level: "WARNING"
b       log.level: ERR*
bc      level >= warning
c       level < error
b       level > WARN
acef    not level: * and not event.action: * and not method: (GET and POST) or level: warning
b       error: httpx.ConnectError
b       exception: *
a       worker: w0
bd      worker: w3
bd      worker: 3
abd     worker: *
a       worker: web-1/shop/w0
a       worker: web-1*
bd      worker >= W1
bd      logship.worker.slot: w3
b       duration > 100ms
b       duration >= 5s
b       duration: 5s
a       duration < 24.5ms
ab      duration >= 24300us
ab      event.duration > 0.01s
-       event.duration > 1m30s
c       duration: 90
c       duration < 100
b       event.duration >= 5000ms
ab      ip: 0.0.0.0/0
b       client: 10.0.0.5
d       action: worker-heartbeat
abcdef  timestamp: 2026-11
""".strip().splitlines()

REFUSED = {
    "http.response.status_code: abc": (27, "is a number, not 'abc'"),
    "http.response.status_code: 5*": (27, "cannot contain"),
    "http.response.status_code >= abc": (29, "is a number"),
    "client.ip: notanip": (11, "not an address or a network"),
    "client.ip: 210.45.*": (11, "cannot contain"),
    "client.ip: 210.45.0.0/33": (11, "not an address or a network"),
    "client.ip > 10.0.0.0/8": (12, "single address"),
    'client.ip: "fe80::1%eth0"': (11, "not an address or a network"),
    "message >= a": (11, "running text"),
    "@timestamp: yesterday": (12, "invalid date"),
    "@timestamp: 2026-13-01": (12, "invalid date"),
    "@timestamp: 2026-11-*": (12, "cannot contain"),
    "@timestamp >= now-1q": (14, "invalid date"),
    "log.level=error": (0, "write log.level: error"),
    "status: 200 and level == ERROR": (16, "write level: ERROR"),
    "route != /orders": (0, "write not route: /orders"),
    "status => 500": (0, "write status >= 500"),
    "level: = error": (7, "write level: error"),
    "!status: 500": (0, "write not status: 500"),
    "level: error || status: 500": (22, "instead of"),
    "log.level > critical": (12, "no level is"),
    "event.duration > 5 parsecs": (17, "is a duration, e.g. 100ms"),
    "logship.journal.durable: yes": (25, "true or false"),
    "logship.journal.durable: tr*": (25, "cannot contain"),
}


def fitting(case: str) -> tuple[str, str]:
    """Return the letters of the records that fit, and the question."""
    letters, _, text = case.partition(" ")
    return letters.replace("-", ""), text.strip()
