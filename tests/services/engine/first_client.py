"""A client of the first contract: it knows three calls, their bytes, and nothing of this package.

Plays random tic-tac-toe and checks each result by its own rules. Usage: first_client.py ADDRESS
"""

import importlib
import random
import struct
import sys
from typing import Any

import grpc

sys.path.insert(0, ".")  # where the stubs were generated

pb: Any = importlib.import_module("first_contract_pb2")
first_contract_pb2_grpc: Any = importlib.import_module("first_contract_pb2_grpc")

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


def main(address: str) -> None:
    """Plays twenty games."""
    engine = first_contract_pb2_grpc.EngineStub(grpc.insecure_channel(address))
    game = pb.EngineId(env_id="tictactoe")
    capabilities = engine.GetCapabilities(game)
    assert capabilities.WhichOneof("action_space") == "discrete_n"
    assert capabilities.discrete_n == 9
    assert capabilities.enc.action == "action:discrete:v1"
    for seed in range(20):
        play(engine, capabilities.id, random.Random(seed), seed)
    print("20 games played to their ends")


def play(engine, game, source: random.Random, seed: int) -> None:
    """One game, with the build of the capabilities."""
    state = engine.Reset(pb.ResetRequest(id=game, seed=seed)).state
    marks: list[int | None] = [None] * 9
    mover, legal = 0, list(range(9))
    while True:
        action = source.choice(legal)
        step = engine.Step(pb.StepRequest(id=game, state=state, action=struct.pack("<I", action)))
        state, marks[action] = step.state, mover
        won = any(all(marks[cell] == mover for cell in line) for line in LINES)
        assert step.done == (won or None not in marks)
        assert step.reward == (1.0 if won else 0.0)
        assert len(step.obs) == 4 * 18
        if step.done:
            return
        mover = 1 - mover
        legal = [cell for cell in range(9) if step.info >> cell & 1]
        assert legal == [cell for cell in range(9) if marks[cell] is None]
        assert step.info >> 16 & 15 == mover


if __name__ == "__main__":
    main(sys.argv[1])
