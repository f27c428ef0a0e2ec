"""An episode as one picture: the drawings of its states in turn, in a single SVG without script.

Any browser plays it, also behind an `<img>`; readers who have asked for less motion see the last position.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

_SVG = "http://www.w3.org/2000/svg"
_HOLD = 3  # frames' time for which the end stands still
_FOR_CLICKS = ("data-action", "data-from", "data-to")


def animate(frames: Sequence[str], seconds: float = 0.6) -> str:
    """An SVG that shows each of `frames` (SVG as `Game.draw` makes it, all of one size) for `seconds`, over and over.

    Raises:
      ValueError: no frame, a time that is not positive, or a frame that is no SVG of the first one's size.
    """
    if not frames:
        raise ValueError("there is no frame to show, expected at least one picture")
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds}, expected more than 0")
    ElementTree.register_namespace("", _SVG)
    pictures = [_parsed(frame) for frame in frames]
    size = {name: pictures[0].get(name, "") for name in ("viewBox", "width", "height")}
    root = ElementTree.Element(f"{{{_SVG}}}svg", {**size, "role": "img"})
    rules = [_timing(len(pictures), seconds)]
    for number, picture in enumerate(pictures):
        if picture.get("viewBox") != size["viewBox"]:
            raise ValueError(f"frame {number} is {picture.get('viewBox')}, expected the first one's {size['viewBox']}")
        delayed = {"class": "frame", "style": f"animation-delay:{number * seconds:g}s"}
        is_last = number == len(pictures) - 1
        group = ElementTree.SubElement(root, f"{{{_SVG}}}g", {"class": "last"} if is_last else delayed)
        for element in picture:
            if element.tag != f"{{{_SVG}}}style":
                _append_still(group, element)
            elif element.text not in rules:
                rules.append(element.text or "")
    style = ElementTree.Element(f"{{{_SVG}}}style")
    style.text = "".join(rules)
    root.insert(0, style)
    return ElementTree.tostring(root, encoding="unicode")


def _parsed(frame: str) -> ElementTree.Element:
    try:
        picture = ElementTree.fromstring(frame)
    except ElementTree.ParseError as error:
        raise ValueError(f"a frame is not well-formed SVG: {error}") from error
    if picture.tag != f"{{{_SVG}}}svg":
        raise ValueError(f"a frame is {picture.tag}, expected an svg")
    return picture


def _timing(num_frames: int, seconds: float) -> str:
    """The last frame comes without a delay, so that it stands where nothing is animated; the others start late."""
    whole = (num_frames + _HOLD) * seconds
    share, last = 100 * seconds / whole, 100 * (num_frames - 1) * seconds / whole
    return (
        f".frame{{visibility:hidden;animation:frame {whole:g}s step-end infinite}}"
        f"@keyframes frame{{0%{{visibility:visible}}{share:.4f}%{{visibility:hidden}}}}"
        f".last{{animation:last {whole:g}s step-end infinite}}"
        f"@keyframes last{{0%{{visibility:hidden}}{last:.4f}%{{visibility:visible}}}}"
        "@media(prefers-reduced-motion:reduce){.frame,.last{animation:none}}"
    )


def _append_still(group: ElementTree.Element, element: ElementTree.Element) -> None:
    """Appends an element without its purpose for clicks; what was nothing but a target is left out."""
    if element.get("class") == "hit":
        return
    for name in _FOR_CLICKS:
        element.attrib.pop(name, None)
    group.append(element)
