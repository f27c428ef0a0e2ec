"""The curve's axes are round and its labels legible."""

import itertools
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from cartridge.services.curve import strength_svg, ticks


def record(seconds: float, raw: float, search: float) -> dict[str, Any]:
    return {"seconds": seconds, "raw": {"mean": {"error": raw}}, "search": {"mean": {"error": search}}}


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (15.2, [0, 5, 10, 15]),
        (20.0, [0, 5, 10, 15, 20]),
        (1.25, [0, 0.5, 1.0]),
        (0.9, [0, 0.2, 0.4, 0.6, 0.8]),
        (100, [0, 20, 40, 60, 80, 100]),
    ],
)
def test_ticks_are_round(highest: float, expected: list[float]) -> None:
    assert ticks(highest) == pytest.approx(expected)


@pytest.mark.parametrize(
    "history", [[], [record(75, 0, 0)], [record(60, 12, 3), record(120, 5, 4.9)], [record(60, 0.004, 0)]]
)
def test_labels_do_not_lie_on_each_other_and_nothing_leaves_the_picture(history: list[Any]) -> None:
    root = ElementTree.fromstring(strength_svg(history, "connect4"))
    labels = [float(text.get("y", "0")) for text in root.iter() if (text.text or "").startswith(("network", "with"))]
    assert len(labels) == (2 if history else 0)
    assert all(a - b >= 16 for a, b in itertools.pairwise(labels))
    marks = [element for element in root if element.tag.endswith("circle")]
    assert all(40 <= float(mark.get("cy", "0")) <= 316.1 for mark in marks)
