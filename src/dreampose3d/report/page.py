"""The page: one file of HTML with styles and pictures inside, no script and no request; it prints on A4 and Letter."""

import base64
import hashlib
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from dreampose3d import __version__
from dreampose3d.files import atomic_write
from dreampose3d.motion.events import PitchEvents
from dreampose3d.motion.frames import Side
from dreampose3d.motion.moments import Happened, Kind, Moment
from dreampose3d.report.angles import angle_section
from dreampose3d.report.limits import limits
from dreampose3d.report.markup import Markup, joined, table, tag, void
from dreampose3d.report.movement import measures_of, pitch_section, speed_section, step_section, stride_seconds
from dreampose3d.report.quality import quality_of, quality_section
from dreampose3d.report.skeletons import Scene, seen_from
from dreampose3d.report.subject import Subject

MOST_PICTURES = 6
_LEAST_PICTURES = 3
_FACTS_OF_A_PITCH = ("stride length", "peak hip-shoulder separation", "peak pelvis turning speed",
                     "peak trunk turning speed", "peak throwing wrist speed")  # fmt: skip


def write_report(subject: Subject, path: Path, kind: Kind = "auto", throws: Side | None = None) -> None:
    """Write the page.

    Args:
        subject: What it is about (`read_subject`).
        path: The HTML file; written whole or not at all.
        kind: `pitch` insists on a pitch, `motion` looks for none, `auto` takes one that looks like it.
        throws: The throwing arm, if known.

    Raises:
        ValueError: If a pitch is asked for and there is none.
        OSError: If the page cannot be written.
    """
    page = report_html(subject, subject.happened(kind, throws))
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def report_html(subject: Subject, happened: Happened) -> str:
    """The whole page as text."""
    style = (files("dreampose3d.report") / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=policy),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{subject.name} · motion report"),
        void("link", rel="icon", href="data:,"),
        Markup(f"<style>{style}</style>"),
    )
    sections = _sections(subject, happened)
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title, _ in sections]
    parts = [tag("section", tag("h2", title), content, id=name) for name, title, content in sections]
    body = tag(
        "body",
        tag("header", tag("h1", subject.name), tag("p", _lead(subject, happened)), _key(subject)),
        tag("nav", tag("ul", *links), aria_label="Contents"),
        tag("main", *parts),
        tag("footer", tag("p", f"dreampose3d {__version__}")),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def pictured(happened: Happened, subject: Subject) -> list[Moment]:
    """The moments that get pictures and numbers.

    Of too many, those of the two highest jumps, or some spread evenly; of fewer than three, start and end besides.
    """
    moments = list(happened.moments)
    if len(moments) < _LEAST_PICTURES:
        ends = (Moment("start of the clip", float(subject.time_s[0])), Moment("end", float(subject.time_s[-1])))
        return [ends[0], *moments, ends[1]] if len(subject.time_s) > 1 else [ends[0]]
    if len(moments) <= MOST_PICTURES:
        return moments
    if happened.jumps:
        highest = sorted(happened.jumps, key=lambda jump: -jump.height_mm)[: MOST_PICTURES // 3]
        return [moment for jump in sorted(highest, key=lambda jump: jump.takeoff_s) for moment in jump.moments]
    return [moments[i] for i in np.linspace(0, len(moments) - 1, MOST_PICTURES).round().astype(int)]


def _sections(subject: Subject, happened: Happened) -> list[tuple[str, str, Markup]]:
    """Name, title and content, in the order in which a coach asks: what, how, how fast, how sure."""
    moments = pictured(happened, subject)
    sections = [("moments", "Moments", _moment_section(subject, happened, moments))]
    if happened.pitch is not None:
        sections.append(("pitch", "The pitch", pitch_section(subject, happened.pitch)))
    elif steps := step_section(subject, happened):
        sections.append(("steps", "Steps and jumps", steps))
    sections.append(("angles", "Joint angles", angle_section(subject, moments)))
    sections.append(("speeds", "Speeds", speed_section(subject, moments)))
    quality = None if subject.lifted is None else quality_of(subject.lifted)
    if quality is not None:
        sections.append(("quality", "How sure this is", quality_section(quality, subject.skeleton)))
    title = "What one camera cannot see" if subject.lifted is not None else "What this does not show"
    sections.append(("limits", title, _limit_section(limits(subject, happened, quality))))
    sections.append(("origin", "How it was made", _origin_section(subject)))
    return sections


def _lead(subject: Subject, happened: Happened) -> str:
    seconds = float(subject.time_s[-1] - subject.time_s[0]) + 1 / subject.fps
    frames = len(subject.time_s)
    length = f"{frames} {'frame' if frames == 1 else 'frames'} at {subject.fps:g} a second, {seconds:.2f} s"
    return f"{_what(happened)}. {subject.source[0].upper()}{subject.source[1:]}: {length}."


def _what(happened: Happened) -> str:
    if happened.pitch is not None:
        return f"A pitch, thrown with the {happened.pitch.throws} arm"
    jumps, downs = len(happened.jumps), sum(moment.name.endswith("foot down") for moment in happened.moments)
    counts = [(jumps, "jump", "jumps"), (downs, "step", "steps")]
    found = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    return f"Motion with {' and '.join(found)}" if found else "Motion without steps or jumps"


def _key(subject: Subject) -> Markup:
    """What colours and lines mean, and the size that everything is told for."""
    left, right = (
        tag("span", Markup(f'<svg viewBox="0 0 34 10" aria-hidden="true">{lines}</svg>'), name, class_="key")
        for name, lines in (
            ("left", tag("line", x1=2, x2=32, y1=5, y2=5, class_="curve left")),
            ("right", tag("line", x1=2, x2=32, y1=5, y2=5, class_="curve right")),
        )
    )
    how = "as given" if subject.given_height_m else "as measured" if subject.lifted is None else "guessed"
    return tag("p", left, right, tag("span", f"body height {subject.height_mm / 1000:.2f} m, {how}"), class_="keys")


def _moment_section(subject: Subject, happened: Happened, moments: Sequence[Moment]) -> Markup:
    scene = Scene.of(subject, [moment.time_s for moment in moments])
    figures = [_moment_figure(scene, number, moment) for number, moment in enumerate(moments, 1)]
    discs = " Grey discs are the uncertainty: a true joint lies within its own with 68 % probability."
    about = (
        "Left of each pair: as the camera sees it; right: from the side, a quarter turn around, which shows the "
        "depth. All pictures have one scale. The numbers stand in all curves and tables "
        f"below.{discs if subject.lifted is not None else ''}"
    )
    return joined(
        tag("p", about), tag("div", *figures, class_="moments"), _summary(subject, happened), _others(happened, moments)
    )


def _moment_figure(scene: Scene, number: int, moment: Moment) -> Markup:
    words = f"{moment.time_s:.2f} s · seen from {seen_from(scene.subject, moment.time_s)}"
    caption = tag(
        "figcaption",
        tag("span", f"{number}", class_="badge"),
        tag("strong", moment.name),
        " ",
        tag("span", words, class_="quiet"),
    )
    return tag("figure", caption, scene.draw(moment.time_s, f"{moment.name}, {moment.time_s:.2f} s"))


def _others(happened: Happened, moments: Sequence[Moment]) -> Markup:
    """All moments where only some have pictures."""
    if len(happened.moments) <= len(moments):
        return Markup()
    names = dict.fromkeys(moment.name for moment in happened.moments)
    times = {name: [f"{moment.time_s:.2f}" for moment in happened.moments if moment.name == name] for name in names}
    return table("All moments", ("moment", "at, s"), [(name, ", ".join(of)) for name, of in times.items()], wordy=True)


def _summary(subject: Subject, happened: Happened) -> Markup:
    """A few figures to begin with."""
    facts = _pitch_facts(subject, happened.pitch) if happened.pitch is not None else _motion_facts(subject, happened)
    return (
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts), class_="facts")
        if facts
        else Markup()
    )


