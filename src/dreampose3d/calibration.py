"""Cameras from calibration files: Pose2Sim TOML, Qualisys `.qca.txt`, OpenCV YAML, and our own JSON.

A file is recognised by what it holds, whatever its name. One function a format; each yields `Camera`s,
whose lens model is OpenCV's with up to five coefficients (k1, k2, p1, p2, k3): others are refused.
"""

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.camera import Camera
from dreampose3d.files import atomic_write

_FORMATS = "Pose2Sim TOML, Qualisys .qca.txt, OpenCV YAML (camera_matrix ...) and dreampose3d JSON"
_JSON_TITLE = "dreampose3d cameras"
_QUALISYS_SUBPIXELS = 64  # Qualisys writes its intrinsics in 64ths of a pixel
_QUALISYS_AXES = np.diag([1.0, -1.0, -1.0])  # its camera looks along -z with y up, ours along z with y down


def read_calibration(path: Path, camera_name: str | None = None) -> Camera:
    """Read one camera of a calibration file.

    Args:
        path: The file, in any of the formats of `read_calibrations`.
        camera_name: Which camera; may be left out if the file holds one only.

    Raises:
        ValueError: If the file holds several cameras and none is named, or none of that name; else as
            `read_calibrations`.
    """
    cameras = read_calibrations(path)
    if camera_name is None and len(cameras) == 1:
        return next(iter(cameras.values()))
    if camera_name is None:
        raise ValueError(f"{path} holds {len(cameras)} cameras: {', '.join(cameras)}; name the one that filmed")
    if camera_name not in cameras:
        raise ValueError(f"{path} has no camera {camera_name!r}; it has {', '.join(cameras)}")
    return cameras[camera_name]


