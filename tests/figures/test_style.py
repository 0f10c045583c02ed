import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dreampose3d.figures.style import (
    LINES,
    SHARES,
    SIDES,
    SIGNED,
    WIDTHS_IN,
    check_figure_path,
    new_figure,
    paper_style,
    save_figure,
)


def drawing(width="column"):
    with paper_style():
        figure = new_figure(width, 1.5)
        figure.subplots().set_title("left wrist (mm)")
    return figure


@pytest.mark.parametrize("width", ["column", "full"])
def test_a_png_has_the_papers_width_at_300_dpi_and_tells_where_it_comes_from(tmp_path, width):
    save_figure(drawing(width), tmp_path / "a.png", "weights small")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (round(300 * WIDTHS_IN[width]), 450)
        assert picture.text["Description"] == "weights small"


def test_svg_keeps_text_as_text(tmp_path):
    save_figure(drawing(), tmp_path / "a.svg", "weights small")
    text = (tmp_path / "a.svg").read_text()
    assert ">left wrist (mm)</text>" in text
    assert "weights small" in text
    assert "<dc:date>" not in text


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_equal_figures_give_equal_files(tmp_path, ending):
    for name in ("a", "b"):
        save_figure(drawing(), tmp_path / f"{name}{ending}", "the same")
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_a_figure_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"what stood there")
    figure = drawing()

    def fails(file, **_):
        file.write_bytes(b"half a picture")
        raise KeyboardInterrupt

    monkeypatch.setattr(figure, "savefig", fails)
    with pytest.raises(KeyboardInterrupt):
        save_figure(figure, path)
    assert path.read_bytes() == b"what stood there"
    assert list(tmp_path.iterdir()) == [path]


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends in .png, .svg, .pdf; got 'a.jpg'"):
        check_figure_path(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="got 'a'"):
        save_figure(drawing(), tmp_path / "a")


def grey(colour):
    """Luminance in [0, 1] (Rec. 709)."""
    from matplotlib.colors import to_rgb

    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


def test_nothing_is_told_by_colour_alone():
    assert len({str(dashes) for _, dashes in LINES}) == len({colour for colour, _ in LINES}) == len(LINES)
    assert len(set(SIDES.values())) == 3
    shades = [grey(SHARES(share)[:3]) for share in np.linspace(0, 1, 32)]
    assert (np.diff(shades) < 0).all()  # darker all the way
    assert grey(SIGNED(0.5)[:3]) == pytest.approx(1)


def test_without_matplotlib_the_cure_is_named():
    code = "import sys; sys.modules['matplotlib'] = None; import dreampose3d.figures.style"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'ImportError: drawing figures needs an extra: pip install "dreampose3d[figures]"' in told.stderr
