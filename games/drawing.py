"""Pictures of boards: plain SVG that follows the reader's light or dark preference, and characters for a terminal."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jax import Array

Marks = Literal["discs", "stones", "xo"]  # discs in holes, discs on squares, crosses and noughts on squares

_CELL = 48
_BAR = 32  # height of the bar to pass
_STYLE = (
    "<style>.board{fill:#eef1f5}.hole{fill:#fff;stroke:#c5ccd6}.p0{fill:#d55e00;stroke:#d55e00}"
    ".p1{fill:#0072b2;stroke:#0072b2}.x{fill:none;stroke-width:5}.hit{fill:transparent;cursor:pointer}"
    ".word{fill:#3b4350;font:14px sans-serif;text-anchor:middle}"
    "@media(prefers-color-scheme:dark){.board{fill:#262b33}.hole{fill:#12151a;stroke:#444c58}.word{fill:#c3cad4}}</style>"
)


def cells_of(planes: Array) -> list[list[int]]:
    """Rows of -1 (empty), 0 or 1 from f32[rows, columns, 2] planes of player 0's and player 1's pieces."""
    first, second = np.moveaxis(np.asarray(planes) > 0, -1, 0)
    return np.where(first, 0, np.where(second, 1, -1)).tolist()


def board_svg(
    cells: Sequence[Sequence[int]],
    *,
    marks: Marks,
    columns_clickable: bool,
    pass_action: int | None = None,
    names: Sequence[Sequence[str]] | None = None,
) -> str:
    """An SVG of a grid of pieces.

    Every action has one clickable rectangle with `data-action`: a whole column, or each cell in row-major order, and
    a bar below the board for `pass_action` where there is one. With `names` of cells a move takes two clicks: each cell
    has its name as `data-from` and as `data-to`, and one name after the other is what `parse_action` reads. The two
    players differ in shape or in a ring as well as in colour, for readers who do not tell the colours apart.
    """
    rows, columns = len(cells), len(cells[0])
    width, height = columns * _CELL, rows * _CELL
    whole = height + (0 if pass_action is None else _BAR)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}" width="{width}" height="{whole}" '
        f'role="img">{_STYLE}<rect class="board" width="{width}" height="{whole}" rx="8"/>'
    ]
    for row, line in enumerate(cells):
        for column, owner in enumerate(line):
            parts.append(_piece(column * _CELL + _CELL // 2, row * _CELL + _CELL // 2, owner, marks))
    if columns_clickable:
        parts += [_target(f'data-action="{column}"', column * _CELL, 0, height) for column in range(columns)]
    else:
        parts += [
            _target(_purpose(row * columns + column, name), column * _CELL, row * _CELL, _CELL)
            for row, line in enumerate(names or [[None] * columns] * rows)
            for column, name in enumerate(line)
        ]
    if pass_action is not None:
        parts.append(f'<text class="word" x="{width // 2}" y="{height + 21}">pass</text>')
        parts.append(f'<rect class="hit" data-action="{pass_action}" y="{height}" width="{width}" height="{_BAR}"/>')
    return "".join(parts) + "</svg>"


def board_text(cells: Sequence[Sequence[int]], marks: str, *, footer: str, numbered: bool) -> str:
    """The grid in characters: `marks[player]`, a dot where empty, row numbers counted from the bottom if wanted."""
    lines = []
    for row, line in enumerate(cells):
        label = f"{len(cells) - row} " if numbered else ""
        lines.append(label + " ".join("." if owner < 0 else marks[owner] for owner in line))
    return "\n".join([*lines, footer])


def _piece(x: int, y: int, owner: int, marks: Marks) -> str:
    radius = _CELL * 2 // 5
    corner = _CELL // 2 - 2
    cell = f'<rect class="hole" x="{x - corner}" y="{y - corner}" width="{2 * corner}" height="{2 * corner}" rx="4"/>'
    if marks != "xo":
        ring = f'<circle cx="{x}" cy="{y}" r="{radius // 2}" fill="none" stroke="#fff" stroke-width="3"/>'
        disc = f'<circle class="p{owner}" cx="{x}" cy="{y}" r="{radius}"/>' + (ring if owner == 1 else "")
        hole = f'<circle class="hole" cx="{x}" cy="{y}" r="{radius}"/>'
        if marks == "stones":
            return cell + (disc if owner >= 0 else "")
        return disc if owner >= 0 else hole
    reach = radius * 2 // 3
    if owner == 0:
        strokes = f"M{x - reach} {y - reach}L{x + reach} {y + reach}M{x + reach} {y - reach}L{x - reach} {y + reach}"
        return cell + f'<path class="p0 x" d="{strokes}"/>'
    return cell + (f'<circle class="p1 x" cx="{x}" cy="{y}" r="{reach}"/>' if owner == 1 else "")


def _purpose(action: int, name: str | None) -> str:
    return f'data-from="{name}" data-to="{name}"' if name else f'data-action="{action}"'


def _target(purpose: str, x: int, y: int, height: int) -> str:
    return f'<rect class="hit" {purpose} x="{x}" y="{y}" width="{_CELL}" height="{height}"/>'
