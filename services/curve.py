"""A run's strength over time as an SVG picture, readable in light and dark."""

from collections.abc import Mapping, Sequence
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 360, 56, 44, 40, 150
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
    top = max((y for line in points.values() for _, y in line), default=1.0) * 1.1 or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img">{_STYLE}<text x="{_LEFT}" y="22">{title}: moves that give away value, % of solved positions</text>'
    ]
    parts += _grid(last, top)
    for kind, label in (("raw", "network alone"), ("search", "with search")):
        parts += _line(points[kind], last, top, kind, label)
    return "".join(parts) + "</svg>"


def _line(points: Sequence[tuple[float, float]], last: float, top: float, kind: str, label: str) -> list[str]:
    if not points:
        return []
    places = [_place(x, y, last, top) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    x, y = places[-1]
    return [
        f'<polyline class="line {kind}" points="{path}"/>',
        *(f'<circle class="line {kind}" cx="{cx:.1f}" cy="{cy:.1f}" r="3"/>' for cx, cy in places),
        f'<text x="{x + 8:.1f}" y="{y + 4:.1f}">{label} {points[-1][1]:.1f} %</text>',
    ]


def _grid(last: float, top: float) -> list[str]:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _place(share * last, share * top, last, top)
        floor = _HEIGHT - _BOTTOM
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share * top:.1f}</text>')
        parts.append(f'<text x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{share * last:.1f}</text>')
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
