# SPDX-License-Identifier: GPL-3.0-or-later
"""Pinhole and orthographic cameras."""

import math
from dataclasses import dataclass, replace

import numpy as np

MAX_SIDE = 32768


def _matrix(value, shape: tuple[int, int], name: str) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    matrix = np.array(value, dtype=np.float64)
    if matrix.shape != shape:
        raise ValueError(f"Camera {name} must have shape {list(shape)}, not {list(matrix.shape)}.")
    if not np.isfinite(matrix).all():
        raise ValueError(f"Camera {name} contains NaN or infinity.")
    matrix.setflags(write=False)
    return matrix


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole or an orthographic camera, OpenCV's axes: x right, y down, z forward.

    viewmat [4,4] takes world points (metres) to the camera. K [3,3] takes camera points to pixels, pixel
    centres at +0.5: of a pinhole u = fx x/z + cx, of an orthographic camera u = fx x + cx with fx in pixels
    per metre (no skew in either). What is nearer than `near` (camera z, metres) is not drawn. Arrays or
    tensors are accepted and stored as read-only float64 arrays. ValueError for wrong shapes and for NaN
    or infinity.
    """

    viewmat: np.ndarray
    K: np.ndarray
    width: int
    height: int
    orthographic: bool = False
    near: float = 0.01

    def __post_init__(self):
        object.__setattr__(self, "viewmat", _matrix(self.viewmat, (4, 4), "viewmat"))
        object.__setattr__(self, "K", _matrix(self.K, (3, 3), "K"))
        for name in ("width", "height"):
            size = getattr(self, name)
            if int(size) != size or not 1 <= size <= MAX_SIDE:
                raise ValueError(
                    f"Camera {name} must be a whole number of pixels in 1..{MAX_SIDE}, not {size}."
                )
            object.__setattr__(self, name, int(size))
        if self.K[0, 0] <= 0 or self.K[1, 1] <= 0:
            raise ValueError("Camera focal lengths K[0,0] and K[1,1] must be greater than zero.")
        if self.K[0, 1] != 0:
            raise ValueError("Camera K must have no skew: K[0,1] must be zero.")
        if not math.isfinite(self.near) or (self.near <= 0 and not self.orthographic):
            raise ValueError(f"Camera near must be a distance greater than zero, not {self.near}.")

    @property
    def position(self) -> np.ndarray:
        """World point of the camera [3]."""
        rotation, translation = self.viewmat[:3, :3], self.viewmat[:3, 3]
        return -np.linalg.solve(rotation, translation)

    @property
    def forward(self) -> np.ndarray:
        """World direction of the camera's z axis [3], unit."""
        axis = self.viewmat[2, :3]
        return axis / np.linalg.norm(axis)

    @classmethod
    def from_fov(cls, viewmat, fov: float, width: int, height: int, near: float = 0.01) -> "Camera":
        """A pinhole that sees the angle `fov` (radians) along the longer side of the picture."""
        if not 0 < fov < math.pi:
            raise ValueError(f"A camera's field of view must lie between 0 and pi radians, not {fov}.")
        focal = 0.5 * max(width, height) / math.tan(0.5 * fov)
        return cls(viewmat, _intrinsics(focal, width, height), width, height, near=near)

    @classmethod
    def from_ortho(cls, viewmat, scale: float, width: int, height: int, near: float = 0.01) -> "Camera":
        """An orthographic camera that sees `scale` metres along the longer side of the picture."""
        if not scale > 0:
            raise ValueError(f"An orthographic camera's scale must be greater than zero, not {scale}.")
        K = _intrinsics(max(width, height) / scale, width, height)
        return cls(viewmat, K, width, height, orthographic=True, near=near)

    def scaled(self, factor: float) -> "Camera":
        """The same view in a picture `factor` times as wide and as high (rounded to whole pixels)."""
        width, height = (max(1, round(side * factor)) for side in (self.width, self.height))
        K = np.diag([width / self.width, height / self.height, 1.0]) @ self.K
        return replace(self, K=K, width=width, height=height)

    def crop(self, x0: int, y0: int, width: int, height: int) -> "Camera":
        """The window of the picture whose top left pixel is (x0, y0); it may reach beyond the picture."""
        K = self.K.copy()
        K[0, 2] -= x0
        K[1, 2] -= y0
        return replace(self, K=K, width=width, height=height)

    def upside_down(self) -> "Camera":
        """The same view with row 0 of the picture at the bottom, where Blender and OpenGL have it."""
        K = self.K.copy()
        K[1, 2] = self.height - K[1, 2]
        return replace(self, viewmat=np.diag([1.0, -1.0, 1.0, 1.0]) @ self.viewmat, K=K)


def _intrinsics(focal: float, width: int, height: int) -> np.ndarray:
    return np.array([[focal, 0, 0.5 * width], [0, focal, 0.5 * height], [0, 0, 1]])


def look_at(eye, target, up=(0.0, 0.0, 1.0)) -> np.ndarray:
    """viewmat [4,4] of a camera at `eye` that looks at `target`, world `up` upwards in the picture.

    Looking along `up`, the picture's up is world +Y. ValueError where eye and target are the same point.
    """
    eye, target, up = (np.asarray(v, dtype=np.float64) for v in (eye, target, up))
    forward = target - eye
    distance = np.linalg.norm(forward)
    if not distance > 0:
        raise ValueError("A camera cannot look at the point where it stands.")
    forward /= distance
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-9 * max(np.linalg.norm(up), 1e-300):
        right = np.cross(forward, (0.0, 1.0, 0.0) if abs(forward[1]) < 0.9 else (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    viewmat = np.eye(4)
    viewmat[:3, :3] = right, np.cross(forward, right), forward
    viewmat[:3, 3] = -viewmat[:3, :3] @ eye
    return viewmat
