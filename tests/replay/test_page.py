"""The page about replay: its example runs as it stands."""

import pathlib
import re

import torch


def test_the_example_runs() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "replay.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found
    names: dict[str, object] = {}
    exec(found[1].replace("    ...  ", "    break"), names)  # the loop has no end
    batch = names["batch"]
    assert isinstance(batch, dict)
    assert batch["observation"].shape == (256, 84)
    assert isinstance(batch["reward"], torch.Tensor)