def _pitch_facts(subject: Subject, events: PitchEvents) -> list[tuple[str, str]]:
    found = [m for m in measures_of(subject, events) if m.name in _FACTS_OF_A_PITCH]
    facts = [(m.name, f"{m.value:.{1 if m.unit == 'm/s' else 0}f} {m.unit}") for m in found if math.isfinite(m.value)]
    plant_to_release_ms = 1000 * (events.ball_release_s - events.foot_plant_s)
    return [*facts, ("foot plant to release", f"{plant_to_release_ms:.0f} ms")]


def _motion_facts(subject: Subject, happened: Happened) -> list[tuple[str, str]]:
    facts = []
    if happened.strides:
        lengths = [stride.length_percent_of_height for stride in happened.strides]
        facts.append(("stride length", f"{np.median(lengths):.0f} % of height"))
        seconds = np.array([stride_seconds(stride, subject) for stride in happened.strides])
        if np.isfinite(seconds).any():
            facts.append(("stride time", f"{np.nanmedian(seconds):.2f} s"))
    if happened.jumps:
        highest = max(happened.jumps, key=lambda jump: jump.height_mm)
        facts += [("highest jump", f"{highest.height_mm / 10:.0f} cm"),
                  ("in the air", f"{highest.landing_s - highest.takeoff_s:.2f} s")]  # fmt: skip
    return facts


def _limit_section(told: Sequence[tuple[str, str]]) -> Markup:
    items = [joined(tag("dt", title), tag("dd", text)) for title, text in told]
    return tag("dl", *items, class_="limits")


def _origin_section(subject: Subject) -> Markup:
    """What a second run needs, and how the events were found."""
    rows = [("dreampose3d", __version__), ("frames", f"{len(subject.time_s)}"), ("skeleton", subject.skeleton.name)]
    if (motion := subject.lifted) is not None:
        meta, camera = motion.meta, motion.camera
        options = ", ".join(f"{name} {value}" for name, value in meta.get("options", {}).items())
        done = {k: v for k, v in meta.get("refined", {}).get("options", {}).items() if v not in (None, False, "free")}
        rows += [
            ("weights", str(meta.get("weights", "not stated"))),
            ("their SHA-256", str(meta.get("weights_sha256", "not stated"))),
            ("options", options or "not stated"),
            ("refined by", ", ".join(f"{name} {value}" for name, value in done.items()) or "nothing"),
            ("camera", f"{camera.size_px[0]} × {camera.size_px[1]} px, focal length {camera.focal_px[0]:.0f} px, "
                       f"{'assumed' if camera.assumed else 'given'}"),
            ("2D joints", str(meta.get("input_skeleton", "not stated"))),
        ]  # fmt: skip
    return joined(table("Provenance", ("", ""), rows, wordy=True), tag("p", _CONVENTIONS))


_CONVENTIONS = (
    "Angles follow the recommendations of the International Society of Biomechanics as far as joint centres allow, "
    "with the left side as in a mirror; docs/angles.md defines each, docs/motion.md how events, strides and speeds "
    "are found."
)
