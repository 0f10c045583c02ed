"""A motion as the page shows it by itself: every joint angle for the graph, and what happens in it on the timeline."""

import numpy as np

from dreampose3d.motion.angles import joint_angles
from dreampose3d.motion.moments import Kind, what_happens_in
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import H36M_17
from dreampose3d.viewer.page import Event, Shown, Signal


def measured(motion: LiftedMotion, label: str = "", kind: Kind = "auto") -> Shown:
    """The motion with its angles and events; without them if its skeleton lacks joints of Human3.6M's.

    Args:
        motion: What to show.
        label: What the choice of persons calls it.
        kind: Whether to look for a pitch (`what_happens`).

    Raises:
        ValueError: If a pitch is asked for and there is none.
    """
    if not set(H36M_17.joints) <= set(motion.skeleton.joints):
        return Shown(motion, label)
    angles = joint_angles(motion.joints_mm, motion.skeleton, np.array(motion.camera.up))
    signals = [Signal(name.removesuffix("_deg").replace("_", " "), "°", values) for name, values in angles.items()]
    happened = what_happens_in(motion, kind)
    events = [Event(moment.name, moment.time_s) for moment in happened.moments]
    graph = "left knee flexion" if happened.pitch is None else "hip shoulder separation"
    return Shown(motion, label, signals, events, graph)
