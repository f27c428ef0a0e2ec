"""What the arcade games share: a picture of coloured cells with a button for each action, and its twin in characters.

The games on a grid of ten by ten follow MinAtar (Young and Tian, "MinAtar: an Atari-inspired testbed", 2019) in the
rules of gymnax 1.0.1, beside which they are tested. As there, no action is sticky, every action is always legal, and
difficulty rises where the game has it.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jax import Array

SIDE = 10
CELLS = SIDE * SIDE


@dataclasses.dataclass(frozen=True)
class Thing:
    """What may stand on a cell: `mark` is its one character in a terminal, `colour` shows on white and on black."""

    name: str
    mark: str
    colour: str


Cells = Sequence[Sequence[Thing | None]]  # rows from the top; None where a cell is empty

# Colours that most readers tell apart: Okabe and Ito, "Color universal design", 2008, and a grey.
ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE, GREY = (
    "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7", "#8a94a3"
)  # fmt: skip


def places(channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row, column, channel) of each element of an observation [10, 10, channels] that lies flat, u32[100 * channels].

    An observation is worked out flat and shaped in the end: XLA makes vector instructions of a loop over one axis, and
    not of one that counts along three.
    """
    cell, channel = np.divmod(np.arange(CELLS * channels, dtype=np.uint32), np.uint32(channels))
    return cell // SIDE, cell % SIDE, channel


def cells_of(planes: Array, things: Mapping[int, Thing]) -> list[list[Thing | None]]:
    """The cells of an observation f32[rows, columns, channels]; of several things on a cell the first named is seen.

    `things` says what a channel shows; a channel that it leaves out is not drawn.
    """
    seen = np.asarray(planes) != 0
    rows, columns = seen.shape[:2]
    cells: list[list[Thing | None]] = [[None] * columns for _ in range(rows)]
    for channel, thing in reversed(list(things.items())):
        for row, column in np.argwhere(seen[:, :, channel]):
            cells[row][column] = thing
    return cells


def picture(cells: Cells, labels: Sequence[str], caption: str = "") -> str:
    """An SVG of the cells, a line of `caption` where there is one, and a button for each action by its label."""
    width, height = len(cells[0]) * _CELL, len(cells) * _CELL
    line = _BAR if caption else 0
    whole = height + line + _BAR
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}" width="{width}" height="{whole}" '
        f'role="img">{_STYLE}<rect class="field" width="{width}" height="{height}"/>'
    ]
    for row, things in enumerate(cells):
        for column, thing in enumerate(things):
            parts.append(_cell(column * _CELL, row * _CELL, thing))
    if caption:
        parts.append(f'<text class="word" x="{width // 2}" y="{height + 21}">{caption}</text>')
    share = width / len(labels)
    parts += [_button(action, label, action * share, height + line, share) for action, label in enumerate(labels)]
    return "".join(parts) + "</svg>"


def characters(cells: Cells, caption: str = "") -> str:
    """The cells in characters, a dot where one is empty."""
    lines = [" ".join(thing.mark if thing else "." for thing in row) for row in cells]
    return "\n".join([*lines, caption] if caption else lines)


_CELL, _BAR = 36, 32
_STYLE = (
    "<style>.field{fill:#fff}.space{fill:none;stroke:#e3e7ed}.button{fill:#eef1f5;stroke:#c5ccd6}"
    ".mark{font:bold 15px monospace;text-anchor:middle;fill:#fff}"
    ".word{font:14px system-ui,sans-serif;text-anchor:middle;fill:#3b4350}"
    ".hit{fill:transparent;cursor:pointer}@media(prefers-color-scheme:dark){.field{fill:#12151a}.space{stroke:#262b33}"
    ".word{fill:#c3cad4}.button{fill:#262b33;stroke:#444c58}.mark{fill:#12151a}}</style>"
)


def _cell(x: int, y: int, thing: Thing | None) -> str:
    """A coloured square with its mark, so that colour is not all that tells things apart."""
    space = f'<rect class="space" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}"/>'
    if thing is None:
        return space
    inner = _CELL - 4
    square = f'<rect fill="{thing.colour}" x="{x + 2}" y="{y + 2}" width="{inner}" height="{inner}" rx="4">'
    mark = f'<text class="mark" x="{x + _CELL // 2}" y="{y + _CELL // 2 + 5}">{thing.mark}</text>'
    return f"{space}{square}<title>{thing.name}</title></rect>{mark}"


def _button(action: int, label: str, x: float, y: int, width: float) -> str:
    place = f'x="{x + 1:g}" y="{y + 2}" width="{width - 2:g}" height="{_BAR - 4}" rx="4"'
    word = f'<text class="word" x="{x + width / 2:g}" y="{y + 21}">{label}</text>'
    return f'<rect class="button" {place}/>{word}<rect class="hit" data-action="{action}" {place}/>'
