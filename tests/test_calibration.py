import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dreampose3d.calibration import pick_camera, read_calibration, read_calibrations, write_calibration
from dreampose3d.camera import Camera

ROTATION_VECTOR = [1.2, -0.4, 0.7]
TOML = f"""
[cam_01]
name = "cam_01"
size = [ 1088.0, 1920.0]
matrix = [ [ 1681.2, 0.0, 533.0], [ 0.0, 1681.1, 948.1], [ 0.0, 0.0, 1.0]]
distortions = [ -0.046, 0.14, 0.0006, 0.0007]
rotation = {ROTATION_VECTOR}
translation = [ 0.3, -0.2, 4.5]
fisheye = false

[metadata]
adjusted = false
error = 0.0
"""
QUALISYS = """<?xml version='1.0' encoding='ASCII'?>
<calibration source="x" type="regular"><cameras>
  <camera active="1" model="none" serial="cam01" viewrotation="0">
    <fov_marker bottom="1" left="0" right="1" top="0"/>
    <fov_video bottom="1919" left="0" right="1087" top="0"/>
    <transform r11="0" r12="1" r13="0" r21="0" r22="0" r23="1" r31="1" r32="0" r33="0" x="1460.0" y="-1909.0" z="1896.5"/>
    <intrinsic centerPointU="34112" centerPointV="60672" focalLengthU="107584" focalLengthV="107520"
      radialDistortion1="-0.046" radialDistortion2="0.14" radialDistortion3="0.0" sensorMaxU="69568" skew="0.0"
      tangentalDistortion1="0.0006" tangentalDistortion2="0.0007"/>
  </camera>
  <camera active="1" model="none" serial="cam02" viewrotation="0">
    <fov_video bottom="1019" left="100" right="899" top="20"/>
    <transform r11="0" r12="1" r13="0" r21="0" r22="0" r23="1" r31="1" r32="0" r33="0" x="0" y="0" z="0"/>
    <intrinsic centerPointU="32000" centerPointV="32000" focalLengthU="64000" focalLengthV="64000"
      radialDistortion1="0" radialDistortion2="0" radialDistortion3="0" skew="0"
      tangentalDistortion1="0" tangentalDistortion2="0"/>
  </camera>
</cameras></calibration>
"""  # noqa: E501
ROS = """image_width: 640
image_height: 480
camera_name: narrow
camera_matrix:
  rows: 3
  cols: 3
  data: [500.0, 0.0, 320.0, 0.0, 501.0, 240.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.1, 0.01, 0.001, 0.002, 0.0]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
"""


