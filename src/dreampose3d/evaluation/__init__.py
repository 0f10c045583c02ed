"""A lifter and recorded motion in, the tables out: one protocol a file (docs/evaluation.md)."""

from dreampose3d.evaluation.counting import AGGREGATIONS
from dreampose3d.evaluation.mocap import (
    METRICS,
    EvaluationConfig,
    FilmedClip,
    evaluate_mocap,
    film_clip,
    format_table,
    stable_seed,
    static_camera,
)
from dreampose3d.evaluation.tables import write_result

__all__ = [
    "AGGREGATIONS",
    "METRICS",
    "EvaluationConfig",
    "FilmedClip",
    "evaluate_mocap",
    "film_clip",
    "format_table",
    "stable_seed",
    "static_camera",
    "write_result",
]
