"""`dreampose3d export`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


def export(
    results: Annotated[Positional[tuple[Path, ...]], arg(metavar="RESULT", help_behavior_hint="")],
    to: Annotated[str, arg(metavar="LIST")],
    out: Annotated[Path, arg(metavar="DIR")],
) -> None:
    """Write lifted motion as BVH, C3D, TRC, MOT, GLB, USD or tables.

    Files are <name>.bvh, <name>.motion.csv and so on, <name>_person00 and up for several results: all of them or none.

    Args:
        results: .pose3d.npz files of `lift`, one a person.
        to: Formats, such as bvh,c3d: bvh, c3d, trc, mot, glb, usd, csv, json, parquet, netcdf, netcdf-plural; what
            each of them holds is in docs/formats-out.md.
        out: The folder for the files.
    """
    from dreampose3d.export.formats import export as export_motions
    from dreampose3d.export.formats import formats_named
    from dreampose3d.export.tables import load_motion, result_name

    names = formats_named(to)
    motions = [replace(load_motion(result), name=result_name(result)) for result in results]
    for path in export_motions(motions, names, out):
        print(path)
