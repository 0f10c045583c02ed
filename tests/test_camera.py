import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dreampose3d.camera import DEFAULT_FOV_DEGREES, Camera, normalise_screen

LENSES = {
    "none": (0.0, 0.0, 0.0, 0.0, 0.0),
    "barrel": (-0.25, 0.08, 0.0, 0.0, -0.01),
    "pincushion": (0.15, -0.02, 0.0, 0.0, 0.01),
    "tilted": (-0.1, 0.02, 0.003, -0.002, 0.0),
}
EVERY_LENS = pytest.mark.parametrize("distortion", LENSES.values(), ids=LENSES.keys())
PIXEL = 1e-4
"""How closely we follow OpenCV, in pixels; its undistortion stops there too."""


def test_a_point_goes_through_the_camera_and_its_ray_comes_back():
    camera = Camera.from_focal((1920, 1080), 1500.0)
    point_mm = torch.tensor([400.0, -300.0, 4000.0])
    pixel = camera.project(point_mm)
    torch.testing.assert_close(pixel, torch.tensor([960 + 1500 * 0.1, 540 - 1500 * 0.075]))
    torch.testing.assert_close(camera.rays(pixel), torch.tensor([0.1, -0.075]))


@EVERY_LENS
def test_projection_agrees_with_opencv(distortion):
    cv2 = pytest.importorskip("cv2")
    camera, world = somewhere(distortion), random_points()
    rotation, position = np.array(camera.rotation), np.array(camera.position_mm)
    theirs, _ = cv2.projectPoints(
        world.numpy(), cv2.Rodrigues(rotation)[0], -rotation @ position, intrinsics(camera), np.array(distortion)
    )
    ours = camera.project(camera.to_camera(world))
    np.testing.assert_allclose(ours, theirs[:, 0], atol=PIXEL, rtol=0)


@EVERY_LENS
def test_rays_agree_with_opencv(distortion):
    cv2 = pytest.importorskip("cv2")
    camera = somewhere(distortion)
    pixels = camera.project(camera.to_camera(random_points()))
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    theirs = cv2.undistortPoints(
        pixels.numpy()[:, None], intrinsics(camera), np.array(distortion), None, None, None, criteria
    )
    ours = camera.rays(pixels)
    np.testing.assert_allclose(ours * 1200, theirs[:, 0] * 1200, atol=PIXEL, rtol=0)  # 1200 px is the focal length


def test_a_thin_prism_agrees_with_opencv_and_is_undone():
    cv2 = pytest.importorskip("cv2")
    camera = dataclasses.replace(somewhere(LENSES["tilted"]), thin_prism=(0.004, -0.003))
    inside = camera.to_camera(random_points())
    coefficients = np.array((*camera.distortion, 0, 0, 0, 0.004, 0, -0.003, 0))
    theirs, _ = cv2.projectPoints(inside.numpy(), np.zeros(3), np.zeros(3), intrinsics(camera), coefficients)
    np.testing.assert_allclose(camera.project(inside), theirs[:, 0], atol=PIXEL, rtol=0)
    torch.testing.assert_close(camera.rays(camera.project(inside)), inside[:, :2] / inside[:, 2:], atol=1e-9, rtol=0)
    only = dataclasses.replace(somewhere(), thin_prism=(0.004, -0.003))
    torch.testing.assert_close(only.rays(only.project(inside)), inside[:, :2] / inside[:, 2:], atol=1e-9, rtol=0)


@EVERY_LENS
@pytest.mark.parametrize(("dtype", "tolerance_px"), [(torch.float64, 1e-9), (torch.float32, 2e-3)])
def test_pixels_and_rays_undo_each_other(distortion, dtype, tolerance_px):
    """All over the image, batched, in the input's precision (float32: 2e-7 of 2000 px, and some steps)."""
    camera = somewhere(distortion)
    grid = torch.cartesian_prod(torch.linspace(0, 1920, 13), torch.linspace(0, 1080, 9)).to(dtype).view(13, 9, 2)
    rays = camera.rays(grid)
    assert rays.dtype == dtype
    torch.testing.assert_close(camera.pixels(rays), grid, atol=tolerance_px, rtol=0)


