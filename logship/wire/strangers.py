"""What speaks at the other end instead of Forward, told from its first bytes, and what to change then.

Most connections that fail do so because one side has a shared key, TLS or another port, and the other side does not."""

HTTP_ANSWER = b"HTTP/"
HTTP_REQUESTS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"PRI * HTTP")
# Records of TLS: a handshake (the client's first), an alert (the answer of a server to anything else).
TLS = (b"\x16\x03", b"\x15\x03")
HELO = (b"\x92\xa4HELO", b"\x92\xc4\x04HELO", b"\x92\xd9\x04HELO", b"\x92\xda\x00\x04HELO")
PING = (b"\x96\xa4PING", b"\x96\xc4\x04PING", b"\x96\xd9\x04PING", b"\x96\xda\x00\x04PING")


def strange(received: bytes) -> str:
    """Return what the first bytes of a sender are, as the subject of a sentence: "an HTTP request", or the bytes."""
    if received.startswith(HTTP_REQUESTS):
        return f"an HTTP request ({received[:20]!r}; queries go to the HTTP port, 24280 by default)"
    if received.startswith(TLS):
        return "a TLS handshake (the sender has tls://, this listener has no LOGSHIP_COLLECTOR_CERT_FILE)"
    if received.startswith(PING):
        return "a PING (the sender has a shared key, this listener has no LOGSHIP_COLLECTOR_SHARED_KEY)"
    return repr(received[:20])


def other_server(received: bytes) -> str:
    """Return the sentence for an agent whose first bytes are not what Forward has there; empty if they tell nothing."""
    if received.startswith(HTTP_ANSWER):
        return (
            "an HTTP server answers there: LOGSHIP_AGENT must name the Forward port of the agent"
            " (24224 by default; 24280 is the HTTP port of logship up)"
        )
    if received.startswith(TLS):
        return "the agent speaks TLS: write LOGSHIP_AGENT=tls://HOST:PORT"
    if received.startswith(HELO):
        return "the agent requires a shared key: set LOGSHIP_AGENT_SHARED_KEY to the agent's key"
    return ""