@pytest.fixture
def file(tmp_path):
    def write(text, name="calibration.txt"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_pose2sim_projects_as_opencv_does(file):
    """Its translation is in metres, its rotation a Rodrigues vector: cv2 reads the same fields by itself."""
    camera = read_calibration(file(TOML))
    world_mm = np.random.default_rng(0).normal(0, 400, (20, 3))
    expected, _ = cv2.projectPoints(
        world_mm / 1000,
        np.array(ROTATION_VECTOR),
        np.array([0.3, -0.2, 4.5]),
        np.array([[1681.2, 0, 533.0], [0, 1681.1, 948.1], [0, 0, 1]]),
        np.array([-0.046, 0.14, 0.0006, 0.0007]),
    )
    got = camera.project(camera.to_camera(torch.from_numpy(world_mm)))
    np.testing.assert_allclose(got.numpy(), expected[:, 0], atol=1e-6)  # px
    assert camera.size_px == (1088, 1920)


def test_a_pose2sim_table_without_pose_stands_at_the_origin(file):
    bare = "\n".join(line for line in TOML.splitlines() if not line.startswith(("rotation", "translation")))
    camera = read_calibration(file(bare))
    assert camera.position_mm == (0, 0, 0)
    assert camera.rotation == ((1, 0, 0), (0, 1, 0), (0, 0, 1))


def test_pose2sim_turns_by_a_rodrigues_vector(file):
    rotation = read_calibration(file(TOML)).rotation
    np.testing.assert_allclose(rotation, Rotation.from_rotvec(ROTATION_VECTOR).as_matrix(), atol=1e-12)


def test_qualisys_counts_64ths_of_a_pixel_and_looks_along_minus_z(file):
    camera = read_calibration(file(QUALISYS), "cam01")
    assert camera == Camera(
        size_px=(1088, 1920),
        focal_px=(1681.0, 1680.0),
        center_px=(533.0, 948.0),
        distortion=(-0.046, 0.14, 0.0006, 0.0007, 0.0),
        rotation=((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (-1.0, 0.0, 0.0)),
        position_mm=(1460.0, -1909.0, 1896.5),
    )


def test_a_qualisys_camera_that_uses_a_part_of_its_sensor_counts_its_centre_from_there(file):
    camera = read_calibration(file(QUALISYS), "cam02")
    assert camera.size_px == (800, 1000)
    assert camera.center_px == (400.0, 480.0)


def test_opencv_yaml_as_opencv_writes_it(tmp_path):
    path = tmp_path / "camera.yml"
    matrix = np.array([[1234.5, 0, 640.25], [0, 1233.5, 359.75], [0, 0, 1]])
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("calibration_time", "Mon Nov 23 10:00:00 2026")
    storage.write("image_width", 1280)
    storage.write("image_height", 720)
    storage.write("fisheye_model", 0)
    storage.write("camera_matrix", matrix)
    storage.write("distortion_coefficients", np.array([[-0.21, 0.05, 1e-4, -2e-4, 0.003]]).T)
    storage.release()
    camera = read_calibration(path)
    assert (camera.size_px, camera.focal_px, camera.center_px) == ((1280, 720), (1234.5, 1233.5), (640.25, 359.75))
    assert camera.distortion == (-0.21, 0.05, 1e-4, -2e-4, 0.003)


def test_opencv_yaml_as_ros_writes_it(file):
    camera = read_calibrations(file(ROS))["narrow"]
    assert camera.focal_px == (500.0, 501.0)
    assert camera.distortion == (-0.1, 0.01, 0.001, 0.002, 0.0)


def test_our_json_returns_what_was_written(tmp_path, file):
    cameras = read_calibrations(file(QUALISYS)) | {"guess": Camera.from_fov((640, 480))}
    cameras["guess"] = replace(cameras["guess"], assumed=True, thin_prism=(0.001, -0.002))
    write_calibration(cameras, tmp_path / "cameras.json")
    assert read_calibrations(tmp_path / "cameras.json") == cameras
    write_calibration(cameras["cam01"], tmp_path / "one.json")
    assert read_calibration(tmp_path / "one.json") == cameras["cam01"]


@pytest.mark.parametrize("text", [TOML, QUALISYS, ROS])
def test_a_file_is_recognised_by_what_it_holds(file, text):
    assert read_calibrations(file(text, "wrong.suffix")) == read_calibrations(file(text, "none"))
    assert read_calibrations(file("\ufeff" + text, "bom.txt")) == read_calibrations(file(text, "none"))


@pytest.mark.parametrize(
    ("names", "hint", "picked"),
    [
        (("cam01", "cam02"), "cam02", "cam02"),
        (("cam01", "cam02"), "CAM02", "cam02"),
        (("cam1", "cam12"), "jump_cam12", "cam12"),
        (("left", "right"), "trial-3_left", "left"),
        (("int_cam01_img", "int_cam02_img"), "cam02", "int_cam02_img"),
        (("Camera 1", "Camera 3"), "GX03", "Camera 3"),
        (("only",), "anything", "only"),
    ],
)
def test_a_videos_name_picks_its_camera(names, hint, picked):
    cameras = {name: Camera.from_fov((100 + i, 100)) for i, name in enumerate(names)}
    assert pick_camera(cameras, hint) is cameras[picked]


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (("cam1", "cam2"), "walk"),
        (("cam1", "cam2"), "cam12"),  # begins with cam1, and is another camera
        (("cam1", "cam3"), "take3_1"),  # either number could be the camera's
        (("21534", "21535"), "cam02"),  # the second in the file, perhaps
    ],
)
def test_a_videos_name_that_fits_no_camera_or_several_picks_none(names, hint):
    cameras = {name: Camera.from_fov((100, 100)) for name in names}
    with pytest.raises(ValueError, match=f"cannot tell which camera filmed '{hint}': .* {', '.join(names)}"):
        pick_camera(cameras, hint)


def test_several_cameras_want_a_name(file):
    path = file(QUALISYS)
    with pytest.raises(ValueError, match="holds 2 cameras: cam01, cam02; name the one that filmed"):
        read_calibration(path)
    with pytest.raises(ValueError, match="no camera 'cam03'; it has cam01, cam02"):
        read_calibration(path, "cam03")


