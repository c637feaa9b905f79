# SPDX-License-Identifier: GPL-3.0-or-later
"""Face landmarks: 478 points of a mesh with irises (Attention Mesh, Grishchenko et al. 2020, arXiv
2006.10962).
"""

from dataclasses import dataclass

import numpy as np

from .detectors import FACE_FAR, FACE_NEAR, Detection, detect
from .graph import load_graph
from .pose import INDEX, Pose
from .regions import Region, angle_to, sigmoid

MESH = 468  # points of the surface; five of the right iris and five of the left follow
RIGHT_CORNER, LEFT_CORNER = 33, 263  # the outer corners of the eyes, the person's own sides
NOSE_TIP = 1
# Points of the mesh that the network refines: about the lips, the right eye and the left eye.
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409, 78, 95, 88,
    178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415, 76, 77, 90, 180, 85, 16,
    315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408, 62, 96, 89, 179, 86, 15, 316, 403,
    319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407,
)  # fmt: skip
RIGHT_EYE = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173, 130, 25, 110, 24, 23, 22,
    26, 112, 243, 247, 30, 29, 27, 28, 56, 190, 226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224,
    223, 222, 221, 189, 35, 124, 46, 53, 52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63,
    105, 66, 107, 55, 193,
)  # fmt: skip
LEFT_EYE = (
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398, 359, 255, 339, 254, 253,
    252, 256, 341, 463, 467, 260, 259, 257, 258, 286, 414, 446, 261, 448, 449, 450, 451, 452, 453, 464, 342,
    445, 444, 443, 442, 441, 413, 265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349, 350, 357, 465,
    383, 300, 293, 334, 296, 336, 285, 417,
)  # fmt: skip
# The face's outline, which slides along the silhouette as the head turns and lies on no fixed place of the
# skin.
OUTLINE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176,
    149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
SCORE = 0.5  # MediaPipe's own threshold
# Between jittered crops, correct meshes differ by 0.4 to 2.4 % of the face's size and lie 3 to 37 % of it off
# the body's points, wrong ones over 4.6 and over 48 % (58 photos).
SPREAD, AWAY = 0.03, 0.4
JITTERS = tuple((x * 0.03, 1 + s * 0.06, a * 0.09) for x, s, a in (
    (0, 0, 0), (1, 1, -1), (-1, 1, 1), (1, -1, 1), (-1, -1, -1), (0, 1, 0),
))  # fmt: skip  # shift and size in sizes of the region, turn in radians
LIDS = 16  # the first of an eye's, along its lids; the iris takes their mean depth


@dataclass(frozen=True)
class Face:
    """score 0..1; points [478,3] pixels (z on the scale of x, smaller is nearer); the region read."""

    score: float
    points: np.ndarray
    region: Region

    @property
    def next_region(self) -> Region:
        mesh = self.points[:MESH, :2]
        return Region.around(mesh, angle_to(mesh[RIGHT_CORNER], mesh[LEFT_CORNER], 0)).squared(1.5)

    @property
    def yaw(self) -> float:
        """Radians by which the face is turned aside, by the depth of the eyes' corners."""
        across = self.points[LEFT_CORNER] - self.points[RIGHT_CORNER]
        return float(np.arctan2(across[2], np.hypot(across[0], across[1])))

    @property
    def size(self) -> float:
        """Pixels: the longer side of the mesh's box."""
        return float(np.ptp(self.points[:MESH, :2], axis=0).max())


def read_face(image: np.ndarray, region: Region, device: str = "cpu") -> Face:
    """Reads the face in a square region of uint8 [H,W,3]."""
    network = load_graph("face_landmark_with_attention", device)
    mesh, lips, right, left, right_iris, left_iris, score = network(region.crop(image, network.size))
    points = np.zeros((MESH + 10, 3))
    points[:MESH] = mesh.reshape(-1, 3)
    for rows, closer in ((LIPS, lips), (RIGHT_EYE, right), (LEFT_EYE, left)):
        points[rows, :2] = closer.reshape(-1, 2)
    for first, iris, eye in ((MESH, right_iris, RIGHT_EYE), (MESH + 5, left_iris, LEFT_EYE)):
        points[first : first + 5, :2] = iris.reshape(-1, 2)
        points[first : first + 5, 2] = points[eye[:LIDS], 2].mean()
    score = float(sigmoid(score.ravel()[0]))
    return Face(score, region.to_image(points / network.size[0]), region)


def find_face(image: np.ndarray, body: Pose, device: str = "cpu") -> Face | None:
    """The face of a person whose body was found: the mean over several jittered crops, if these agree
    with each other and with the body's landmarks; else None.

    Backs of heads and dark blurs get a mesh with a good score too, but one that differs between crops.
    """
    regions = [region_from_pose(image, body, device)]
    for detector in (FACE_NEAR, FACE_FAR):
        regions += [region_of(detection) for detection in detect(detector, image, device=device)]
    meshes = [read_face(image, region, device) for region in regions if region is not None]
    meshes = [mesh for mesh in meshes if mesh.score > SCORE and _apart(mesh, body) < AWAY]
    if not meshes:
        return None
    best = max(meshes, key=lambda mesh: mesh.score - _apart(mesh, body))
    region = best.next_region
    crops = [read_face(image, region.jittered(*jitter), device) for jitter in JITTERS]
    points = np.stack([one.points for one in crops])
    mean = points.mean(0)
    face = Face(float(np.mean([one.score for one in crops])), mean, region)
    spread = np.linalg.norm(points - mean, axis=2)[:, :MESH].mean() / face.size
    agree = min(one.score for one in crops) > SCORE and spread < SPREAD and _apart(face, body) < AWAY
    return face if agree else None


def _apart(mesh: Face, body: Pose) -> float:
    """Mean distance of eyes, nose and mouth from those of the body's landmarks, in sizes of the face."""
    pairs = (((33, 133), "right_eye"), ((263, 362), "left_eye"), ((NOSE_TIP,), "nose"))
    pairs += (((61,), "mouth_right"), ((291,), "mouth_left"))
    own = np.stack([mesh.points[list(rows), :2].mean(0) for rows, _ in pairs])
    bodys = np.stack([body.points[INDEX[name], :2] for _, name in pairs])
    return float(np.linalg.norm(own - bodys, axis=1).mean() / max(mesh.size, 1e-6))


def region_from_pose(image: np.ndarray, pose: Pose, device: str = "cpu") -> Region | None:
    """The face of a person whose body was found; None where the detector finds none there."""
    head = pose.points[:11, :2]
    search = Region.around(head, angle_to(head[5], head[2], 0)).squared(3.0)
    found = detect(FACE_NEAR, image, search, device=device)
    if not found:
        return None
    points = found[0].points
    return Region.around(points, angle_to(points[0], points[1], 0)).squared(2.0, -0.1)


def region_of(detection: Detection) -> Region:
    """The face of a detection in the whole photo."""
    return Region.around(detection.corners, angle_to(detection.points[0], detection.points[1], 0)).squared(
        1.5
    )
