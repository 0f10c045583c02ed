"""The page for a coach: read by a parser of its own, of a pitch, of jumps, of steps and of motion capture."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.bodies import body, lifted
from tests.motion import walker, write_set
from tests.motions.test_events import FPS, pitch
from tests.motions.test_moments import jumping, stepping

from dreampose3d.commands.report import report
from dreampose3d.export.tables import write_npz
from dreampose3d.motion.angles import ANGLES, joint_angles
from dreampose3d.report.angles import ORDER, TYPICAL_ERROR_DEGREES
from dreampose3d.report.page import MOST_PICTURES, pictured, report_html
from dreampose3d.report.subject import lifted as subject_of
from dreampose3d.report.subject import read_subject
from dreampose3d.skeleton import H36M_17

VOID = {"meta", "link"}


class Page(HTMLParser):
    """Every element with its attributes and its text, and whether what was opened was closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.text, self.tables = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def all(self, tag, **wanted):
        return [attrs for name, attrs in self.found if name == tag and wanted.items() <= attrs.items()]


def seen(joints: np.ndarray, fps: float = FPS, **fields):
    """Joints with y up as lifted by a camera 5 m away."""
    return lifted(joints[..., [2, 1, 0]] * (1, -1, 1) + (0, 0, 5000), fps, **fields)


def page_of(motion, **options) -> Page:
    subject = subject_of(motion)
    return Page(report_html(subject, subject.happened(**options)))


def told(page: Page) -> str:
    return " ".join("".join(page.text).split())


@pytest.fixture(scope="module")
def pitched():
    return page_of(seen(pitch()))


def test_a_pitch_is_shown_at_its_four_events(pitched):
    assert "A pitch, thrown with the right arm" in told(pitched)
    pictures = pitched.all("svg", **{"class": "skeleton"})
    events = ("peak knee height", "foot plant", "maximal external rotation", "ball release")
    assert [picture["aria-label"].split(",")[0] for picture in pictures] == [name for name in events for _ in "12"]
    assert {picture["aria-label"].rsplit(", ")[-1] for picture in pictures} == {"from the camera", "from the side"}


def test_measures_and_angles_are_those_of_the_motion(pitched):
    tables = {table[0][1]: table for table in pitched.tables if len(table[0]) > 1}
    elbow = next(row for row in tables["foot plant"] if row[0] == "throwing elbow flexion")
    assert elbow[1:] == ["60"] * 3
    angles = joint_angles(seen(pitch()).joints_mm, H36M_17, np.array((0.0, -1.0, 0.0)))
    knee = angles["left_knee_flexion_deg"]
    first = next(table for table in pitched.tables if table[0][1:4] == ["lowest", "highest", "range"])
    assert first[1][:3] == ["left", f"{knee.min():.0f}", f"{knee.max():.0f}"]
    assert first[0][4:] == ["1", "2", "3", "4"]


def test_the_throwing_arm_is_warned_of_and_the_arm_may_be_named(pitched):
    assert "Do not read the throwing arm off a lifted pitch" in told(pitched)
    assert "The throwing arm" not in told(page_of(seen(pitch()), kind="motion"))
    with pytest.raises(ValueError, match="the left wrist never moves faster"):
        page_of(seen(pitch()), kind="pitch", throws="left")


def test_page_asks_for_nothing_and_runs_nothing(pitched):
    assert not pitched.all("script")
    links = [v for _, attrs in pitched.found for k, v in attrs.items() if k in ("src", "href", "srcset", "xlink:href")]
    assert [link for link in links if not link.startswith("#")] == ["data:,"]
    assert not any("style" in attrs for _, attrs in pitched.found)  # its policy would forbid it
    assert not re.search(r"\w+://", "".join(pitched.text))
    (policy,) = pitched.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; style-src 'sha256-")