def read_calibrations(path: Path) -> dict[str, Camera]:
    """Read all cameras of a calibration file, by name and in the file's order.

    Formats: Pose2Sim TOML (a table per camera: size, matrix, distortions, rotation as a Rodrigues vector,
    translation in metres), Qualisys `.qca.txt`, OpenCV YAML as its calibration sample and ROS write it (intrinsics
    only), and the JSON of `write_calibration`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is none of these, lacks something, or uses another lens model.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such calibration file: {path}")
    try:
        return parse_calibration(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file; calibrations are read from {_FORMATS}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def parse_calibration(text: str) -> dict[str, Camera]:
    """Read all cameras from the text of a calibration file, as `read_calibrations` does.

    Raises:
        ValueError: If the text is in no format that is known, lacks something, or uses another lens model.
    """
    cameras = _unique(_reader(text)(text))
    if not cameras:
        raise ValueError(f"it holds no camera; calibrations are read from {_FORMATS}")
    return cameras


def write_calibration(cameras: Camera | Mapping[str, Camera], path: Path) -> None:
    """Write cameras as our own JSON (pixels, millimetres, `x_cam = R @ (x_world - position)`).

    Args:
        cameras: One camera, which is named `camera`, or several by name.
        path: The file to write.

    Raises:
        OSError: If the file cannot be written.
    """
    if isinstance(cameras, Camera):
        cameras = {"camera": cameras}
    document = {
        "format": _JSON_TITLE,
        "conventions": "pixels and mm; x right, y down, z forward; x_cam = rotation @ (x_world - position_mm); "
        "distortion k1 k2 p1 p2 k3, thin_prism s1 s3 (OpenCV)",
        "cameras": {name: asdict(camera) for name, camera in cameras.items()},
    }
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def pick_camera(cameras: Mapping[str, Camera], hint: str) -> Camera:
    """Pick the camera that a video's name points to.

    The only camera; or the one of that name; or the only one whose name is a word of the hint, or the hint a word
    of it (`cam03` in `jump_cam03`); or the only one whose last number is among the hint's (`Camera 3`, `int_cam03`).
    The place in the file never decides.

    Args:
        cameras: By name, as from `read_calibrations`.
        hint: Usually the stem of the video's file name.

    Raises:
        ValueError: If no camera or more than one fits, with the names.
    """
    if len(cameras) == 1:
        return next(iter(cameras.values()))
    wanted = hint.casefold()
    rules: tuple[Callable[[str], bool], ...] = (
        lambda name: name == wanted,
        lambda name: _is_word(name, wanted) or _is_word(wanted, name),
        lambda name: bool(_numbers_in(name)[-1:]) and _numbers_in(name)[-1] in _numbers_in(wanted),
    )
    for fits in rules:
        found = [name for name in cameras if fits(name.casefold())]
        if len(found) == 1:
            return cameras[found[0]]
    raise ValueError(
        f"cannot tell which camera filmed {hint!r}: the calibration holds {', '.join(cameras)}; "
        "name the video after its camera"
    )


def _is_word(part: str, whole: str) -> bool:
    """Whether `part` stands in `whole` with no letter or digit next to it."""
    return re.search(rf"(?<![^\W_]){re.escape(part)}(?![^\W_])", whole) is not None


def _numbers_in(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


Named = Iterator[tuple[str, Camera]]


def _reader(text: str) -> Callable[[str], Named]:
    """The reader of the format that a text is in."""
    start = text.lstrip()[:1]
    if start == "<":
        return _read_qualisys
    if start == "{":
        return _read_json
    if text.lstrip().startswith("%YAML") or re.search(r"^(camera_matrix|image_width)\s*:", text, re.MULTILINE):
        return _read_opencv
    return _read_pose2sim


def _unique(cameras: Named) -> dict[str, Camera]:
    named: dict[str, Camera] = {}
    for name, camera in cameras:
        if name in named:
            raise ValueError(f"two cameras are called {name!r}; rename one")
        named[name] = camera
    return named


def _read_pose2sim(text: str) -> Named:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not a calibration file that is known ({_FORMATS}); as TOML: {error}") from None
    for key, table in tables.items():
        if not isinstance(table, dict) or "matrix" not in table:
            continue  # [metadata]
        name = str(table.get("name", key))
        if table.get("fisheye"):
            raise ValueError(_other_lens(name, "fisheye"))
        rotation = _rodrigues(_numbers(table.get("rotation", (0, 0, 0)), (3,), name, "rotation"))
        translation_m = _numbers(table.get("translation", (0, 0, 0)), (3,), name, "translation")
        yield (
            name,
            _camera(
                name,
                size_px=_numbers(table.get("size"), (2,), name, "size"),
                matrix=_numbers(table["matrix"], (3, 3), name, "matrix"),
                distortion=_flat(table.get("distortions", ()), name, "distortions"),
                rotation=rotation,
                position_mm=-1000 * rotation.T @ translation_m,
            ),
        )


def _read_qualisys(text: str) -> Named:
    """Intrinsics in 1/64 px, the camera's place in mm, and rows r1, r2, r3 of its world-to-camera rotation.

    Read so, triangulated keypoints of four calibrated views reproject to about 10 px; any other reading of the axes
    gives hundreds.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"not a calibration file that is known ({_FORMATS}); as XML: {error}") from None
    for number, element in enumerate(root.iterfind("cameras/camera"), start=1):
        name = element.get("serial", str(number))
        if float(element.get("viewrotation", 0)) != 0:
            raise ValueError(
                f"camera {name}: its view is turned by {element.get('viewrotation')} degrees, which is not read; "
                "export the calibration for the upright video, or give --focal"
            )
        left, top, right, bottom = _attributes(element, name, "fov_video", "left", "top", "right", "bottom")
        fu, fv, cu, cv = _attributes(
            element, name, "intrinsic", "focalLengthU", "focalLengthV", "centerPointU", "centerPointV"
        )
        skew, *distortion = _attributes(
            element, name, "intrinsic", "skew", "radialDistortion1", "radialDistortion2",
            "tangentalDistortion1", "tangentalDistortion2", "radialDistortion3",
        )  # fmt: skip
        rows = _attributes(element, name, "transform", *(f"r{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3)))
        matrix = np.array([[fu, skew, cu], [0, fv, cv], [0, 0, _QUALISYS_SUBPIXELS]]) / _QUALISYS_SUBPIXELS
        matrix[:2, 2] -= left, top  # the centre is counted from the sensor's corner, the image may be a part of it
        yield (
            name,
            _camera(
                name,
                size_px=np.array([right - left + 1, bottom - top + 1]),
                matrix=matrix,
                distortion=distortion,
                rotation=_QUALISYS_AXES @ np.reshape(rows, (3, 3)),
                position_mm=np.array(_attributes(element, name, "transform", "x", "y", "z")),
            ),
        )


def _attributes(element: ElementTree.Element, camera: str, tag: str, *names: str) -> list[float]:
    child = element.find(tag)
    values = {} if child is None else child.attrib
    try:
        return [float(values[name]) for name in names]
    except (KeyError, ValueError):
        raise ValueError(
            f"camera {camera}: expected numbers {', '.join(names)} in <{tag}>, got {values or 'no such element'}"
        ) from None


def _read_opencv(text: str) -> Named:
    """The keys that OpenCV's calibration sample and ROS write: intrinsics of one camera, no place in the world."""
    name = _yaml_word(text, "camera_name") or "camera"
    model = _yaml_word(text, "distortion_model") or ""
    fisheye = _yaml_word(text, "fisheye_model") or "0"
    if fisheye != "0" or model in ("equidistant", "fisheye"):
        raise ValueError(_other_lens(name, "fisheye"))
    sides = [_yaml_word(text, key) for key in ("image_width", "image_height")]
    if None in sides:
        raise ValueError("expected image_width and image_height; add the size of the calibration's images, pixels")
    yield (
        name,
        _camera(
            name,
            size_px=_numbers(sides, (2,), name, "image_width and image_height"),
            matrix=_numbers(_yaml_data(text, "camera_matrix"), (9,), name, "camera_matrix").reshape(3, 3),
            distortion=_flat(_yaml_data(text, "distortion_coefficients"), name, "distortion_coefficients"),
        ),
    )


def _yaml_word(text: str, key: str) -> str | None:
    """The value of a plain `key: value` line."""
    found = re.search(rf"^{key}\s*:\s*[\"']?([^\s\"'#]+)", text, re.MULTILINE)
    return found[1] if found else None


def _yaml_data(text: str, key: str) -> list[str]:
    """The numbers of `data: [...]` in the indented block under `key`."""
    found = re.search(rf"^{key}\s*:[^\n]*\n((?:[ \t]+[^\n]*\n?)+)", text, re.MULTILINE)
    data = re.search(r"data\s*:\s*\[([^\]]*)\]", found[1]) if found else None
    if not data:
        raise ValueError(f"expected a matrix {key} with rows, cols and data: [...]; found none")
    return [number for number in re.split(r"[,\s]+", data[1]) if number]


def _read_json(text: str) -> Named:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not a calibration file that is known ({_FORMATS}); as JSON: {error}") from None
    if document.get("format") != _JSON_TITLE or not isinstance(document.get("cameras"), dict):
        raise ValueError(f'expected JSON with "format": "{_JSON_TITLE}" and "cameras", as write_calibration makes it')
    for name, fields in document["cameras"].items():
        if not isinstance(fields, dict):
            raise ValueError(f"camera {name}: expected its fields, got {fields!r}")
        (fx, fy), (cx, cy) = (_numbers(fields.get(key), (2,), name, key) for key in ("focal_px", "center_px"))
        yield (
            name,
            _camera(
                name,
                size_px=_numbers(fields.get("size_px"), (2,), name, "size_px"),
                matrix=np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
                distortion=_flat(fields.get("distortion", ()), name, "distortion"),
                rotation=_numbers(fields.get("rotation", np.eye(3)), (3, 3), name, "rotation"),
                position_mm=_numbers(fields.get("position_mm", np.zeros(3)), (3,), name, "position_mm"),
                assumed=bool(fields.get("assumed", False)),
                thin_prism=_numbers(fields.get("thin_prism", np.zeros(2)), (2,), name, "thin_prism"),
            ),
        )


def _camera(
    name: str,
    size_px: Float[ndarray, "2"],
    matrix: Float[ndarray, "3 3"],
    distortion: Sequence[float],
    rotation: Float[ndarray, "3 3"] | None = None,
    position_mm: Float[ndarray, "3"] | None = None,
    assumed: bool = False,
    thin_prism: Float[ndarray, "2"] | None = None,
) -> Camera:
    """A camera from what every format ends in, once it is known to fit our lens model."""
    (fx, skew, cx), (_, fy, cy), _ = matrix.tolist()
    expected = np.array([[fx, skew, cx], [0, fy, cy], [0, 0, 1]])
    if not np.allclose(matrix, expected) or abs(skew) > 1e-3 * abs(fx):
        raise ValueError(f"camera {name}: expected a matrix [[fx 0 cx] [0 fy cy] [0 0 1]], got {matrix.tolist()}")
    if any(distortion[5:]) or not np.isfinite(distortion).all():
        raise ValueError(_other_lens(name, f"distortion {list(distortion)}"))
    rotation = np.eye(3) if rotation is None else rotation
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
        raise ValueError(f"camera {name}: expected a rotation, got {rotation.tolist()}")
    place = (0.0, 0.0, 0.0) if position_mm is None else tuple(position_mm.tolist())
    try:
        return Camera(
            size_px=(round(size_px[0]), round(size_px[1])),
            focal_px=(fx, fy),
            center_px=(cx, cy),
            distortion=(*distortion[:5], *[0.0] * (5 - len(distortion))),  # type: ignore[arg-type]
            rotation=tuple(tuple(row) for row in rotation.tolist()),
            position_mm=place,
            assumed=assumed,
            thin_prism=(0.0, 0.0) if thin_prism is None else tuple(thin_prism.tolist()),
        )
    except ValueError as error:
        raise ValueError(f"camera {name}: {error}") from None


def _other_lens(name: str, what: str) -> str:
    return (
        f"camera {name}: {what} is not a lens model that is read here (OpenCV's pinhole with k1 k2 p1 p2 k3); "
        "undistort the video first and give --focal, or calibrate with five coefficients"
    )


def _numbers(value: Any, shape: tuple[int, ...], camera: str, what: str) -> Float[ndarray, "..."]:
    """An array of finite numbers in the shape wanted, or an error that names the field."""
    array = np.empty(())
    with suppress(TypeError, ValueError):
        array = np.asarray(value, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"camera {camera}: expected {what} with {' x '.join(map(str, shape))} numbers, got {value!r}")
    return array


def _flat(value: Any, camera: str, what: str) -> list[float]:
    """A list of numbers of any length, nested or not."""
    try:
        return [float(number) for number in np.ravel(np.array(value, float))]
    except (TypeError, ValueError):
        raise ValueError(f"camera {camera}: expected {what} as a list of numbers, got {value!r}") from None


def _rodrigues(vector: Float[ndarray, "3"]) -> Float[ndarray, "3 3"]:
    """The rotation by |v| radians about v: R = I + sin(a) [u] + (1 - cos(a)) [u]^2 with u = v / |v|."""
    angle = math.sqrt(float(vector @ vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: Float[ndarray, "3 3"] = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    return rotation
