"""All the files that a motion can be exported to, by name; several at once, all of them or none."""

import importlib.util
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dreampose3d.export.bvh import write_bvh
from dreampose3d.export.c3d import write_c3d
from dreampose3d.export.gltf import write_glb
from dreampose3d.export.long_tables import write_csv, write_json_table, write_parquet
from dreampose3d.export.mot import write_mot
from dreampose3d.export.motion import Motion, motion_of
from dreampose3d.export.netcdf import write_netcdf
from dreampose3d.export.trc import write_trc
from dreampose3d.export.usd import write_usd
from dreampose3d.files import staged
from dreampose3d.sequence import LiftedMotion, PoseSequence

Source = LiftedMotion | PoseSequence | Motion


@dataclass(frozen=True)
class Format:
    """A kind of file, what writes it, and what of a motion it cannot hold."""

    suffix: str
    write: Callable[[Motion, Path], None]
    package: str = ""
    """That must be installed."""
    extra: str = ""
    """That installs it."""
    rigid: bool = False
    """Whether bones get constant lengths."""
    even: bool = False
    """Whether frames lie at a constant rate."""


FORMATS = {
    "bvh": Format(".bvh", write_bvh, rigid=True, even=True),
    "c3d": Format(".c3d", write_c3d, "ezc3d", "export", even=True),
    "trc": Format(".trc", write_trc),
    "mot": Format(".mot", write_mot, rigid=True),
    "glb": Format(".glb", write_glb, rigid=True),
    "usd": Format(".usd", write_usd, "pxr", "usd", rigid=True, even=True),
    "csv": Format(".motion.csv", write_csv),
    "json": Format(".motion.json", write_json_table),
    "parquet": Format(".motion.parquet", write_parquet, "pyarrow", "export"),
    "netcdf": Format(".motion.nc", write_netcdf),
    "netcdf-plural": Format(".motion.plural.nc", partial(write_netcdf, dimensions="plural")),
}
LARGEST_UNTOLD_MM = 1.0
"""By how much constant bones may move joints without a word."""
LARGEST_UNTOLD_FRAMES = 0.5
"""How far a frame may be from its place at a constant rate without a word."""


def formats_named(text: str) -> tuple[str, ...]:
    """The formats of a list such as `bvh,c3d`, each once, all of them writable here.

    Raises:
        ImportError: If the package that one needs is missing.
        ValueError: If there is no format of a name, or no name.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ValueError(
            f"expected formats out of {','.join(FORMATS)}; got {', '.join(unknown) or 'none'}"
            + ("; for FBX import the GLB or BVH file in Blender" if "fbx" in unknown else "")
        )
    for name in names:
        if FORMATS[name].package and importlib.util.find_spec(FORMATS[name].package) is None:
            raise ImportError(f'writing {name} needs an extra: pip install "dreampose3d[{FORMATS[name].extra}]"')
    return names


def export(source: Source | Sequence[Source], formats: str | Iterable[str], folder: Path | str) -> list[Path]:
    """Write a motion, or those of several people, as `<name>.bvh`, `<name>.motion.csv` and so on: all files or none.

    Several people of one name are told apart as `<name>_person00`, `<name>_person01`, in the order given.

    Args:
        source: What to write, mm. Joints in a camera frame whose pose is unknown are turned so that -y is up.
        formats: Names out of `FORMATS`, or a list of them such as `bvh,c3d`.
        folder: Made if it is not there.

    Returns:
        The files, person by person.

    Raises:
        ImportError: If the package that a format needs is missing.
        OSError: If they cannot be written.
        ValueError: If there is no such format, or the motion has gaps or bones without direction.
    """
    names = formats_named(formats if isinstance(formats, str) else ",".join(formats))
    motions = told_apart(source if isinstance(source, Sequence) else [source])
    with staged(folder) as staging:
        written = [path for motion in motions for path in write_formats(motion, names, staging)]
    return [Path(folder) / path.name for path in written]


def told_apart(sources: Sequence[Source]) -> list[Motion]:
    """One motion a person; numbered if names would be files of one name."""
    motions = [motion_of(source) for source in sources]
    if not motions:
        raise ValueError("expected at least one person to export, got none")
    if len({motion.name for motion in motions}) == len(motions):
        return motions
    return [replace(motion, name=f"{motion.name}_person{number:02d}") for number, motion in enumerate(motions)]


def write_formats(motion: Motion, names: tuple[str, ...], folder: Path) -> list[Path]:
    """Write each format in turn, and say what they change."""
    paths = []
    for name in names:
        path = folder / f"{motion.name}{FORMATS[name].suffix}"
        FORMATS[name].write(motion, path)
        paths.append(path)
    _tell_changes(motion, names)
    return paths


def _tell_changes(motion: Motion, names: tuple[str, ...]) -> None:
    """Warn of what formats with constant bones or a constant rate cannot hold of this motion."""
    rigid = [name for name in names if FORMATS[name].rigid]
    if rigid and motion.rig.error_mm.max() > LARGEST_UNTOLD_MM:
        error = motion.rig.error_mm
        warnings.warn(
            f"{motion.name}: constant bones ({', '.join(rigid)}) move joints by {error.mean():.1f} mm in the mean and "
            f"{error.max():.1f} mm at most; formats of positions keep every joint where it is",
            stacklevel=3,
        )
    even = [name for name in names if FORMATS[name].even]
    if even and motion.unevenness_s * motion.fps > LARGEST_UNTOLD_FRAMES:
        warnings.warn(
            f"{motion.name}: frames are up to {1000 * motion.unevenness_s:.0f} ms from a constant {motion.fps:g} "
            f"frames/s, all that {', '.join(even)} can hold; the other formats keep the times",
            stacklevel=3,
        )
