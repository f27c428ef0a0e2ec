"""Plays random Connect Four on an engine, with grpcio and stubs made from the contract: nothing of Cartridge's Python.

    cd docs/examples/plain-client && pip install grpcio grpcio-tools
    python -m grpc_tools.protoc -I../../../proto --python_out=. --grpc_python_out=. engine/v1/engine.proto
    cartridge serve engine &
    python play.py 127.0.0.1:50051
"""

import queue
import random
import sys
import time

import grpc
from engine.v1 import engine_pb2 as pb
from engine.v1 import engine_pb2_grpc

NUM_GAMES, NUM_ACTIONS, STEPS = 256, 7, 200
# For each set of legal actions, which a byte of the mask is in this game, the bytes of each of its actions as a u32.
CHOICES = [[a.to_bytes(4, "little") for a in range(NUM_ACTIONS) if mask >> a & 1] for mask in range(1 << NUM_ACTIONS)]


def main(address: str) -> None:
    """Leases games, plays them and counts those that end."""
    engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))
    connect4 = pb.EngineId(env_id="connect4")
    asked = pb.AcquireRequest(id=connect4, num_games=NUM_GAMES, seed=1, outputs=["mask:bits7:v1"])
    lease = engine.Acquire(asked)
    requests: queue.SimpleQueue[pb.SliceRequest | None] = queue.SimpleQueue()
    replies = engine.StepStream(iter(requests.get, None))
    masks, ended, illegal = lease.first.tensors[0], 0, 0
    began = time.perf_counter()
    for sequence in range(1, STEPS + 1):
        actions = b"".join(random.choice(CHOICES[mask]) for mask in masks)
        requests.put(pb.SliceRequest(lease_id=lease.lease_id, sequence=sequence, actions=actions))
        reply = next(replies)
        if reply.HasField("error"):
            raise SystemExit(f"step {sequence} was refused: {reply.error.message}")
        masks = reply.tensors[0]
        ended += sum(1 for end in reply.ends if end)
        illegal += sum(1 for end in reply.ends if end & 4)
    seconds = time.perf_counter() - began
    requests.put(None)
    engine.Release(pb.ReleaseRequest(lease_id=lease.lease_id))
    moves = NUM_GAMES * STEPS
    print(f"{moves} moves, {ended} games over, {illegal} illegal, {moves / seconds:,.0f} moves/s")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
