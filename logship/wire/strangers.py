"""Peers that do not speak Forward: which protocol their first bytes belong to, and what to change.

Most connections fail because only one side has a shared key or TLS, or because of a wrong port."""

HTTP_ANSWER = b"HTTP/"
HTTP_REQUESTS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"PRI * HTTP")
# TLS records: a handshake (the first of a client), an alert (the reply of a server to anything else).
TLS = (b"\x16\x03", b"\x15\x03")
HELO = (b"\x92\xa4HELO", b"\x92\xc4\x04HELO", b"\x92\xd9\x04HELO", b"\x92\xda\x00\x04HELO")
PING = (b"\x96\xa4PING", b"\x96\xc4\x04PING", b"\x96\xd9\x04PING", b"\x96\xda\x00\x04PING")


def strange(received: bytes) -> str:
    """Return a description of the first bytes of a sender: "an HTTP request ...", or the bytes themselves."""
    if received.startswith(HTTP_REQUESTS):
        return f"an HTTP request ({received[:20]!r}; queries go to the HTTP port, 24280 by default)"
    if received.startswith(TLS):
        return "a TLS handshake (the sender uses tls://, this listener has no LOGSHIP_COLLECTOR_CERT_FILE)"
    if received.startswith(PING):
        return "a PING (the sender has a shared key, this listener has no LOGSHIP_COLLECTOR_SHARED_KEY)"
    return repr(received[:20])


def other_server(received: bytes) -> str:
    """Return a sentence about an agent whose first bytes are not Forward; "" for unknown bytes."""
    if received.startswith(HTTP_ANSWER):
        return (
            "the agent is an HTTP server: LOGSHIP_AGENT must name the Forward port of the agent"
            " (24224 by default; 24280 is the HTTP port of logship up)"
        )
    if received.startswith(TLS):
        return "the agent requires TLS: set LOGSHIP_AGENT=tls://HOST:PORT"
    if received.startswith(HELO):
        return "the agent requires a shared key: set LOGSHIP_AGENT_SHARED_KEY to the agent's key"
    return ""
