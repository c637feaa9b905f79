# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `data/template.safetensors` from the implicit body: `python -m
lca_blender.backend.body.build_template`.

Needs scikit-image. Takes about a minute; the result is the same on every run.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from .anchors import farthest_point_order
from .arkit import ARKIT_NAMES
from .density import behind_the_eyes, edge_lengths
from .face_fields import FaceField, expression_fields
from .identity import SHAPE_NAMES, Rest, closed, shape_difference
from .implicit.body import Body
from .implicit.head import EYE_Z, MOUTH_Y
from .implicit.parameters import to_centimetres, to_metres
from .interior import eyeball, teeth, tongue
from .meshing import (
    body_axes,
    keep_vertices,
    largest_component,
    marching_cubes,
    mirror,
    relax,
    vertex_normals,
)
from .remesh import collapse_edges
from .skeleton import INDEX, JOINT_NAMES, joint_parents, joint_places
from .template import EYEBALL, MOUTH, PATH, SKIN, TEETH, VERSION, pack_sparse
from .weights import jaw_weights, skin_weights, strongest

ANCHORS_PER_REGION = 8192


def build_skin(body):
    """Open-mouthed skin in body centimetres: vertices, faces, mirror image."""
    vertices, faces = largest_component(*marching_cubes(body.distance, body_axes(body.frame)))
    vertices, faces = keep_vertices(vertices, faces, ~behind_the_eyes(vertices, body))
    vertices, faces = collapse_edges(vertices, faces, edge_lengths(vertices, body))
    return mirror(relax(vertices, faces, body.distance, 4), faces)


class Assembly:
    """Skin and the pieces inside the head, joined into one vertex list."""

    def __init__(self, body):
        self.body = body
        self.heads, self.tails = joint_places(body)
        vertices, faces, image = build_skin(body)
        weights = skin_weights(vertices, faces, image, self.heads, self.tails, body)
        self.vertices, self.faces, self.image, self.weights = [vertices], [faces], [image], [weights]
        self.part, self.kind = [self._skin_part(vertices)], [np.zeros(len(vertices), np.uint8)]
        self.count = len(vertices)
        self._add_insides()
        for name in ("vertices", "faces", "image", "weights", "part", "kind"):
            setattr(self, name, np.concatenate(getattr(self, name)))

    def _skin_part(self, vertices):
        """Skin, or the inside of the mouth: behind the lips."""
        face = self.body.parameters.face
        q = self.body.head_local(vertices)
        x = np.abs(q[:, 0])
        lips = 9.45 - 0.25 * x**2 * (2.55 / face.mouth_width) ** 2 - 0.5
        inside = ((x / (face.mouth_width + 0.15)) ** 2 + ((q[:, 1] - MOUTH_Y) / 1.5) ** 2 < 1) & (
            q[:, 2] < lips
        )
        return np.where(inside & (q[:, 2] > 3.8), MOUTH, SKIN).astype(np.uint8)

    def _add(self, points, faces, image, bones, part, kind):
        weights = np.zeros((len(points), len(JOINT_NAMES)))
        weights[np.arange(len(points)), bones] = 1
        self.vertices.append(self.body.from_head(points))
        self.faces.append(faces.astype(np.int32) + self.count)
        self.image.append(image + self.count)
        self.weights.append(weights)
        self.part.append(np.full(len(points), part, np.uint8))
        self.kind.append(np.full(len(points), kind, np.uint8))
        self.count += len(points)

    def _add_insides(self):
        face = self.body.parameters.face
        points, faces = eyeball(face)
        n = len(points)
        flip = np.array([-1, 1, 1])
        both = np.concatenate([points, points * flip])
        bones = np.repeat([INDEX["eye.L"], INDEX["eye.R"]], n)
        image = np.concatenate([np.arange(n) + n, np.arange(n)])
        self._add(both, np.concatenate([faces, faces[:, ::-1] + n]), image, bones, EYEBALL, 1)
        for lower in (False, True):
            points, faces = teeth(face, lower)
            self._add(points, faces, nearest_image(points), INDEX["jaw" if lower else "head"], TEETH, 2)
        points, faces = tongue()
        self._add(points, faces, nearest_image(points), INDEX["jaw"], MOUTH, 3)


def nearest_image(points):
    """Index of each point's mirror image within a symmetric set."""
    flipped = points * np.array([-1, 1, 1])
    return ((flipped[:, None] - points[None]) ** 2).sum(-1).argmin(1)


def face_mask(vertices, body):
    """1 on the face, 0 behind the ears and below the chin; soft borders. Head-local y > -12 and z > 2."""
    q = body.head_local(vertices)
    return np.clip((q[:, 1] + 12.8) / 1.6, 0, 1) * np.clip((q[:, 2] - 1.2) / 1.6, 0, 1)


def expression_deltas(assembly, neutral_cm):
    """[52, n, 3] metres."""
    body, face = assembly.body, assembly.body.parameters.face
    out = np.zeros((len(ARKIT_NAMES), len(neutral_cm), 3))
    movable = np.flatnonzero((assembly.kind == 0) | (assembly.kind == 3))
    q = body.head_local(neutral_cm[movable])
    near = q[:, 1] > -16
    movable, q = movable[near], q[near]
    opened = body.head_local(assembly.vertices[movable])
    is_tongue = assembly.kind[movable] == 3
    field = FaceField(q, opened, face, jaw_weights(opened, face), is_tongue)
    fields = expression_fields(field)
    for i, name in enumerate(ARKIT_NAMES):
        delta = fields[name].copy()
        if name != "tongueOut":
            delta[is_tongue] = 0
        out[i, movable] = to_metres(delta * body.frame.head_scale)
    return out


def build(log=print):
    """All tensors of the template file and its header."""
    start = time.time()

    def step(text):
        log(f"{time.time() - start:6.1f} s  {text}")

    body = Body()
    assembly = Assembly(body)
    step(f"skin and insides: {assembly.count} vertices, {len(assembly.faces)} triangles")
    is_skin = assembly.kind == 0
    fixed = is_skin & behind_the_eyes(assembly.vertices, body, margin=0.12)
    rest = Rest(assembly.vertices, assembly.weights, body, assembly.heads, is_skin, fixed)
    vertices = closed(assembly.vertices, rest, body)
    shapes, joints = zip(*(shape_difference(name, rest) for name in SHAPE_NAMES), strict=True)
    step(f"{len(shapes)} shapes")
    expressions = expression_deltas(assembly, to_centimetres(vertices))
    step("expressions")
    indices, weights = strongest(assembly.weights)
    mask = face_mask(assembly.vertices, body)
    triangles, barycentric = [], []
    visible = visible_triangles(assembly, vertices, body)
    for side in (mask[assembly.faces].mean(1) > 0.5, mask[assembly.faces].mean(1) <= 0.5):
        t, b = farthest_point_order(vertices, assembly.faces, visible & side, ANCHORS_PER_REGION)
        triangles.append(t)
        barycentric.append(b)
    step("anchors")
    tensors = {
        "vertices": vertices, "faces": assembly.faces, "normals": vertex_normals(vertices, assembly.faces),
        "part": assembly.part, "joint_parents": joint_parents(), "joint_heads": to_metres(assembly.heads),
        "joint_tails": to_metres(assembly.tails), "skin_indices": indices,
        "skin_weights": weights.astype(np.float16),
        "face_mask": mask.astype(np.float16), "shape_joint_deltas": np.array(joints),
        "mirror": assembly.image,
        "anchor_triangles": np.array(triangles), "anchor_weights": np.array(barycentric),
        "head_centre": to_metres(body.frame.head_centre),
    }  # fmt: skip
    for kind, deltas in (("expression", expressions), ("shape", np.array(shapes))):
        for name, value in zip(("offsets", "rows", "values"), pack_sparse(deltas), strict=True):
            tensors[f"{kind}_{name}"] = value
    header = {
        "version": VERSION, "joint_names": JOINT_NAMES, "expression_names": ARKIT_NAMES,
        "shape_names": SHAPE_NAMES,
        "head_scale": body.frame.head_scale,
    }  # fmt: skip
    kinds = {np.dtype(np.float64): np.float32, np.dtype(np.int64): np.int32}
    tensors = {name: np.ascontiguousarray(v, kinds.get(v.dtype, v.dtype)) for name, v in tensors.items()}
    return tensors, header


def visible_triangles(assembly, vertices, body):
    """Triangles a camera can see with the mouth closed: skin outside the sockets, and the front of the
    eyeballs."""
    part = assembly.part[assembly.faces]
    q = body.head_local(assembly.vertices)[assembly.faces].mean(1)
    from_eye = np.stack([np.abs(q[:, 0]) - body.parameters.face.eye_x, q[:, 1], q[:, 2] - EYE_Z], 1)
    distance = np.linalg.norm(from_eye, axis=1)
    socket = (part == SKIN).all(1) & (distance < 1.28)
    cornea = (part == EYEBALL).all(1) & (from_eye[:, 2] > 0.75) & (np.abs(from_eye[:, 1]) < 0.75)
    return ((part == SKIN).all(1) & ~socket) | cornea


def save(path, tensors, header):
    """Writes to a temporary name first, so that a failure leaves no half file."""
    from safetensors.numpy import save_file

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(tensors, str(partial), {"template": json.dumps(header)})
    partial.chmod(0o644)
    os.replace(partial, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=str(PATH))
    out = parser.parse_args().out
    save(out, *build())
    print(f"{out}: {os.path.getsize(out) / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
