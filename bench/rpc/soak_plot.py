"""A server's memory and its games in use over time, as an SVG with two panels on one axis of minutes."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...services.curve import ticks

_WIDTH, _PANEL, _LEFT, _RIGHT, _GAP, _FOOT = 740, 150, 64, 20, 40, 44
_STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:14px;font-weight:600}.grid{stroke:#dde2e8}"
    ".line{fill:none;stroke:#0072b2;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#d7dce3}.grid{stroke:#343b45}}</style>"
)
_PANELS = (("rss_mib", "memory of the server, MiB"), ("games_taken", "games that are leased"))


def soak_svg(samples: Sequence[Mapping[str, Any]]) -> str:
    """The picture; `ValueError` without samples."""
    if not samples:
        raise ValueError("there are no samples to draw")
    height = len(_PANELS) * (_PANEL + _GAP) + _FOOT
    minutes = [sample["seconds"] / 60 for sample in samples]
    last = max(*minutes, 0.1)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">{_STYLE}']
    for number, (name, title) in enumerate(_PANELS):
        foot = (number + 1) * (_PANEL + _GAP)
        parts.append(f'<text class="title" x="8" y="{foot - _PANEL - 14}">{title}</text>')
        parts += _panel(minutes, [sample[name] for sample in samples], last, foot)
    foot = len(_PANELS) * (_PANEL + _GAP)
    parts += [
        f'<text x="{_across(value, last):.1f}" y="{foot + 18}" text-anchor="middle">{value:g}</text>'
        for value in ticks(last)
    ]
    parts.append(f'<text x="{_WIDTH / 2}" y="{foot + 36}" text-anchor="middle">minutes</text></svg>')
    return "\n".join(parts) + "\n"


def _panel(minutes: Sequence[float], values: Sequence[float], last: float, foot: float) -> list[str]:
    highest = max(*values, 1.0)
    top = highest * 1.05
    parts = []
    for value in ticks(highest):
        y = foot - value / top * _PANEL
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    places = zip(minutes, values, strict=True)
    path = " ".join(f"{_across(x, last):.1f},{foot - y / top * _PANEL:.1f}" for x, y in places)
    return [*parts, f'<polyline class="line" points="{path}"/>']


def _across(minute: float, last: float) -> float:
    return _LEFT + minute / last * (_WIDTH - _LEFT - _RIGHT)
