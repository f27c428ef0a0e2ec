"""A run's strength over time as an SVG picture, readable in light and dark."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 360, 56, 44, 40, 150
_LINE_HEIGHT = 16
_STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#333}.axis{stroke:#888}.grid{stroke:#ddd}"
    ".raw{stroke:#0072b2}.search{stroke:#d55e00}.line{fill:none;stroke-width:2.5}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#3a3f47}.axis{stroke:#777}}</style>"
)


def strength_svg(history: Sequence[Mapping[str, Any]], title: str) -> str:
    """Mean error (%) over training minutes, for the network alone and with search."""
    points = {
        kind: [(record["seconds"] / 60, record[kind]["mean"]["error"]) for record in history if kind in record]
        for kind in ("raw", "search")
    }
    last = max((x for line in points.values() for x, _ in line), default=1.0) or 1.0
    highest = max((y for line in points.values() for _, y in line), default=1.0) or 1.0
    top = ticks(highest)[-1]
    top = top if top >= highest else top + ticks(highest)[1]  # the highest point lies below a line of the grid
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img">{_STYLE}<text x="{_LEFT}" y="22">{title}: moves that give away value, % of solved positions</text>'
    ]
    parts += _grid(last, top)
    label_floor = _HEIGHT  # below which the next label must stay clear of the last
    for kind, label in (("search", "with search"), ("raw", "network alone")):
        if points[kind]:
            parts += _line(points[kind], last, top, kind)
            x, y = _place(*points[kind][-1], last, top)
            label_floor = min(y + 4, label_floor - _LINE_HEIGHT)
            parts.append(f'<text x="{x + 8:.1f}" y="{label_floor:.1f}">{label} {points[kind][-1][1]:.1f} %</text>')
    return "".join(parts) + "</svg>"


def ticks(highest: float, most: int = 5) -> list[float]:
    """Round numbers from 0 up to `highest`, at most `most` steps of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(highest / most))
    step = next(factor * power for factor in (1, 2, 5, 10) if highest / (factor * power) <= most)
    return [step * number for number in range(math.floor(highest / step + 1e-9) + 1)]


def _line(points: Sequence[tuple[float, float]], last: float, top: float, kind: str) -> list[str]:
    places = [_place(x, y, last, top) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return [
        f'<polyline class="line {kind}" points="{path}"/>',
        *(f'<circle class="line {kind}" cx="{cx:.1f}" cy="{cy:.1f}" r="3"/>' for cx, cy in places),
    ]


def _grid(last: float, top: float) -> list[str]:
    parts = []
    for value in ticks(top):
        _, y = _place(0.0, value, last, top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks(last):
        x, y = _place(value, 0.0, last, top)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{value:g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">minutes of training</text>')
    parts.append(
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_HEIGHT - _BOTTOM}" y2="{_HEIGHT - _BOTTOM}"/>'
    )
    return parts


def _place(x: float, y: float, last: float, top: float) -> tuple[float, float]:
    """Pixels of a point, the origin at the lower left."""
    across = _LEFT + x / last * (_WIDTH - _LEFT - _RIGHT)
    return across, _HEIGHT - _BOTTOM - y / top * (_HEIGHT - _TOP - _BOTTOM)
