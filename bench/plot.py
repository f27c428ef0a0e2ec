"""Speed over size as an SVG, both axes logarithmic: one line for each implementation.

Plain text without a plotting library, in the colours of the board drawings; lines differ in dash and end in their name,
for readers who do not tell the colours apart, and follow the reader's light or dark preference.
"""

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from . import rows
from .replay.rows import ReplayRow
from .table import short

_WIDTH, _HEIGHT = 740, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 280, 36, 44
_LINES = (
    ("#d55e00", ""),
    ("#0072b2", "7 4"),
    ("#009e73", "2 4"),
    ("#cc79a7", "10 3 2 3"),
    ("#8a6d00", "4 2"),
    ("#56708a", "12 4"),
    ("#e69f00", "1 3"),
    ("#7b4fa3", "14 2"),
)
_STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:14px;font-weight:600}.grid{stroke:#dde2e8}"
    "@media(prefers-color-scheme:dark){text{fill:#d7dce3}.grid{stroke:#343b45}}</style>"
)
_LABEL_HEIGHT = 15
_Point = tuple[int, float]  # a size and what was measured there


def throughput_svg(results: Iterable[rows.Row], game: str, mode: str) -> str:
    """The picture of one game in one mode; `ValueError` where no row is of them."""
    chosen = [row for row in results if row.bench == "engine" and row.game == game and row.mode == mode]
    if not chosen:
        raise ValueError(f"no row is of {game} in mode {mode}; measure it with `cartridge bench engine --game {game}`")
    lines: dict[str, list[_Point]] = {}
    for row in sorted(chosen, key=lambda row: (not rows.is_ours(row), row.implementation, row.batch)):
        lines.setdefault(row.implementation, []).append((row.batch, row.rate))
    named = {f"{name} {short(max(rate for _, rate in points))}": points for name, points in lines.items()}
    title = f"{game}, {mode}: steps per second by number of games, {chosen[0].device}"
    return _picture(title, named, _Scale([*lines.values()], across="{:,}".format, up=short))


def replay_svg(results: Iterable[ReplayRow], mode: str) -> str:
    """The picture of one mode of `bench replay`, on the device of the first row; `ValueError` where no row is of it."""
    of_mode = [row for row in results if row.mode == mode]
    chosen = [row for row in of_mode if row.device == of_mode[0].device]
    if not chosen:
        raise ValueError(f"no row is of mode {mode}; measure it with `cartridge bench replay`")
    lines: dict[str, list[_Point]] = {}
    for row in sorted(chosen, key=lambda row: (row.package != rows.OURS, row.implementation, row.items)):
        lines.setdefault(row.implementation, []).append((row.items, row.ms))
    named = {f"{name} {points[-1][1]:.2g} ms": points for name, points in lines.items()}
    title = f"{mode}: milliseconds a call by number of items, {chosen[0].device}"
    return _picture(title, named, _Scale([*lines.values()], across=short, up="{:g}".format))


def _picture(title: str, lines: Mapping[str, Sequence[_Point]], scale: "_Scale") -> str:
    """A line for each label."""
    heights = _spread_labels([scale.place(points[-1])[1] for points in lines.values()])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{_STYLE}',
        f'<text class="title" x="8" y="20">{html.escape(title)}</text>',
        *scale.grid(),
        *(_line(label, of, scale, index, heights[index]) for index, (label, of) in enumerate(lines.items())),
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    """Where a point lies in the picture, both axes logarithmic: whole powers of ten up, the sizes there are across."""

    def __init__(
        self, lines: Sequence[Sequence[_Point]], across: Callable[[int], str], up: Callable[[float], str]
    ) -> None:
        """`across` and `up` write the numbers beside the axes."""
        self._across, self._up = across, up
        self._sizes = sorted({size for points in lines for size, _ in points})
        values = [value for points in lines for _, value in points]
        self._first, self._last = math.log2(self._sizes[0]), math.log2(self._sizes[-1])
        self._low = math.floor(math.log10(min(values)))
        self._high = max(math.ceil(math.log10(max(values))), self._low + 1)

    def place(self, point: _Point) -> tuple[float, float]:
        return self.x(point[0]), self.y(point[1])

    def x(self, size: int) -> float:
        across = (math.log2(size) - self._first) / max(self._last - self._first, 1e-9)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        up = (math.log10(value) - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self) -> list[str]:
        """The lines of whole powers of ten, with their labels, and the sizes along the foot."""
        right, foot = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        parts = []
        for power in range(self._low, self._high + 1):
            y = self.y(10.0**power)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{self._up(10.0**power)}</text>')
        return parts + [
            f'<text x="{self.x(size):.1f}" y="{foot + 18}" text-anchor="middle">{self._across(size)}</text>'
            for size in self._sizes
        ]


def _line(label: str, of: Sequence[_Point], scale: _Scale, index: int, label_y: float) -> str:
    """The points of one implementation joined, its label at the right end."""
    colour, dash = _LINES[index % len(_LINES)]
    points = [scale.place(point) for point in of]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>{dots}'
        f'<text x="{points[-1][0] + 10:.1f}" y="{label_y + 4:.1f}" style="fill:{colour}">{html.escape(label)}</text>'
    )


def _spread_labels(heights: Sequence[float]) -> list[float]:
    """The heights moved down where two labels would overlap, in the order of the lines."""
    placed = list(heights)
    lowest = -math.inf
    for index in sorted(range(len(heights)), key=lambda index: heights[index]):
        placed[index] = max(heights[index], lowest + _LABEL_HEIGHT)
        lowest = placed[index]
    return placed
