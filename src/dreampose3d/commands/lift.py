"""`dreampose3d lift`."""

import re
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from dreampose3d.commands.console import CHOSEN, Device, Progress, given


def lift(
    input: Annotated[Positional[Path], arg(metavar="INPUT")],
    out: Annotated[Path, arg(metavar="DIR")],
    detector: Literal["blazepose", "rtmpose"] = "blazepose",
    fps: Annotated[float | None, arg(metavar="F", help_behavior_hint="")] = None,
    size: Annotated[str | None, arg(metavar="WxH", help_behavior_hint="")] = None,
    skeleton: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None,
    fov: Annotated[float | None, arg(metavar="D", help_behavior_hint="")] = None,
    focal: Annotated[float | None, arg(metavar="PX", help_behavior_hint="")] = None,
    calib: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None,
    weights: Annotated[str, arg(metavar="small|PATH")] = "small",
    hypotheses: Annotated[int | None, arg(metavar="H", help_behavior_hint=CHOSEN)] = None,
    steps: Annotated[int | None, arg(metavar="K", help_behavior_hint=CHOSEN)] = None,
    eta: Annotated[float | None, arg(metavar="E", help_behavior_hint=CHOSEN)] = None,
    flip: bool = True,
    aggregate: Literal["p-agg", "l-agg", "j-agg"] = "p-agg",
    fit: bool = True,
    save_hypotheses: bool = False,
    seed: Annotated[int, arg(metavar="S")] = 0,
    device: Device = "auto",
    window: Annotated[int | None, arg(metavar="N", help_behavior_hint=CHOSEN)] = None,
    overlap: Annotated[int | None, arg(metavar="M", help_behavior_hint=CHOSEN)] = None,
    overlay: bool = True,
    video: bool = True,
    person: Annotated[str | None, arg(metavar="N|largest|all", help_behavior_hint="")] = None,
    height: Annotated[float | None, arg(metavar="M", help_behavior_hint="")] = None,
    smooth: Annotated[float | None, arg(metavar="HZ", help_behavior_hint="")] = None,
    bones: Literal["free", "constant", "symmetric"] = "free",
    world: bool = False,
    up: Annotated[tuple[float, float, float] | None, arg(metavar="X Y Z", help_behavior_hint="")] = None,
    floor: Annotated[float | None, arg(metavar="M", help_behavior_hint="")] = None,
    plant_feet: bool = False,
    export: Annotated[str | None, arg(metavar="LIST", help_behavior_hint="")] = None,
) -> None:
    """Lift a video or 2D keypoints to 3D motion.

    Writes <name>.pose3d.npz, <name>.json, <name>.html and <name>.overlay.mp4: all of them or none. Of several people
    each has a <name>_personNN.pose3d.npz and .json; the page and the overlay show them together.

    Args:
        input: A video, or 2D keypoints: a folder of OpenPose's, or a file of AlphaPose, MMPose, COCO, MediaPipe,
            DeepLabCut, SLEAP, movement, Sports2D or VideoPose3D, csv, npz or npy (docs/files-in.md).
        out: The folder for the results.
        detector: What finds the 2D joints in a video.
        fps: Frames per second, where the file does not say or says it wrong.
        size: Width and height of the image in pixels, where a keypoint file does not say.
        skeleton: The keypoints' convention: h36m_17, mpi_inf_3dhp_17, coco_17, blazepose_33, halpe_26, body_25.
        fov: Field of view over the longer image side, degrees; 55 is assumed where nothing is known.
        focal: Focal length in pixels.
        calib: Calibration: Pose2Sim TOML, Qualisys .qca.txt, OpenCV YAML or our JSON.
        weights: The weights that ship, by name, or a weights file.
        hypotheses: How many times to lift; their mean is the result, their spread its uncertainty.
        steps: Denoising steps of each.
        eta: Noise put back at each step: 0 none, 1 all.
        flip: Lift the mirrored input too and take the mean.
        aggregate: How hypotheses become one: their mean (p-agg), weighted by how well each reprojects (l-agg), or per
            joint the one that reprojects best (j-agg).
        fit: Fit the result to the 2D, as far as that is to be trusted, and to bones of constant length.
        save_hypotheses: Keep every hypothesis in the npz file.
        seed: Of the noise: equal seeds give equal files.
        device: Where the network runs.
        window: Frames that the network sees at once.
        overlap: Frames that neighbouring windows share.
        overlay: Write the overlay video.
        video: Carry the video in the page, small.
        person: Of several people take one by number (0 fills most of the clip), the largest, or all. Without it a
            video's one person is followed, and a keypoint file must hold one.
        height: The person's true height, metres: fixes the scale.
        smooth: Low-pass the motion, zero-phase, at this cut-off, Hz; it lowers peak speeds, and says by how much.
        bones: Keep the bones' lengths over the clip, or besides make them equal left and right.
        world: Find up and the floor from standing feet, for a camera that does not move; feet then stand at z = 0.
        up: Up in the camera's frame (x right, y down, z forward), where it is known.
        floor: The camera's height above the floor, metres, where it is known.
        plant_feet: Hold standing feet where they stand.
        export: Further files: bvh, c3d, trc, mot, glb, usd, csv, json, parquet, netcdf (docs/formats-out.md).
    """
    from dreampose3d.files import check_folder_writable

    size_px = None if size is None else parsed_size(size)
    if not input.exists():
        raise FileNotFoundError(f"no such file: {input}")
    check_folder_writable(out)

    from dreampose3d.export.formats import formats_named
    from dreampose3d.export.results import write_results
    from dreampose3d.lifting.lifter import Lifter, LiftOptions
    from dreampose3d.lifting.source import choose_camera, read_2d, read_people
    from dreampose3d.lifting.video import is_video
    from dreampose3d.motion.refine import Refinement, refine_everyone

    formats = () if export is None else formats_named(export)
    which = None if person is None else _parsed_person(person)
    refinement = Refinement(height, smooth, bones, world, up, floor, plant_feet)
    options = LiftOptions(
        flip=flip,
        seed=seed,
        fit=fit,
        save_hypotheses=save_hypotheses,
        aggregate=aggregate,
        **given(hypotheses=hypotheses, steps=steps, eta=eta, window=window, overlap=overlap),
    )
    camera = choose_camera(fov, focal, calib, hint=input.stem)
    lifter = Lifter.load(weights, device)  # before the detector, which takes longest: what is wrong shows at once
    with Progress(f"finding the person ({detector})") as progress:
        if which is None:
            people = [read_2d(input, camera, detector, fps, size_px, skeleton, progress.of)]
        else:
            people = read_people(input, which, camera, detector, fps, size_px, skeleton, progress.of)
    motions = []
    for number, sequence in enumerate(people):
        with Progress(f"lifting {number + 1}/{len(people)}" if len(people) > 1 else "lifting") as progress:
            motions.append(lifter.lift(sequence, options, progress))
    motions = refine_everyone(motions, refinement)
    page = write_results(motions, out, input if is_video(input) else None, overlay, video, formats)
    print(f"open {page}")


def parsed_size(text: str) -> tuple[int, int]:
    """`1920x1080` as (1920, 1080)."""
    found = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if not found or not min(size := (int(found[1]), int(found[2]))):
        raise ValueError(f"expected --size as WxH in pixels, such as 1920x1080; got {text!r}")
    return size


def _parsed_person(text: str) -> int | Literal["largest", "all"]:
    """A number, `largest` or `all`."""
    if text in ("largest", "all"):
        return "largest" if text == "largest" else "all"
    if not text.isdecimal():
        raise ValueError(f"expected --person as a number from 0, largest or all; got {text!r}")
    return int(text)
