"""How a channel of ours is set up at its two ends: pings that both agree on, and sizes that one end alone limits.

Options are plain pairs, so this file loads nothing; a client in another language copies the four numbers.
"""

KEEPALIVE_MS = 20_000  # an end that has heard nothing for so long asks whether the other is still there
KEEPALIVE_TIMEOUT_MS = 10_000  # without an answer within this, the connection is given up
MESSAGE_MIB = 64  # the largest request that a server takes, unless it was told otherwise
NO_LIMIT = -1

Options = list[tuple[str, int]]


def client_options() -> Options:
    """What our clients open their channels with.

    Messages have no limit here: the server limits requests and names its own setting, and gRPC's own 4 MiB would
    refuse an answer that the server was asked for.
    """
    return [
        *_keepalive(),
        ("grpc.http2.max_pings_without_data", 0),  # 0: as many as it takes; the default stops after two
        ("grpc.max_receive_message_length", NO_LIMIT),
        ("grpc.max_send_message_length", NO_LIMIT),
    ]


def server_options(largest_request: int) -> Options:
    """What our servers listen with; requests of more bytes than `largest_request` are refused by gRPC itself."""
    return [
        *_keepalive(),
        # A server takes pings that come faster than this for an attack, and by default "this" is five minutes.
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
        ("grpc.max_receive_message_length", largest_request),
        ("grpc.max_send_message_length", NO_LIMIT),
        # gRPC shares ports by default: a second server on the port of the first would start, and get half the calls.
        ("grpc.so_reuseport", 0),
    ]


def _keepalive() -> Options:
    return [
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
