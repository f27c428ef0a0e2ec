"""What a replay of Connect Four costs: bytes a position, the pause a snapshot makes, its size, and peaks of memory.

    python -m cartridge.bench.snapshot --rows 1000000 --rows 10000000 --json FILE
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import rows
from .replay.loop import fresh_peak_bytes, memory_bytes

_BLOCK, _BATCH = 16_384, 1024
_TURNS, _SNAPSHOTS = 50, 5


def measure(num_rows: int) -> dict[str, Any]:
    """All figures of one size, in this process, which should do nothing else: peaks are the whole process's."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from ..actor.openings import random_openings
    from ..actor.selfplay import Samples, sample_row
    from ..games.connect4 import Connect4
    from ..replay.batches import policy_batch
    from ..replay.owner import Replay
    from ..replay.samplers import Prioritised
    from ..services import checkpoint

    game = Connect4()
    plies = jnp.arange(_BLOCK, dtype=jnp.int32) % 30
    states = jax.jit(lambda: random_openings(game, jax.random.PRNGKey(0), plies, 30))()
    rows_of_block = Samples(states, jnp.full((_BLOCK, 7), 1 / 7), jnp.zeros(_BLOCK))
    replay = Replay(
        jax.eval_shape(lambda: sample_row(game)),
        -(-num_rows // _BLOCK) * _BLOCK,
        _BLOCK,
        Prioritised(),
        jax.random.PRNGKey(1),
        prepare=lambda ring, draws, key: policy_batch(game, ring, draws, key),
    )

    def turn() -> None:
        replay.add(rows_of_block)
        _, draws = replay.sample(_BATCH)
        replay.update(draws, np.ones(_BATCH, np.float32))

    for _ in range(replay.capacity // _BLOCK + 1):
        turn()
    jax.block_until_ready(replay._state)
    resting = memory_bytes("VmRSS")  # the ring, and what Python, JAX and the compiled programs take
    bytes_held = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(replay.layout()))
    fresh_peak_bytes()
    for _ in range(_TURNS):
        turn()
    peak_of_turns = _peak_beyond(resting)
    peaks: list[int | None] = []
    pauses, seconds, size = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        for step in range(_SNAPSHOTS):
            fresh_peak_bytes()
            begun = time.perf_counter()
            state, _ = replay.snapshot()
            pauses.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            checkpoint.save(Path(folder), checkpoint.Checkpoint(step, checkpoint.named(state), {}, {}))
            seconds.append(time.perf_counter() - begun)
            peaks.append(_peak_beyond(resting))
            size = sum(file.stat().st_size for file in (Path(folder) / str(step)).iterdir())
            checkpoint.keep_newest(Path(folder), 1)
            del state
        begun = time.perf_counter()
        saved = checkpoint.load_newest(Path(folder))
        assert saved is not None
        replay.restore(checkpoint.matched(replay.layout(), saved.arrays), replay.totals)
        jax.block_until_ready(replay._state)
        restored = time.perf_counter() - begun
    return {
        "bench": "snapshot",
        "game": "connect4",
        "rows": replay.capacity,
        "replay_bytes": bytes_held,
        "bytes_per_row": round(bytes_held / replay.capacity, 1),
        "batch_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(replay.sample(_BATCH))),
        "peak_bytes_beyond_ring": peak_of_turns,
        "peak_bytes_beyond_ring_in_snapshot": max((peak for peak in peaks if peak is not None), default=None),
        "snapshot_bytes": size,
        "pause_ms": [round(1e3 * pause, 1) for pause in pauses],
        "pause_ms_median": round(1e3 * statistics.median(pauses), 1),
        "write_s_median": round(statistics.median(seconds), 2),
        "restore_s": round(restored, 2),
        "device": str(jax.devices()[0].device_kind),
        "host": rows.host(),
    }


def _peak_beyond(resting: int | None) -> int | None:
    """Bytes of this process's peak beyond what it held at rest; None where the system does not tell."""
    peak = memory_bytes("VmHWM")
    return None if peak is None or resting is None else peak - resting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", metavar="N", help="positions; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--here", type=int, metavar="N", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        print(json.dumps(measure(args.here)))
        return
    found = []
    for num_rows in args.rows or [1_000_000, 10_000_000]:
        command = [sys.executable, "-m", "cartridge.bench.snapshot", "--here", str(num_rows)]
        found.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
        print(json.dumps({name: value for name, value in found[-1].items() if name != "host"}, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