def test_page_can_be_read_without_seeing_it(pitched):
    assert pitched.all("html", lang="en")
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in pitched.all("svg"))
    assert all("scope" in attrs for attrs in pitched.all("th"))
    levels = [int(name[1]) for name, _ in pitched.found if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    ids = {attrs["id"] for _, attrs in pitched.found if "id" in attrs}
    assert {link["href"].removeprefix("#") for link in pitched.all("a")} == ids
    assert pitched.all("table")
    assert len(pitched.all("caption")) == len(pitched.all("table"))


def test_svg_is_whole_and_inside_its_box():
    subject = subject_of(seen(pitch()))
    text = report_html(subject, subject.happened())
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        drawing = ElementTree.fromstring(svg)
        left, top, width, height = map(float, drawing.get("viewBox").split())
        for line in drawing.iter("line"):
            for x in (float(line.get("x1")), float(line.get("x2"))):
                assert left <= x <= left + width
            for y in (float(line.get("y1")), float(line.get("y2"))):
                assert top <= y <= top + height


def test_every_angle_has_its_card_and_the_error_that_the_docs_measure():
    assert sorted(name for names in ORDER.values() for name in names) == sorted(
        angle.name.removesuffix("_deg") for angle in ANGLES
    )
    docs = (Path(__file__).parents[2] / "docs" / "angles.md").read_text("utf-8")
    measured = re.findall(r"^\| `(\w+)` \| [\d.]+ \| [\d.]+ \| ([\d.]+) \| [\d.]+ \| \d+ % \|$", docs, re.MULTILINE)
    assert {name: float(error) for name, error in measured} == TYPICAL_ERROR_DEGREES


def test_jumps_are_shown_from_take_off_to_landing():
    page = page_of(seen(jumping(0.6)))
    labels = [picture["aria-label"].split(",")[0] for picture in page.all("svg", **{"class": "skeleton"})][::2]
    assert labels == ["take-off", "highest point", "landing"]
    assert "Motion with 1 jump." in told(page)
    (table,) = [table for table in page.tables if table[0][0] == "take-off, s"]
    assert float(table[1][3]) == pytest.approx(9.81 * float(table[1][2]) ** 2 / 8 * 100, abs=2)  # cm


def test_strides_are_told_in_metres_and_of_height():
    page = page_of(seen(stepping(5)))
    (table,) = [table for table in page.tables if table[0][0] == "foot"]
    assert [row[0] for row in table[1:]] == ["left", "right", "left", "right", "left"]
    assert [row[3] for row in table[1:3]] == ["–", "–"]  # both feet stood when the clip began
    np.testing.assert_allclose([float(row[4]) for row in table[1:]], 0.7, atol=0.03)


def test_of_many_moments_some_are_pictured_and_all_are_told():
    subject = subject_of(seen(stepping(9)))
    happened = subject.happened()
    assert len(happened.moments) > MOST_PICTURES == len(pictured(happened, subject))
    page = Page(report_html(subject, happened))
    assert any(row[0] == "left foot down" for table in page.tables for row in table)


def test_quality_says_what_is_missing_uncertain_and_off():
    motion = seen(stepping(3))
    wrist, frames = H36M_17.index("left_wrist"), slice(30, 60)
    keypoints, confidence, spread = motion.keypoints_px.copy(), motion.confidence.copy(), motion.spread_mm.copy()
    keypoints[frames, wrist], confidence[frames, wrist], spread[frames, wrist] = np.nan, 0, 150
    page = page_of(replace(motion, keypoints_px=keypoints + 3, confidence=confidence, spread_mm=spread))
    (doubts,) = [table for table in page.tables if "least certain at" in table[0]]
    assert doubts[1] == ["left wrist", "150", "0.50–0.98 s", "0.50–0.98 s"]
    (joints,) = [table for table in page.tables if "2D missing, %" in table[0]]
    row = next(row for row in joints if row[0] == "left wrist")
    assert row[1:] == ["20", "25", f"{np.hypot(3, 3):.1f}"]
    assert "Least certain here: left wrist (0.50–0.98 s)" in told(page)


def test_what_the_camera_did_not_know_is_said():
    motion = seen(stepping(2))
    assumed = page_of(replace(motion, camera=replace(motion.camera, assumed=True)))
    for words in ("The lens was not known", "height is guessed", "held level"):
        assert words in told(assumed)
    refined = {"options": {"height_m": 1.8}, "height_m": {"used": 1.8}, "ground": {"source": "up given"}}
    known = page_of(replace(motion, meta={"refined": refined}))
    assert "body height 1.80 m, as given" in told(known)
    for words in ("The field of view was given", "Height was given as 1.8 m", "does not move: up given"):
        assert words in told(known)


def test_motion_capture_is_reported_without_uncertainty(tmp_path):
    clip = {"subject": "s1", "trial": "t1", "fps": 50, "split": "test", "action": "walking", "joints": walker(120)}
    folder = write_set(tmp_path / "set", [clip])
    report(folder, out=tmp_path / "t1.html", trial="t1")
    page = Page((tmp_path / "t1.html").read_text("utf-8"))
    assert "Motion capture (set: walking): 120 frames at 50 a second" in told(page)
    assert not page.all("section", id="quality")
    assert not page.all("circle", **{"class": "spread"})
    subject = read_subject(folder, trial="t1")
    bones = [np.linalg.norm(joints[:, 2] - joints[:, 1], axis=-1) for joints in (subject.joints_mm, walker(120))]
    np.testing.assert_allclose(*bones, atol=1e-6)
    assert (subject.joints_mm[:, H36M_17.index("head"), 1] < subject.joints_mm[:, 0, 1]).all()  # y is down


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_few_frames_are_enough_for_a_page(frames):
    page = page_of(seen(np.repeat(body()[None], frames, 0)))
    assert "Motion without steps or jumps" in told(page)


def test_the_page_lies_beside_its_result(tmp_path, capsys):
    write_npz(seen(stepping(2)), tmp_path / "a<b.pose3d.npz")
    report(tmp_path)
    page = tmp_path / "a<b.report.html"
    assert capsys.readouterr().out == f"open {page}\n"
    first = page.read_bytes()
    assert "<h1>a&lt;b</h1>" in first.decode()
    report(tmp_path / "a<b.pose3d.npz")
    assert page.read_bytes() == first


def test_what_cannot_be_reported_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no result of `dreampose3d lift`"):
        report(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no lifted motion at .*none\.pose3d\.npz"):
        report(tmp_path / "none.pose3d.npz")
    for name in ("a", "b"):
        write_npz(seen(stepping(2), name=name), tmp_path / f"{name}.pose3d.npz")
    with pytest.raises(ValueError, match=r"holds 2 results; name one: .*a\.pose3d\.npz"):
        report(tmp_path)
    with pytest.raises(ValueError, match="--trial and --set name a clip"):
        report(tmp_path / "a.pose3d.npz", trial="t1")
    with pytest.raises(ValueError, match="expected a pitch"):
        report(tmp_path / "a.pose3d.npz", kind="pitch")
    assert not list(tmp_path.glob("*.html"))
