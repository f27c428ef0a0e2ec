"""From the learner's tensors to bytes an actor can trust: safetensors and the manifest that vouches for them."""

import hashlib
from collections.abc import Mapping
from typing import Any

import safetensors.torch
from torch import Tensor

from ..engine.spec import GameSpec, NetworkSpec, WeightsManifest


def export(
    tensors: Mapping[str, Tensor],
    *,
    version: int,
    learner_step: int,
    game: GameSpec,
    network: NetworkSpec,
    seed: int,
    config_hash: str,
    created_at: str,
) -> tuple[bytes, WeightsManifest]:
    """Serialises named tensors, [in, out] kernels, and describes them.

    Every tensor is cloned first: the optimiser goes on changing the originals in place.
    """
    copies = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    data = safetensors.torch.save(copies)
    manifest = WeightsManifest(
        version=version,
        learner_step=learner_step,
        env_id=game.env_id,
        spec_fingerprint=game.fingerprint(),
        network=network,
        tensors={name: _describe(tensor) for name, tensor in copies.items()},
        sha256=hashlib.sha256(data).hexdigest(),
        created_at=created_at,
        config_hash=config_hash,
        seed=seed,
    )
    return data, manifest


def _describe(tensor: Tensor) -> dict[str, Any]:
    return {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
