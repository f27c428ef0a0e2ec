"""The rows of `bench rpc`, and the goals they are held to."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..rows import OURS, Goal, rows_from_json

ECHO, NULL = "grpc-echo", "cartridge+null-engine"
IMPLEMENTATIONS = (ECHO, NULL, OURS)
MODES = ("unary", "stream")


@dataclasses.dataclass(frozen=True)
class Setting:
    """One kind of calls; see `RpcRow`."""

    mode: str
    client: str
    clients: int
    in_flight: int
    games: int
    outputs: str
    echo_bytes: int = 0  # of a mere echo, each way

    @property
    def name(self) -> str:
        """In words."""
        way = "one call after another" if self.mode == "unary" else f"stream, {self.in_flight} on the way"
        what = f"{self.games:,} games, {self.outputs}" if self.games else f"{self.echo_bytes:,} bytes each way"
        return f"{what}; {way}; {self.clients} client{'s' if self.clients > 1 else ''} with {self.client}"


@dataclasses.dataclass(frozen=True)
class RpcRow:
    """Calls of one kind, made as fast as `clients` processes can, to one server process on the same machine.

    `implementation` is `cartridge`; `cartridge+null-engine`, the same service whose device answers at once; or
    `grpc-echo`, a server that answers with as many bytes and does nothing else, with messages that are bytes already.
    `client` is how its program is written, with `threads` or `asyncio`. In mode `stream` each client has `in_flight`
    requests on the way, of as many leases; in mode `unary` it waits for each.

    `games` are stepped by a call (0 for a mere echo), `outputs` are what a reply shows. `rpc_per_s` and what follows
    from it are of all clients together, medians of `repeats` stretches; `spread` is (max - min) / median of the rates.
    `p50_ms` and `p99_ms` run from a request to its reply. `policy_share` is the part of the clients' time that went
    into choosing legal moves from the masks they were sent. `client_cpu` and `server_cpu` count cores in use.
    """

    bench: str
    game: str
    implementation: str
    device: str
    mode: str
    client: str
    clients: int
    in_flight: int
    games: int
    outputs: str
    request_bytes: int
    response_bytes: int
    rpc_per_s: float
    steps_per_s: float
    mb_per_s: float
    p50_ms: float
    p99_ms: float
    policy_share: float
    client_cpu: float
    server_cpu: float
    repeats: int
    spread: float
    versions: Mapping[str, str]
    host: Mapping[str, str]

    @property
    def setting(self) -> Setting:
        """What rows must share to be compared, on one device."""
        echo_bytes = 0 if self.games else self.request_bytes
        return Setting(self.mode, self.client, self.clients, self.in_flight, self.games, self.outputs, echo_bytes)


def read_results(folder: Path) -> list[RpcRow]:
    """Every row of the files `rpc-*.json` in `folder`, files in order of name."""
    return [row for path in sorted(folder.glob("rpc-*.json")) for row in rows_from_json(path.read_text(), RpcRow)]


def shares(rows: Sequence[RpcRow], implementation: str = OURS) -> list[tuple[RpcRow, float]]:
    """(row of it, how much of its echo's rate it reaches), the time in which the client chose moves left out."""
    echoes = {(row.device, row.setting): row.rpc_per_s for row in rows if row.implementation == ECHO}
    pairs = [(row, echoes.get((row.device, row.setting))) for row in rows if row.implementation == implementation]
    return [(row, row.rpc_per_s / max(1 - row.policy_share, 1e-9) / echo) for row, echo in pairs if echo]


def goals(rows: Sequence[RpcRow]) -> list[Goal]:
    """Every goal on which the rows say something."""
    games = [row for row in rows if row.implementation == OURS and row.games > 1]
    found = []
    best = max(shares(rows), key=lambda one: one[1], default=None)
    if best:
        found.append(Goal("at least 0.7 of an echo of the same bytes", best[1], best[0].setting.name, best[1] >= 0.7))
    for kind, least in (("bits", 5e6), ("f32", 1e6)):
        fastest = max((row for row in games if kind in row.outputs), key=lambda row: row.steps_per_s, default=None)
        if fastest:
            text = f"at least {least / 1e6:g} M connect4 steps/s with {kind} observations and masks"
            found.append(Goal(text, fastest.steps_per_s, fastest.setting.name, fastest.steps_per_s >= least))
    small = [row for row in games if row.games == 64 and row.clients == 1]
    if small:
        worst = max(small, key=lambda row: row.p99_ms)
        found.append(Goal("p99 of a step of 64 games under 5 ms", worst.p99_ms, worst.setting.name, worst.p99_ms < 5))
    return found
