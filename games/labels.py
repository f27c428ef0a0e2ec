"""Actions as people write them, read back."""

from collections.abc import Sequence


def parse_label(labels: Sequence[str], text: str, what: str = "action", how: str | None = None) -> int:
    """The number of the label that `text` is, whatever its case and the blanks around it.

    Raises:
      ValueError: says that `text` is no `what`, and `how` to write one; by default the labels themselves.
    """
    word = text.strip().lower()
    if word not in labels:
        raise ValueError(f"{text!r} is no {what}; write {how or ', '.join(labels[:-1]) + ' or ' + labels[-1]}")
    return labels.index(word)
