"""Games whose states the client keeps: the same as anywhere, in any server, for the first clients too."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import cartridge
import numpy as np
import pytest
from cartridge.client import Engine
from cartridge.proto.engine.v1 import engine_pb2 as pb
from cartridge.proto.engine.v1 import engine_pb2_grpc

CLIENT = Path(__file__).with_name("first_client.py")
CONTRACT = Path(__file__).with_name("first_contract.proto")


@pytest.mark.parametrize("env_id", ["connect4", "kuhn_poker", "asterix", "hex:swap=1"])
def test_states_go_to_and_fro(engine: Engine, env_id: str) -> None:
    """Game 0 of a seed, beside a local one. Chance is in the state, so each step could go to another server."""
    spec = cartridge.make_game(env_id).spec
    begun = engine.reset(env_id, [11], trusted=True)
    env = cartridge.make(env_id, 1, 11, autoreset="disabled", output="numpy")
    seen, states, random = env.reset(), begun.states, np.random.default_rng(0)
    np.testing.assert_array_equal(np.frombuffer(begun.observations, "<f4"), seen.observation.ravel())
    for _ in range(30):
        legal = np.flatnonzero(seen.legal_actions[0])
        action = int(random.choice(legal)) if legal.size else 0
        after = engine.step(env_id, states, [action], trusted=True)
        seen, states = env.step([action]), after.states
        assert len(states) == spec.state_bytes
        np.testing.assert_array_equal(np.frombuffer(after.observations, "<f4"), seen.observation.ravel())
        np.testing.assert_array_equal(np.frombuffer(after.rewards, "<f4"), seen.reward[0])
        assert after.masks == np.packbits(seen.legal_actions[0], bitorder="little").tobytes()
        assert after.ends[0] == seen.terminated[0] + 2 * seen.truncated[0] + 4 * seen.illegal[0]


def test_many_at_once_are_each_what_they_are_alone(engine: Engine) -> None:
    """Of every number that is padded in another way."""
    seeds = list(range(2**63, 2**63 + 70))
    alone = [engine.reset("2048", [seed]) for seed in seeds]
    moved = [engine.step("2048", one.states, [index % 4]) for index, one in enumerate(alone)]
    for count in (1, 3, 16, 70):
        together = engine.reset("2048", seeds[:count])
        assert together.states == b"".join(one.states for one in alone[:count])
        after = engine.step("2048", together.states, np.arange(count) % 4)
        for field in ("states", "observations", "masks", "rewards", "ends"):
            assert getattr(after, field) == b"".join(getattr(one, field) for one in moved[:count])
    assert len({one.states for one in alone}) > 30  # seeds count


def test_a_lease_begins_as_a_seed_does(engine: Engine) -> None:
    with engine.acquire("2048", 1, seed=77, outputs=("state",)) as lease:
        assert lease.first.state.tobytes() == engine.reset("2048", [77]).states


def test_one_step_tells_the_movers_reward_and_whose_turn_it_is(engine: Engine) -> None:
    stub: Any = engine_pb2_grpc.EngineStub(engine.channel)
    game = pb.EngineId(env_id="tictactoe")
    state, infos = stub.Reset(pb.ResetRequest(id=game)).state, []
    for action in (0, 3, 1, 4):
        step = stub.Step(pb.StepRequest(id=game, state=state, action=action.to_bytes(4, "little")))
        state = step.state
        infos.append(step.info)
        assert not step.done
    assert infos == [0b111111110 | 1 << 16, 0b111110110, 0b111110100 | 1 << 16, 0b111100100]
    won = stub.Step(pb.StepRequest(id=game, state=state, action=(2).to_bytes(4, "little")))
    assert (won.done, won.reward) == (True, 1.0)
    illegal = stub.Step(pb.StepRequest(id=game, state=state, action=(0).to_bytes(4, "little")))
    assert (illegal.done, illegal.reward) == (True, -1.0)
    over = stub.Step(pb.StepRequest(id=game, state=won.state, action=(5).to_bytes(4, "little")))
    assert (over.state, over.done, over.reward) == (won.state, True, 0.0)


def test_capabilities_tell_what_a_client_needs(engine: Engine) -> None:
    found = {one.id.env_id: one for one in engine.games()}
    assert set(found) == set(cartridge.list_games())
    spec = cartridge.make_game("leduc_poker").spec
    leduc = found["leduc_poker"]
    assert leduc == engine.capabilities("leduc_poker")
    assert (leduc.discrete_n, leduc.num_players, leduc.state_bytes) == (3, 2, spec.state_bytes)
    assert (leduc.stochastic, leduc.hidden_information) == (True, True)
    assert leduc.spec_fingerprint == spec.fingerprint()
    assert (leduc.enc.state, leduc.enc.action, leduc.enc.obs) == (
        "state:packed_u32:v1",
        "action:discrete:v1",
        "obs:f32x30:v1",
    )


def test_options_come_in_the_id_or_as_the_hint(engine: Engine) -> None:
    plain, swapping = engine.capabilities("hex"), engine.capabilities("hex:swap=1")
    assert plain.id.build_id != swapping.id.build_id
    stub: Any = engine_pb2_grpc.EngineStub(engine.channel)
    game = pb.EngineId(env_id="hex", build_id=swapping.id.build_id)
    begun = stub.Reset(pb.ResetRequest(id=game, hint=b"swap=1"))
    assert len(begun.state) == swapping.state_bytes


def test_the_first_clients_work_unchanged(server: str, tmp_path: Path) -> None:
    """A program in a process of its own, with stubs generated from the first contract alone, plays whole games."""
    line = [sys.executable, "-m", "grpc_tools.protoc", f"-I{CONTRACT.parent}", str(CONTRACT)]
    outputs = [f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    subprocess.run([*line, *outputs], check=True, timeout=60)
    done = subprocess.run(
        [sys.executable, str(CLIENT), server], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "20 games played to their ends"
