"""Pictures of a small card table: what each player holds, what lies open, and a button for every move."""

from collections.abc import Sequence

_CARD_WIDTH, _CARD_HEIGHT, _GAP, _BUTTON_HEIGHT = 60, 84, 16, 32
_STYLE = (
    "<style>.table{fill:#eef1f5}.card{fill:#fff;stroke:#c5ccd6}.button{fill:#fff;stroke:#8a94a3;cursor:pointer}"
    "text{font:15px system-ui,sans-serif;fill:#333;text-anchor:middle}.face{font-size:26px}.p0{fill:#d55e00}"
    ".p1{fill:#0072b2}@media(prefers-color-scheme:dark){.table{fill:#262b33}.card,.button{fill:#12151a;stroke:#444c58}"
    "text{fill:#ddd}.p0{fill:#ff8a3d}.p1{fill:#5cb3ff}}</style>"
)


def table_svg(cards: Sequence[tuple[str, str, str]], note: str, buttons: Sequence[tuple[int, str]]) -> str:
    """An SVG of `cards`, each (whose, face, class), a line of text, and `buttons`, each (action, label)."""
    width = 340
    height = _CARD_HEIGHT + _BUTTON_HEIGHT + 6 * _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img">{_STYLE}<rect class="table" width="{width}" height="{height}" rx="8"/>'
    ]
    for index, (whose, face, kind) in enumerate(cards):
        middle = width * (2 * index + 1) // (2 * len(cards))
        parts.append(
            f'<text x="{middle}" y="{_GAP + 6}">{whose}</text><rect class="card" x="{middle - _CARD_WIDTH // 2}" '
            f'y="{2 * _GAP}" width="{_CARD_WIDTH}" height="{_CARD_HEIGHT}" rx="6"/>'
            f'<text class="face {kind}" x="{middle}" y="{2 * _GAP + _CARD_HEIGHT // 2 + 9}">{face}</text>'
        )
    parts.append(f'<text x="{width // 2}" y="{_CARD_HEIGHT + 3 * _GAP + 6}">{note}</text>')
    top = _CARD_HEIGHT + 4 * _GAP
    for index, (action, label) in enumerate(buttons):
        middle = width * (2 * index + 1) // (2 * len(buttons))
        parts.append(
            f'<g data-action="{action}"><rect class="button" x="{middle - 44}" y="{top}" width="88" '
            f'height="{_BUTTON_HEIGHT}" rx="6"/><text x="{middle}" y="{top + 21}">{label}</text></g>'
        )
    return "".join(parts) + "</svg>"