def test_world_and_camera_frame_undo_each_other():
    """x_cam = R (x_world - position), point by point."""
    camera, world = somewhere(), random_points()
    inside = camera.to_camera(world)
    for point, seen in zip(world.numpy(), inside.numpy(), strict=True):
        np.testing.assert_allclose(seen, np.array(camera.rotation) @ (point - camera.position_mm), atol=1e-9)
    torch.testing.assert_close(camera.to_world(inside), world, atol=1e-9, rtol=0)
    torch.testing.assert_close(camera.to_camera(torch.tensor(camera.position_mm).double()), torch.zeros(3).double())


def test_the_default_view_covers_55_degrees_of_the_longer_side():
    for size in ((1920, 1080), (1080, 1920)):
        camera = Camera.from_fov(size)
        assert camera.focal_px[0] == camera.focal_px[1] == pytest.approx(1920 / (2 * math.tan(math.radians(27.5))))
        assert camera.center_px == (size[0] / 2, size[1] / 2)
        assert camera.fov_degrees == pytest.approx(DEFAULT_FOV_DEGREES) == 55
    edges = Camera.from_fov((1920, 1080), 90.0).rays(torch.tensor([[0.0, 540.0], [1920.0, 540.0]]))
    torch.testing.assert_close(edges, torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))


@EVERY_LENS
def test_resizing_and_cropping_keep_the_rays(distortion):
    """What a pixel shows does not depend on the resolution, nor on what was cut away around it."""
    camera = somewhere(distortion)
    pixels = torch.tensor([[100.0, 900.0], [960.0, 540.0], [1700.0, 30.0]], dtype=torch.float64)
    rays = camera.rays(pixels)
    for size, scale in (((960, 540), 0.5), ((3840, 2160), 2.0)):
        torch.testing.assert_close(camera.resized(size).rays(pixels * scale), rays)
        assert camera.resized(size).size_px == size
    cx, cy = camera.center_px
    cropped = dataclasses.replace(camera, size_px=(800, 1080), center_px=(cx - 500, cy))
    torch.testing.assert_close(cropped.rays(pixels - pixels.new_tensor((500, 0))), rays)


def test_resizing_keeps_all_else_and_undoes_itself():
    camera = somewhere(LENSES["tilted"])
    back = camera.resized((960, 540)).resized((1920, 1080))
    assert back == camera
    assert camera.resized((960, 540)).fov_degrees == pytest.approx(camera.fov_degrees)
    camera.resized((1088, 612))
    camera.resized((1280, 724))  # rounded to even sides: 0.6 % off
    with pytest.raises(ValueError, match="for 1920x1080, the input has 1080x1920: another aspect ratio"):
        camera.resized((1080, 1920))


def test_turning_the_camera_turns_the_rays():
    """About its own centre: the image changes by a rotation of the rays, whatever the depths are."""
    camera, world = somewhere(), random_points()
    turn = Rotation.from_euler("yxz", (20, -5, 3), degrees=True).as_matrix()
    turned = dataclasses.replace(camera, rotation=as_rows(turn @ np.array(camera.rotation)))

    def directions(of):
        rays = of.rays(of.project(of.to_camera(world)))
        return torch.nn.functional.normalize(torch.nn.functional.pad(rays, (0, 1), value=1.0), dim=-1)

    torch.testing.assert_close(directions(turned), directions(camera) @ torch.from_numpy(turn).T)


def test_only_what_is_in_front_is_seen():
    camera = Camera.from_fov((640, 480))
    points = torch.tensor([[100.0, 0.0, 2000.0], [100.0, 0.0, -2000.0], [100.0, 0.0, 0.0], [torch.nan, 0.0, 1000.0]])
    assert camera.project(points).isnan().any(-1).tolist() == [False, True, True, True]


@EVERY_LENS
def test_missing_keypoints_stay_missing_and_spoil_no_other(distortion):
    camera = somewhere(distortion)
    pixels = torch.tensor([[100.0, 200.0], [torch.nan, torch.nan], [900.0, 500.0]])
    rays = camera.rays(pixels)
    assert rays.isnan().any(-1).tolist() == [False, True, False]
    torch.testing.assert_close(rays[[0, 2]], camera.rays(pixels[[0, 2]]))


