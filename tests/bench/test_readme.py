"""The README's figures are those of the committed files."""

import pytest
from cartridge.bench import readme


def test_the_pages_show_the_committed_results() -> None:
    for name, results in readme.pages().items():
        text = (readme.ROOT / name).read_text(encoding="utf-8")
        assert readme.with_results(text, results) == text, "run: python -m cartridge.bench.readme"


def test_the_pictures_are_those_of_the_committed_results() -> None:
    for name, picture in readme.pictures().items():
        assert (readme.ROOT / "docs" / "images" / name).read_text(encoding="utf-8") == picture, name


def test_a_readme_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks"):
        readme.with_results("# Cartridge\n", "results")
