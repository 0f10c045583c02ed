import webbrowser

import numpy as np
import pytest
from tests.viewer.conftest import walking

from dreampose3d.commands.view import view
from dreampose3d.export.tables import write_npz
from dreampose3d.viewer.page import read_page, unpack


@pytest.fixture
def opened(monkeypatch):
    """The pages that the browser was asked to open."""
    pages = []
    monkeypatch.setattr(webbrowser, "open", pages.append)
    return pages


def result(folder, name="walk", frames=12):
    folder.mkdir(exist_ok=True)
    write_npz(walking(frames, name=name), folder / f"{name}.pose3d.npz")
    return folder / f"{name}.pose3d.npz"


def test_one_result_is_shown_beside_itself(tmp_path, opened, capsys):
    path = result(tmp_path)
    view((path,))
    page = tmp_path / "walk.html"
    assert capsys.readouterr().out == f"open {page}\n"
    assert opened == [page.as_uri()]
    np.testing.assert_allclose(unpack(read_page(page)["root_mm"]), walking(12).root_mm, atol=0.06)


def test_several_results_are_compared_under_names_that_differ(tmp_path, opened):
    one, other = result(tmp_path / "a"), result(tmp_path / "b", frames=9)
    view((one, other), out=tmp_path / "both.html", open=False)
    assert not opened
    data = read_page(tmp_path / "both.html")
    assert [data["label"], data["others"][0]["label"]] == ["a/walk", "b/walk"]
    view((one, result(tmp_path / "a", "run")), open=False)
    data = read_page(tmp_path / "a" / "walk.compared.html")
    assert [data["label"], data["others"][0]["label"]] == ["walk", "run"]


def test_a_renamed_result_is_shown_under_its_new_name(tmp_path, opened):
    renamed = result(tmp_path).rename(tmp_path / "take 2.pose3d.npz")
    result(tmp_path)
    view((renamed,))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take 2.html", "take 2.pose3d.npz", "walk.pose3d.npz"]


def test_what_is_no_result_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one result to show"):
        view(())
    with pytest.raises(FileNotFoundError, match=r"none\.pose3d\.npz"):
        view((tmp_path / "none.pose3d.npz",))