def test_a_pixel_that_no_ray_reaches_is_missing():
    """x (1 + k1 x^2) with k1 = -0.3 turns back at x = 1 / sqrt(0.9), where it is 0.703: 703 px from the centre."""
    camera = dataclasses.replace(Camera.from_focal((1920, 1080), 1000.0), distortion=(-0.3, 0.0, 0.0, 0.0, 0.0))
    right_of_centre = torch.tensor([0.0, 400.0, 695.0, 710.0, 960.0, 5000.0, 1e6])
    pixels = torch.stack((960 + right_of_centre, torch.full_like(right_of_centre, 540)), -1)
    rays = camera.rays(pixels)
    assert rays.isnan().any(-1).tolist() == [False] * 3 + [True] * 4
    torch.testing.assert_close(camera.pixels(rays[:3]), pixels[:3], atol=2e-3, rtol=0)  # pixels
    assert (rays[:3, 0] < 1 / math.sqrt(0.9)).all()


def test_the_slope_of_the_distortion_is_its_derivative():
    camera = dataclasses.replace(somewhere(LENSES["tilted"]), thin_prism=(0.004, -0.003))
    for ray in torch.tensor([[0.0, 0.0], [0.4, -0.3], [-0.2, 0.6]], dtype=torch.float64):
        expected = torch.autograd.functional.jacobian(camera._distort, ray)
        torch.testing.assert_close(camera._distort_jacobian(ray), expected, atol=1e-12, rtol=0)


def test_gradients_pass_through_a_projection():
    camera = somewhere(LENSES["tilted"])
    points = camera.to_camera(random_points()[:3]).requires_grad_()
    assert torch.autograd.gradcheck(camera.project, points, atol=1e-4)


def test_a_camera_is_plain_data():
    camera = somewhere(LENSES["barrel"])
    assert {camera: "this one"}[dataclasses.replace(camera)] == "this one"
    assert json.loads(json.dumps(dataclasses.asdict(camera)))["size_px"] == [1920, 1080]
    assert not camera.assumed


def test_screen_normalisation_is_the_benchmarks():
    """x / w * 2 - [1, h / w], as VideoPose3D has it: the width spans [-1, 1], the height as much as its share."""
    corners = torch.tensor([[0.0, 0.0], [1000.0, 1002.0], [500.0, 501.0]])
    expected = torch.tensor([[-1.0, -1.002], [1.0, 1.002], [0.0, 0.0]])
    torch.testing.assert_close(normalise_screen(corners, (1000, 1002)), expected)


def test_impossible_cameras_are_refused():
    for size in ((0, 480), (640, -1)):
        for make in (Camera.from_fov, lambda size: Camera.from_focal(size, 500.0)):
            with pytest.raises(ValueError, match=f"a positive image size, got {size[0]}x{size[1]}"):
                make(size)
    for focal in (0.0, -500.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="a positive focal length in pixels"):
            Camera.from_focal((640, 480), focal)
    with pytest.raises(ValueError, match="a finite image centre"):
        Camera.from_focal((640, 480), 500.0, (math.nan, 240.0))
    for fov in (0.0, 180.0, -5.0, math.nan):
        with pytest.raises(ValueError, match=f"between 0 and 180 degrees, got {fov}"):
            Camera.from_fov((640, 480), fov)


def somewhere(distortion=LENSES["none"]):
    """Some camera with its centre off the middle, off the world's origin and turned."""
    rotation = as_rows(Rotation.from_euler("xyz", (95, 8, 4), degrees=True).as_matrix())
    return Camera((1920, 1080), (1200.0, 1210.0), (940.5, 561.25), distortion, rotation, (100.0, -4000.0, 1500.0))


def random_points():
    """Where a person might be: 4 m before that camera."""
    return torch.from_numpy(np.random.default_rng(0).uniform((-900, -600, 300), (900, 600, 2000), (50, 3)))


def intrinsics(camera):
    (fx, fy), (cx, cy) = camera.focal_px, camera.center_px
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def as_rows(matrix):
    return tuple(tuple(float(x) for x in row) for row in matrix)


def test_up_is_the_worlds_z_as_a_posed_camera_sees_it_else_against_its_own_y():
    camera = somewhere(LENSES["none"])
    points = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    above, below = camera.to_camera(points)
    torch.testing.assert_close(torch.tensor(camera.up, dtype=torch.float64), above - below)
    assert camera.posed
    unposed = Camera.from_fov((640, 480))
    assert not unposed.posed
    assert unposed.up == (0, -1, 0)
