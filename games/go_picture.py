"""The picture of a Go board."""

from collections.abc import Sequence

COLUMN_NAMES = "ABCDEFGHJKLMNOPQRST"  # no I
_CELL = 40
_STYLE = (
    "<style>.board{fill:#eef1f5}.line{stroke:#8d97a5;fill:none}.star{fill:#8d97a5}.p0{fill:#1d222a;stroke:#8d97a5}"
    ".p1{fill:#fff;stroke:#3b4350}.ring{fill:none;stroke:#8d97a5;stroke-width:2}.hit{fill:transparent;cursor:pointer}"
    ".word{fill:#3b4350;font:14px sans-serif;text-anchor:middle}"
    "@media(prefers-color-scheme:dark){.board{fill:#262b33}.line{stroke:#6b7584}.star{fill:#6b7584}.p0{fill:#0b0d10}"
    ".p1{fill:#e6eaf0}.word{fill:#c3cad4}}</style>"
)


def board_svg(owners: Sequence[Sequence[int]]) -> str:
    """Stones on the crossings of lines; Black has a ring. A bar below the board passes."""
    size = len(owners)
    side, bar = (size + 1) * _CELL, 32
    first, last = _CELL, size * _CELL
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side + bar}" width="{side}" '
        f'height="{side + bar}" role="img">{_STYLE}<rect class="board" width="{side}" height="{side + bar}" rx="8"/>'
    ]
    for index in range(size):
        at = first + index * _CELL
        parts.append(f'<path class="line" d="M{first} {at}H{last}M{at} {first}V{last}"/>')
        parts.append(f'<text class="word" x="{at}" y="{side - 6}">{COLUMN_NAMES[index]}</text>')
        parts.append(f'<text class="word" x="12" y="{at + 5}">{size - index}</text>')
    stars = (3, 9, 15) if size == 19 else (2, 4, 6)
    corners = [(y, x) for y in stars for x in stars if size == 19 or (y == 4) == (x == 4)]
    parts += [f'<circle class="star" cx="{first + x * _CELL}" cy="{first + y * _CELL}" r="4"/>' for y, x in corners]
    for row, line in enumerate(owners):
        for column, owner in enumerate(line):
            x, y = first + column * _CELL, first + row * _CELL
            if owner >= 0:
                parts.append(f'<circle class="p{owner}" cx="{x}" cy="{y}" r="18"/>')
            if owner == 0:
                parts.append(f'<circle class="ring" cx="{x}" cy="{y}" r="9"/>')
            at = f'x="{x - _CELL // 2}" y="{y - _CELL // 2}" width="{_CELL}" height="{_CELL}"'
            parts.append(f'<rect class="hit" data-action="{row * size + column}" {at}/>')
    parts.append(f'<text class="word" x="{side // 2}" y="{side + 18}">pass</text>')
    parts.append(f'<rect class="hit" data-action="{size * size}" y="{side}" width="{side}" height="{bar}"/>')
    return "".join(parts) + "</svg>"