def test_a_missing_or_binary_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such calibration file: .*nothing\.toml"):
        read_calibrations(tmp_path / "nothing.toml")
    (tmp_path / "video.toml").write_bytes(b"\x00\x00\x00\x18ftypmp42\xff\xfe")
    with pytest.raises(ValueError, match="not a text file; calibrations are read from Pose2Sim TOML, Qualisys"):
        read_calibrations(tmp_path / "video.toml")


OURS = json.dumps(
    {
        "format": "dreampose3d cameras",
        "cameras": {"a": {"size_px": [640, 480], "focal_px": [500, 500], "center_px": [320, 240]}},
    }
)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"holds no camera; calibrations are read from Pose2Sim TOML"),
        ("hello world", "not a calibration file that is known .* as TOML"),
        ("<html><p></html>", "not a calibration file that is known .* as XML"),
        ("<html></html>", "holds no camera"),
        ("{]", "not a calibration file that is known .* as JSON"),
        ('{"cameras": {}}', 'expected JSON with "format": "dreampose3d cameras"'),
        (OURS.replace('"a": {', '"a": 3, "b": {'), "camera a: expected its fields, got 3"),
        (OURS.replace("[500, 500]", "null"), "camera a: expected focal_px with 2 numbers, got None"),
        (OURS.replace("[500, 500]", "[500, -500]"), "camera a: expected a positive focal length"),
        (OURS.replace("[640, 480]", "[0, 480]"), "camera a: expected a positive image size, got 0x480"),
        (OURS.replace("[500, 500]", '[500, 500], "rotation": [[2,0,0],[0,1,0],[0,0,1]]'), "expected a rotation"),
        (OURS.replace("[500, 500]", '[500, 500], "rotation": [[1,0,0],[0,1,0],[0,0,-1]]'), "expected a rotation"),
        (OURS.replace("[500, 500]", '[500, 500], "distortion": ["a"]'), "distortion as a list of numbers"),
        (TOML.replace("fisheye = false", "fisheye = true"), "cam_01: fisheye is not a lens model that is read here"),
        (TOML.replace("0.0007]", "0.0007, 0, 0.1]"), "cam_01: distortion .* undistort the video first"),
        (TOML.replace("size =", "sizes ="), "cam_01: expected size with 2 numbers, got None"),
        (TOML.replace("[ 1681.2, 0.0, 533.0]", "[ 1681.2, 20.0, 533.0]"), "cam_01: expected a matrix"),
        (TOML.replace("[ 0.0, 0.0, 1.0]", "[ 0.0, 0.0, 2.0]"), "cam_01: expected a matrix"),
        (TOML.replace("4.5]", "nan]"), "cam_01: expected translation with 3 numbers"),
        (TOML + TOML.replace("[cam_01]", "[other]").replace("[metadata]", "[more]"), "two cameras are called 'cam_01'"),
        (QUALISYS.replace('viewrotation="0"', 'viewrotation="90"'), "camera cam01: its view is turned by 90 degrees"),
        (QUALISYS.replace("fov_video", "fov_film"), "cam01: expected numbers left, top, .* no such element"),
        (QUALISYS.replace('skew="0.0"', 'skew="wide"'), "cam01: expected numbers skew, .* in <intrinsic>"),
        (ROS.replace("plumb_bob", "equidistant"), "camera narrow: fisheye is not a lens model"),
        (ROS.replace("image_height", "height"), "expected image_width and image_height"),
        (ROS.replace("distortion_coefficients", "d"), "expected a matrix distortion_coefficients"),
        (ROS.replace("501.0, ", ""), "camera narrow: expected camera_matrix with 9 numbers"),
        (ROS.replace("0.002, 0.0]", "0.002, 0.0, 1.5, 0.2, 0.1]"), "camera narrow: distortion .* five coefficients"),
    ],
)
def test_every_mistake_is_named(file, text, match):
    path = file(text)
    with pytest.raises(ValueError, match=match) as error:
        read_calibrations(path)
    assert str(error.value).startswith(str(path))


def test_eight_coefficients_of_which_three_are_zero_are_five(file):
    eight = read_calibration(file(ROS.replace("0.002, 0.0]", "0.002, 0.0, 0.0, 0.0, 0.0]")))
    assert eight == read_calibration(file(ROS))
