"""docs/angles.md states what the code does: its table is made from `ANGLES`."""

from pathlib import Path

from dreampose3d.motion.angles import ANGLES, Angle

PAGE = Path(__file__).parents[2] / "docs" / "angles.md"


def row(angle: Angle) -> str:
    low, high = angle.range_degrees
    mirror = "left and right" if angle.both_sides else "sign turns over" if angle.sideways else "the same"
    up = "yes" if angle.needs_up else ""
    return (
        f"| `{angle.name}` | {angle.definition} | {angle.positive} | {angle.zero} | {low:g} to {high:g} "
        f"| {mirror} | {up} | {angle.source} |"
    )


def test_the_page_has_a_row_for_every_angle_and_no_other():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if "_deg`" in line]
    assert rows == [row(angle) for angle in ANGLES], "\n".join(row(angle) for angle in ANGLES)
