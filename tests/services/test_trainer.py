"""The trainer's schedule: reproducible from its seed, the same with and without overlap, exactly resumable."""

import pytest
import torch
from cartridge import make_game
from cartridge.engine.border import BorderError
from cartridge.learner.learner import Batch
from cartridge.services import checkpoint, config
from cartridge.services.trainer import Metrics, Trainer


def build(settings, game: str = "tictactoe", **run) -> Trainer:
    overrides = {**settings, "run": {**settings["run"], **run}}
    return Trainer(make_game(game), config.build(game, "alphazero", overrides), created_at="now")


def finish(trainer: Trainer) -> list[Metrics]:
    return list(trainer.iterations())


@pytest.mark.parametrize("game", ["tictactoe", pytest.param("connect4", marks=pytest.mark.long)])
def test_a_seed_gives_one_result_with_and_without_overlap(tiny_settings, game: str) -> None:
    hashes = []
    for overlap in ("off", "on", "off"):
        trainer = build(tiny_settings, game, overlap=overlap)
        finish(trainer)
        hashes.append(trainer.manifest.sha256)
    assert len(set(hashes)) == 1


def test_another_seed_gives_another(tiny_settings) -> None:
    hashes = set()
    for seed in (0, 1):
        trainer = build(tiny_settings, seed=seed)
        finish(trainer)
        hashes.add(trainer.manifest.sha256)
    assert len(hashes) == 2


def test_resume_continues_exactly(tiny_settings, tmp_path) -> None:
    whole = build(tiny_settings, updates=24)
    finish(whole)

    half = build(tiny_settings, updates=24)
    for metrics in half.iterations():
        if metrics["progress"] >= 0.5:
            break
    checkpoint.save(tmp_path, half.snapshot())
    saved = checkpoint.load_newest(tmp_path)
    assert saved is not None
    resumed = build(tiny_settings, updates=24)
    resumed.restore(saved)
    assert resumed.version == half.version
    finish(resumed)
    assert resumed.manifest.sha256 == whole.manifest.sha256
    assert resumed.counters.moves == whole.counters.moves


def test_metrics_tell_the_schedule(tiny_settings) -> None:
    records = finish(build(tiny_settings))
    learned = [record for record in records if "loss_policy" in record]
    assert learned
    assert all(record["weights_lag"] == 1 for record in records)
    ratio = tiny_settings["replay"]["samples_per_move"]
    rows = 16 * 8 * (len(records) - 2)  # the first unroll emits nothing, the last one's rows are not read any more
    assert learned[-1]["updates"] == (rows - tiny_settings["replay"]["min_rows"]) * ratio // 64
    assert learned[-1]["replay_ratio"] <= ratio
    for name in ("seconds_sample", "seconds_selfplay", "seconds_learn", "sample_age", "gradient_norm", "learning_rate"):
        assert name in learned[-1]


def test_a_learner_that_writes_into_a_lent_batch_is_found_out_when_asked_for(tiny_settings) -> None:
    finish(build(tiny_settings, check_border="on"))  # the real learner does not
    trainer = build(tiny_settings, check_border="on")
    honest = trainer.learner.update

    def careless(batch: Batch, progress: float) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        batch.observation.zero_()
        return honest(batch, progress)

    trainer.learner.update = careless
    with pytest.raises(BorderError, match=r"torch wrote into .*observation"):
        finish(trainer)


def test_nothing_is_learned_from_the_empty_window(tiny_settings) -> None:
    """The first unroll emits `selfplay.begin`'s zeros, which must not enter the ring."""
    trainer = build(tiny_settings)
    iterations = trainer.iterations()
    assert next(iterations)["replay_fill"] == 0
    assert next(iterations)["replay_fill"] == pytest.approx(16 * 8 / 1024)
    state, _ = trainer.replay.snapshot()
    assert state.ring.storage.policy[: 16 * 8].sum(axis=1) == pytest.approx(1.0, abs=1e-4)
