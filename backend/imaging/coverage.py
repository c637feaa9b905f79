# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of the body the photos do not show, by name."""

from collections.abc import Iterable
from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from ..body.template import load_template

REACH = 0.05  # metres from a pixel's point to a vertex that it shows
MIN_CONFIDENCE = 0.25
# Least share of a part's vertices that must be visible. A limb is not divided into front and back, and one
# photo shows at most half of it.
LEAST, LEAST_OF_LIMB = 0.5, 0.25
MAX_POINTS = 20_000  # of one photo, evenly taken

ORDER = (
    "the face",
    "the back of the head",
    "the chest and belly",
    "the back",
    "the left arm",
    "the right arm",
    "the left hand",
    "the right hand",
    "the left leg",
    "the right leg",
    "the left foot",
    "the right foot",
)
PLURALS = {"arm": "the arms", "hand": "the hands", "leg": "the legs", "foot": "the feet"}


@cache
def vertex_parts() -> np.ndarray:
    """[Nv] index into `ORDER` of every template vertex; -1 inside the mouth, on the eyes and on the sides."""
    template = load_template()
    owner = template.skin_indices[np.arange(len(template.vertices)), template.skin_weights.argmax(axis=1)]
    names = np.array([_part_of_joint(name) for name in template.joint_names])[owner]
    front, rear = template.normals[:, 1] < -0.4, template.normals[:, 1] > 0.4
    face = template.face_mask > 0.5
    behind = template.normals[:, 1] > 0.8  # a smaller angle includes hair beside the face
    names = _split(names, "head", front & face, "the face", behind, "the back of the head")
    names = _split(names, "torso", front, "the chest and belly", rear, "the back")
    index = {name: number for number, name in enumerate(ORDER)}
    return np.where(template.part == 0, np.array([index.get(name, -1) for name in names]), -1)


def _split(names, part, first, first_name, second, second_name):
    """`part`'s vertices get the two names; its sides, which belong to neither, get none."""
    named = np.select([first, second], [first_name, second_name], default="neither")
    return np.where(names == part, named, names)


def _part_of_joint(name: str) -> str:
    base, _, side = name.partition(".")
    if base in ("head", "jaw", "eye", "neck2"):
        return "head"
    if not side or base == "clavicle":
        return "torso"
    limb = {"upper_arm": "arm", "forearm": "arm", "forearm_twist": "arm", "thigh": "leg", "shin": "leg"}.get(
        base
    )
    limb = limb or ("foot" if base in ("foot", "toe") else "hand")
    return f"the {'left' if side == 'L' else 'right'} {limb}"


def seen_shares(photos: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Part -> share of its vertices that some photo shows; photos as (points [H,W,3], confidence [H,W])."""
    template = load_template()
    parts = vertex_parts()
    seen = np.zeros(len(parts), bool)
    for points, confidence in photos:
        chosen = points[confidence > MIN_CONFIDENCE]
        chosen = chosen[:: max(1, len(chosen) // MAX_POINTS)]
        if len(chosen):
            distance, _ = cKDTree(chosen).query(template.vertices, distance_upper_bound=REACH, workers=1)
            seen |= np.isfinite(distance)
    return {name: float(seen[parts == number].mean()) for number, name in enumerate(ORDER)}


def least_share(part: str) -> float:
    """The share of a part's vertices from which it counts as seen."""
    return LEAST_OF_LIMB if part.rsplit(" ", 1)[-1] in PLURALS else LEAST


def unseen_parts(photos: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """Names of the parts that no photo shows well enough; both sides of a limb become one plural."""
    shares = seen_shares(photos)
    missing = [name for name in ORDER if shares[name] < least_share(name)]
    result = []
    for name in missing:
        limb = name.rsplit(" ", 1)[-1]
        if f"the left {limb}" in missing and f"the right {limb}" in missing:
            name = PLURALS[limb]
        if name not in result:
            result.append(name)
    return result


def unseen_sentence(parts: list[str]) -> str:
    """ "Not visible in any photo; filled in: the back and the feet. Add photos of them." or an empty text."""
    if not parts:
        return ""
    one = len(parts) == 1 and not parts[0].endswith("s") and parts[0] != "the feet"
    advice = "Add a photo of it." if one else "Add photos of them."
    return f"Not visible in any photo; filled in: {listed(parts)}. {advice}"


def listed(parts: list[str]) -> str:
    """ "the back, the legs and the feet"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
