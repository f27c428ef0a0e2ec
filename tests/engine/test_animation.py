"""An episode as one animated picture: every position in turn, nothing to click, wrong frames refused."""

import re
import xml.etree.ElementTree as ElementTree

import cartridge
import pytest
from cartridge.engine.animation import animate

SVG = "{http://www.w3.org/2000/svg}"


def frames(num_moves: int) -> list[str]:
    env = cartridge.make("tictactoe")
    env.reset()
    pictures = [env.render()]
    for cell in range(num_moves):
        env.step([cell])
        pictures.append(env.render())
    return pictures


def test_each_frame_is_a_group_that_shows_one_more_mark() -> None:
    picture = ElementTree.fromstring(animate(frames(3), seconds=0.5))
    groups = picture.findall(f"{SVG}g")
    assert [len(group.findall(f"{SVG}*[@class='p0 x']")) for group in groups] == [0, 1, 1, 2]
    assert [len(group.findall(f"{SVG}*[@class='p1 x']")) for group in groups] == [0, 0, 1, 1]
    delays = [group.get("style", "").removeprefix("animation-delay:") for group in groups]
    assert delays == ["0s", "0.5s", "1s", ""]
    assert not [element for element in picture.iter() if element.get("data-action") or element.tag == f"{SVG}script"]


def test_times_add_up() -> None:
    """Four frames of half a second and three more for the end: 3.5 s, a seventh each, the last from three sevenths."""
    rules = ElementTree.fromstring(animate(frames(3), seconds=0.5)).findtext(f"{SVG}style") or ""
    assert set(re.findall(r"animation:(?:frame|last) ([\d.]+)s", rules)) == {"3.5"}
    assert "@keyframes frame{0%{visibility:visible}14.2857%{visibility:hidden}}" in rules
    assert "@keyframes last{0%{visibility:hidden}42.8571%{visibility:visible}}" in rules
    assert rules.count(".board{") == 2  # the drawing's own rules once, for light and for dark


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([], "there is no frame"),
        (["<svg"], "not well-formed"),
        (["<p/>"], "a frame is p, expected an svg"),
        ([*frames(0), cartridge.make("connect4").render()], "frame 1 is 0 0 336 288, expected the first one's 0 0 144"),
    ],
)
def test_wrong_frames_are_refused(pictures: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        animate(pictures)


def test_a_time_must_pass() -> None:
    with pytest.raises(ValueError, match="seconds is 0"):
        animate(frames(0), seconds=0)
