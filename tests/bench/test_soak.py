"""The soak of the engine's server: what it makes of its samples, and a real one of a few seconds."""

import xml.etree.ElementTree as ET

import pytest
from cartridge.bench.rpc import soak
from cartridge.bench.rpc.soak_plot import soak_svg


def samples(slope: float) -> list[dict[str, float]]:
    """Ten seconds apart, for an hour, growing by `slope` MiB an hour."""
    return [{"seconds": s, "rss_mib": 300 + slope * s / 3600, "games_taken": s % 7} for s in range(0, 3600, 10)]


def test_growth_is_told_in_mib_an_hour() -> None:
    assert soak.memory(samples(36.0))["growth_mib_per_hour"] == 36.0
    flat = soak.memory(samples(0.0))
    assert flat == {"settled_mib": 300.0, "last_mib": 300.0, "growth_mib_per_hour": 0.0}


def test_the_picture_has_a_line_for_memory_and_one_for_games() -> None:
    picture = ET.fromstring(soak_svg(samples(36.0)))
    lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [360, 360]
    with pytest.raises(ValueError, match="no samples"):
        soak_svg([])


@pytest.mark.long
def test_a_short_soak_ends_with_all_games_free() -> None:
    found = soak.soak(minutes=0.4, clients=3, every=1.0)
    assert found["errors"] == []
    assert found["games_taken_at_end"] == 0
    assert found["counts"]["leases"] > 0
    assert found["samples"]
