"""A pinhole camera with lens distortion: world <-> camera <-> rays <-> pixels.

Axes of the camera frame: x right, y down, z forward (OpenCV). A *ray* is a point of the plane z = 1,
(x/z, y/z): what remains of a pixel once focal length, centre and distortion are taken out.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

DEFAULT_FOV_DEGREES = 55.0
"""The field of view over the longer image side that is assumed where no calibration is given."""

_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Camera:
    """Intrinsics, distortion and pose of one camera. Plain numbers, so that it is hashable and writes to JSON."""

    size_px: tuple[int, int]
    """(width, height) of the image, pixels."""
    focal_px: tuple[float, float]
    """(fx, fy), pixels."""
    center_px: tuple[float, float]
    """(cx, cy), pixels from the top left corner."""
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    """(k1, k2, p1, p2, k3), OpenCV's order and model."""
    rotation: tuple[tuple[float, float, float], ...] = _IDENTITY
    """R of `x_cam = R @ (x_world - position)`, row by row."""
    position_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """The camera's place in the world, mm."""
    assumed: bool = False
    """True if the intrinsics are a guess (a default field of view), not a calibration."""
    thin_prism: tuple[float, float] = (0.0, 0.0)
    """OpenCV's s1 and s3: shifts rays by r^2 along x and y. Human3.6M's lens model needs it."""

    def __post_init__(self) -> None:
        if min(self.size_px) <= 0:
            raise ValueError(f"expected a positive image size, got {self.size_px[0]}x{self.size_px[1]}")
        if not all(math.isfinite(f) and f > 0 for f in self.focal_px):
            raise ValueError(f"expected a positive focal length in pixels, got {self.focal_px}")
        if not all(math.isfinite(c) for c in self.center_px):
            raise ValueError(f"expected a finite image centre, got {self.center_px}")

    @classmethod
    def from_fov(cls, size_px: tuple[int, int], fov_degrees: float = DEFAULT_FOV_DEGREES) -> "Camera":
        """A camera with a stated field of view over the *longer* image side and its centre in the middle.

        focal_px = max(W, H) / (2 tan(fov / 2)).
        """
        if not 0 < fov_degrees < 180:
            raise ValueError(f"expected a field of view between 0 and 180 degrees, got {fov_degrees}")
        if min(size_px) <= 0:
            raise ValueError(f"expected a positive image size, got {size_px[0]}x{size_px[1]}")
        return cls.from_focal(size_px, max(size_px) / (2 * math.tan(math.radians(fov_degrees) / 2)))

    @classmethod
    def from_focal(
        cls, size_px: tuple[int, int], focal_px: float, center_px: tuple[float, float] | None = None
    ) -> "Camera":
        """A camera with square pixels, no distortion, and its centre in the middle unless given."""
        return cls(size_px, (focal_px, focal_px), center_px or (size_px[0] / 2, size_px[1] / 2))

    @property
    def fov_degrees(self) -> float:
        """The field of view over the longer image side."""
        side = 0 if self.size_px[0] >= self.size_px[1] else 1
        return math.degrees(2 * math.atan(self.size_px[side] / (2 * self.focal_px[side])))

    @property
    def posed(self) -> bool:
        """Whether it is known how the camera stands in the world."""
        return self.rotation != _IDENTITY

    @property
    def up(self) -> tuple[float, float, float]:
        """Up in the camera's frame: the world's z where its pose is known, else against its own y."""
        x, y, z = (row[2] for row in self.rotation) if self.posed else (0.0, -1.0, 0.0)
        return x, y, z

    def resized(self, size_px: tuple[int, int]) -> "Camera":
        """The same camera for an image scaled to another size.

        Raises:
            ValueError: If the aspect ratio differs by more than 1 %, which no scaling explains.
        """
        sx, sy = size_px[0] / self.size_px[0], size_px[1] / self.size_px[1]
        if abs(sx / sy - 1) > 0.01:
            raise ValueError(
                f"the calibration is for {self.size_px[0]}x{self.size_px[1]}, the input has {size_px[0]}x{size_px[1]}: "
                "another aspect ratio, so not a scaled version of it; give the calibration of this video"
            )
        return replace(
            self,
            size_px=size_px,
            focal_px=(self.focal_px[0] * sx, self.focal_px[1] * sy),
            center_px=(self.center_px[0] * sx, self.center_px[1] * sy),
        )

    def to_camera(self, points_mm: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """World -> camera frame, mm."""
        rotation, position = points_mm.new_tensor(self.rotation), points_mm.new_tensor(self.position_mm)
        return (points_mm - position) @ rotation.T

    def to_world(self, points_mm: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Camera frame -> world, mm."""
        rotation, position = points_mm.new_tensor(self.rotation), points_mm.new_tensor(self.position_mm)
        return points_mm @ rotation + position

    def project(self, points_mm: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 2"]:
        """Camera frame -> pixels. A point that is not in front of the camera gives NaN."""
        depth = points_mm[..., 2:]
        rays = torch.where(depth > 0, points_mm[..., :2] / depth, torch.nan)
        return self.pixels(rays)

    def pixels(self, rays: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
        """Rays -> pixels, with distortion."""
        return self._distort(rays) * rays.new_tensor(self.focal_px) + rays.new_tensor(self.center_px)

    def rays(self, keypoints_px: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
        """Pixels -> rays, distortion removed; NaN stays NaN, and a pixel that no ray reaches becomes NaN.

        Newton's method on the distortion model: it converges in a few steps wherever the model is one to one. A
        strong barrel distortion folds back beyond some radius; no point of the world is seen outside of it.
        """
        seen = (keypoints_px - keypoints_px.new_tensor(self.center_px)) / keypoints_px.new_tensor(self.focal_px)
        if not any(self.distortion + self.thin_prism):
            return seen
        rays = seen.double().clone()
        for _ in range(10):
            residual = self._distort(rays) - seen
            rays = rays - torch.linalg.solve(self._distort_jacobian(rays), residual)
        missed = (self._distort(rays) - seen).norm(dim=-1) > 1e-6  # a thousandth of a pixel
        folded = torch.linalg.det(self._distort_jacobian(rays)) <= 0
        return torch.where((missed | folded)[..., None], torch.nan, rays).to(seen)

    def _distort(self, rays: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
        (k1, k2, p1, p2, k3), (sx, sy) = self.distortion, self.thin_prism
        x, y = rays.unbind(-1)
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        return torch.stack(
            (
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + sx * r2,
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + sy * r2,
            ),
            -1,
        )

    def _distort_jacobian(self, rays: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2 2"]:
        (k1, k2, p1, p2, k3), (sx, sy) = self.distortion, self.thin_prism
        x, y = rays.unbind(-1)
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = 2 * (k1 + r2 * (2 * k2 + 3 * k3 * r2))  # d radial / d r2, times 2
        xx = radial + x * x * slope + 2 * p1 * y + (6 * p2 + 2 * sx) * x
        yy = radial + y * y * slope + (6 * p1 + 2 * sy) * y + 2 * p2 * x
        xy = x * y * slope + 2 * p1 * x + 2 * p2 * y  # without the prism, which is not symmetric
        return torch.stack((torch.stack((xx, xy + 2 * sx * y), -1), torch.stack((xy + 2 * sy * x, yy), -1)), -2)


def normalise_screen(keypoints_px: Float[Tensor, "*batch 2"], size_px: tuple[int, int]) -> Float[Tensor, "*batch 2"]:
    """The benchmarks' own input: x in [-1, 1] over the width, y by the same factor (VideoPose3D: x/w*2 - [1, h/w])."""
    width, height = size_px
    return keypoints_px / width * 2 - keypoints_px.new_tensor((1, height / width))
