"""HTML and SVG as nested calls: `tag("p", "a < b", class_="note")`. Text is escaped, what `tag` made is not."""

import html
import math
from collections.abc import Sequence


class Markup(str):
    """Text that is markup already."""


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """An element.

    Args:
        name: Of the element.
        children: Elements, and text, which is escaped.
        attributes: `class_` for `class`, `text_anchor` for `text-anchor`; None leaves one out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def void(name: str, /, **attributes: str | float | None) -> Markup:
    """An HTML element that has no end, such as `meta`."""
    return Markup(tag(name, **attributes).removesuffix(f"</{name}>"))


def joined(*children: str) -> Markup:
    """Several children in a row."""
    made = (child if isinstance(child, Markup) else html.escape(child, quote=False) for child in children)
    return Markup("".join(made))


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], wordy: bool = False) -> Markup:
    """A table whose first column names the rows; its cells are numbers, which stand to the right, or words."""
    head = tag("tr", *(tag("th", text, scope="col") for text in heads))
    body = [tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest)) for first, *rest in rows]
    inner = joined(tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", tag("table", inner, class_="wordy" if wordy else None), class_="scroll")


def figure(value: float, digits: int = 0) -> str:
    """A number for people; a dash where there is none."""
    return f"{round(value, digits) + 0.0:.{digits}f}" if math.isfinite(value) else "–"  # no -0


def _number(value: str | float) -> str:
    """Numbers in a tenth of a unit: of a pixel or a millimetre, finer than any page shows."""
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
