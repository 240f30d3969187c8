"""TLS connections to an agent, and the errors of their handshakes."""

import ssl

from logship.errors import WireError

# Reasons of OpenSSL for a reply that is not TLS.
NOT_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}
)
PLAIN = "the agent does not use TLS: set LOGSHIP_AGENT=HOST:PORT without tls://, or enable TLS in the agent"


def client_context(ca_file: str) -> ssl.SSLContext:
    """Return a context that trusts the certificates in `ca_file`, or those of the system. WireError if the file is invalid."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        raise WireError(f"LOGSHIP_AGENT_CA_FILE: no certificates can be read from {ca_file}: {reason}") from error


def handshake_trouble(error: OSError) -> WireError:
    """Return the error for a failed TLS handshake with an agent."""
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
