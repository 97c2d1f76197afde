"""The durations of the gRPC server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcTiming:
    """Durations of connections and calls, in seconds.

    Attributes:
        handshake: a connection is closed if its handshake takes longer.
        idle: a connection without calls is closed after that.
        keepalive: between two pings on a connection.
        keepalive_timeout: a connection is closed if a ping is not answered within that.
        read_timeout: an admitted caller may take so long to send a request message.
        output_unread: the caller of a console that writes may so long read nothing.
        file_idle: the caller of a file that is read may so long take nothing, of one that is
            written send nothing.
        contended_read_timeout: if others wait to send one, so long; more than a busy event loop
            takes to look at a message that has come.
        public_stream_lifetime: a stream without a token ends after that; its caller may open
            another one.
        deadline_margin: the answer to an expired deadline is sent so long before the deadline,
            but never more than a fifth of the caller's time.
        watch_grace: watches have so long to end at shutdown.
        last_grace: whatever is left after the calls have ended has so long.
        log_within: a line of the access log is written within that.
        refusal_period: of refused calls, the access log has some lines and a count for each
            such period.
    """

    handshake: float = 10
    idle: float = 300
    keepalive: float = 60
    keepalive_timeout: float = 20
    read_timeout: float = 10
    output_unread: float = 30
    file_idle: float = 300
    contended_read_timeout: float = 0.5
    public_stream_lifetime: float = 300
    deadline_margin: float = 0.5
    watch_grace: float = 1
    last_grace: float = 0.5
    log_within: float = 0.05
    refusal_period: float = 1
