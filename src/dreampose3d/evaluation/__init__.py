"""A lifter and recorded motion in, the tables out: one protocol a file (docs/evaluation.md)."""

from dreampose3d.evaluation.mocap import (
    AGGREGATIONS,
    METRICS,
    EvaluationConfig,
    FilmedClip,
    evaluate_mocap,
    film_clip,
    format_table,
    stable_seed,
    static_camera,
    write_result,
)

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
