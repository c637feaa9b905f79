# SPDX-License-Identifier: GPL-3.0-or-later
"""What an avatar's proxy was made for: the rest pose of its rig then, and where its vertices were.

Blender's Armature modifier knows a mesh and how its bones have moved since rest, not which rest pose the mesh
was modelled in. Splats that keep to the rest pose of binding, and to where the mesh has been moved since, go
where the proxy goes when transforms or poses are applied, bones renamed or the rig deleted.
"""

import json
from functools import lru_cache

import bpy
import numpy as np

from ..backend.body.rig import Rig

RIG = "lca_bound_rig"  # ID property of the proxy's mesh: the rest pose that it was bound in, as JSON
PLACES = "lca_rest"  # its attribute: where the vertices were put
SAME_BONE = 1e-4  # of the rig's size: how far a bone may be from where it was and still be known by that
OFF_RIG = 0.02  # of the rig's size: half of the bones are farther from where the proxy rests on them
ROUNDS = 5  # of leaving out the half that fits an affine map worst
SAME_SHAPE = 1e-3  # of the proxy's size: what half of its vertices may depart from one affine map


def keep_rig(mesh: bpy.types.Mesh, rig: Rig) -> None:
    """Stores the rest pose that the proxy is bound in."""
    columns = (rig.names, rig.parents.tolist(), rig.heads.tolist(), rig.tails.tolist())
    mesh[RIG] = json.dumps(list(zip(*columns, strict=True)), ensure_ascii=False, separators=(",", ":"))


def forget_rig(mesh: bpy.types.Mesh) -> None:
    mesh.pop(RIG, None)


def kept_rig(mesh: bpy.types.Mesh) -> str:
    """The stored rest pose, as `rig_from` reads it; empty for an unbound proxy and in files of old."""
    text = mesh.get(RIG, "")
    return text if isinstance(text, str) else ""


@lru_cache(maxsize=32)
def rig_from(text: str) -> Rig:
    names, parents, heads, tails = zip(*json.loads(text), strict=True)
    return Rig(names, np.array(parents), np.array(heads), np.array(tails))


def present_places(kept: Rig, present: Rig) -> np.ndarray:
    """[B] for every bone of a stored rig its place in the rig as it is now, -1 where it has gone.

    Where nothing was added or removed, a bone is known by its place in the list, whatever it is called now;
    else by its name, else by where it rests.
    """
    size = float(np.ptp(kept.heads, axis=0).max()) or 1.0
    if len(kept.names) == len(present.names) and np.array_equal(kept.parents, present.parents):
        known = set(kept.names) & set(present.names)
        moved = np.abs(kept.heads - present.heads).max(1) > SAME_BONE * size
        stays = [a == b for a, b in zip(kept.names, present.names, strict=True)]
        if not moved.any() or all(stay or a not in known for stay, a in zip(stays, kept.names, strict=True)):
            return np.arange(len(kept.names))
    places = np.array([present.index(name) if name in present else -1 for name in kept.names])
    new = [i for i, name in enumerate(present.names) if name not in kept]
    for bone in np.flatnonzero(places < 0) if new else ():
        apart = np.abs(present.heads[new] - kept.heads[bone]).max(1)
        apart = np.maximum(apart, np.abs(present.tails[new] - kept.tails[bone]).max(1))
        if apart.min() < SAME_BONE * size:
            places[bone] = new.pop(int(apart.argmin()))
            if not new:
                break
    return places


def follow_renames(obj: bpy.types.Object, present: Rig) -> None:
    """Writes the present names of renamed bones into the object's bone map and stored rest pose."""
    text = kept_rig(obj.data)
    if not text:
        return
    kept = rig_from(text)
    places = present_places(kept, present)
    now = {name: present.names[place] for name, place in zip(kept.names, places, strict=True) if place >= 0}
    if all(old == new for old, new in now.items()) or obj.data.library or obj.library:
        return
    names = tuple(now.get(name, name) for name in kept.names)
    if len(set(names)) < len(names):
        return
    keep_rig(obj.data, Rig(names, kept.parents, kept.heads, kept.tails))
    for pair in obj.lca.bone_map:
        if now.get(pair.bone, pair.bone) != pair.bone:
            pair.bone = now[pair.bone]
    obj.lca.made_groups = "\n".join(now.get(name, name) for name in obj.lca.made_groups.splitlines())


def is_off_rig(obj: bpy.types.Object, present: Rig) -> bool:
    """Whether the proxy no longer rests on its rig's bones: it was moved aside, or they were. Then it bends
    about other points than its joints."""
    text = kept_rig(obj.data)
    if not text:
        return False
    kept = rig_from(text)
    places = present_places(kept, present)
    bones = [kept.index(pair.bone) for pair in obj.lca.bone_map if pair.bone in kept]
    bones = [bone for bone in bones if places[bone] >= 0]
    own, rig = (np.array(one.matrix_world, np.float64) for one in (obj, obj.lca.armature))
    moved = applied(obj.data)
    if not bones or not np.linalg.det(rig):
        return False
    to_rig = np.linalg.inv(rig) @ own @ (np.eye(4) if moved is None else moved)
    rests = kept.heads[bones] @ to_rig[:3, :3].T + to_rig[:3, 3]
    apart = np.linalg.norm(rests - present.heads[places[bones]], axis=1)
    return bool(np.median(apart) > OFF_RIG * np.ptp(present.heads, axis=0).max())


def keep_places(mesh: bpy.types.Mesh) -> None:
    """Stores where the vertices are now."""
    places = mesh.attributes.get(PLACES)
    if places is None or places.data_type != "FLOAT_VECTOR" or places.domain != "POINT":
        if places is not None:
            mesh.attributes.remove(places)
        places = mesh.attributes.new(PLACES, "FLOAT_VECTOR", "POINT")
    places.data.foreach_set("vector", _points(mesh).ravel())


def applied(mesh: bpy.types.Mesh) -> np.ndarray | None:
    """The affine map [4,4] that the mesh has been moved by since it was made; None where there is none, or
    where it was edited by hand beyond recognition."""
    places = mesh.attributes.get(PLACES)
    if (
        places is None
        or places.data_type != "FLOAT_VECTOR"
        or places.domain != "POINT"
        or not len(places.data)
    ):
        return None
    before = np.empty(len(places.data) * 3, np.float32)
    places.data.foreach_get("vector", before)
    after = _points(mesh)
    if np.array_equal(before, after.ravel()):
        return None
    return _affine(before.tobytes(), after.tobytes())


def _points(mesh: bpy.types.Mesh) -> np.ndarray:
    points = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", points.ravel())
    return points


@lru_cache(maxsize=16)
def _affine(before: bytes, after: bytes) -> np.ndarray | None:
    """The map that half of the points agree on best: what somebody sculpted does not count."""
    before, after = (
        np.frombuffer(points, np.float32).reshape(-1, 3).astype(np.float64) for points in (before, after)
    )
    size = float(np.ptp(after, axis=0).max())
    rows = np.c_[before, np.ones(len(before))]
    kept = np.arange(len(rows))
    for _ in range(ROUNDS):
        solution = np.linalg.lstsq(rows[kept], after[kept], rcond=None)[0]
        error = np.linalg.norm(rows @ solution - after, axis=1)
        if error[kept].max() <= SAME_SHAPE * size:
            break
        kept = np.argsort(error, kind="stable")[: max(4, len(rows) // 2)]
    else:
        return None
    matrix = np.eye(4)
    matrix[:3] = solution.T
    return None if np.abs(rows @ (matrix[:3].T) - before).max() < 1e-6 * size else matrix
