"""TLS towards an agent, and what to change when its handshake fails."""

import ssl

from logship.errors import WireError

# OpenSSL's words for an answer that is not TLS.
NOT_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}
)
PLAIN = "the agent does not speak TLS: write LOGSHIP_AGENT=HOST:PORT without tls://, or switch its TLS on"


def client_context(ca_file: str) -> ssl.SSLContext:
    """Return a context that trusts `ca_file`, or what the system trusts. WireError if the file cannot be read."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        raise WireError(f"LOGSHIP_AGENT_CA_FILE {ca_file} holds no certificates that can be read: {reason}") from error


def handshake_trouble(error: OSError) -> WireError:
    """Return the error that says why a TLS handshake with an agent failed and what to change."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return WireError(
            f"the agent's certificate is not trusted ({error.verify_message}): set LOGSHIP_AGENT_CA_FILE, and use a host"
            " name in LOGSHIP_AGENT that is in the certificate"
        )
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return WireError(f"the connection was closed during the TLS handshake; perhaps {PLAIN}")
    if isinstance(error, ssl.SSLError) and error.reason in NOT_TLS:
        return WireError(PLAIN)
    return WireError(f"the TLS handshake with the agent failed: {error.strerror or error}")
