# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar as an ordinary textured mesh with blend shapes, for programs that know no Gaussians."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ..avatar import Avatar
from ..body.arkit import ARKIT_INDEX
from ..body.template import load_template
from .atlas import load_atlas
from .bake import bake
from .geometry import fitted_vertices, footing, resting
from .shapes import expression_shapes, looking_shapes

INFLUENCES = 4  # joints a vertex: what game engines and glTF exporters keep
COMPRESSION = 3  # of PNG: 4 % larger files than with 6, in half the time


@dataclass(frozen=True, eq=False)
class TexturedMesh:
    """A body in the avatar's canonical pose, metres, and its colours.

    vertices [Nv,3] float32; faces [Nf,3] int32; uvs [Nf,3,2] float32 of every corner, v upwards; shapes
    [52,Nv,3] float32, displacements at 1 in ARKit's order, with the jaw's; skin_weights [Nv,J] float32, of
    the avatar's joints, at most four of a row above zero; texture [S,S,3] uint8 sRGB, row 0 at the top.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray
    shapes: np.ndarray
    skin_weights: np.ndarray
    texture: np.ndarray

    def png(self) -> bytes:
        """The texture as a PNG file."""
        file = io.BytesIO()
        Image.fromarray(self.texture).save(file, "PNG", compress_level=COMPRESSION)
        return file.getvalue()


def textured_mesh(
    avatar: Avatar, size: int = 4096, progress: Callable[..., None] = lambda *_: None
) -> TexturedMesh:
    """The mesh of an avatar, at rest and with a neutral face, its texture `size` texels wide; progress(0..1,
    message) is called between the steps."""
    template, atlas = load_template(), load_atlas()
    progress(0.0, "Posing the avatar")
    splats, feet = resting(avatar), footing(avatar)
    progress(0.15, "Fitting the mesh")
    vertices = fitted_vertices(splats, feet)
    progress(0.35, "Painting the texture")
    texture = bake(splats, feet, vertices, atlas, size)
    progress(0.9, "Making the blend shapes")
    return TexturedMesh(
        vertices=vertices.astype(np.float32),
        faces=template.faces,
        uvs=atlas.uvs[atlas.face_uvs],
        shapes=expression_shapes(vertices, avatar.joint_heads.numpy(), avatar.template_version),
        skin_weights=strongest(_dense_weights(), INFLUENCES),
        texture=texture,
    )


def with_turning_eyes(made: TexturedMesh, joint_heads: np.ndarray) -> TexturedMesh:
    """The mesh with eyeballs that its eyeLook shapes turn; joint_heads [J,3] of the avatar."""
    shapes = made.shapes.copy()
    for name, turned in looking_shapes(made.vertices, joint_heads).items():
        shapes[ARKIT_INDEX[name]] += turned
    return replace(made, shapes=shapes)


def _dense_weights() -> np.ndarray:
    """[Nv,J] skinning weights of the template."""
    template = load_template()
    out = np.zeros((len(template.vertices), len(template.joint_names)), np.float32)
    np.add.at(out, (np.arange(len(out))[:, None], template.skin_indices), template.skin_weights)
    return out


def strongest(weights: np.ndarray, count: int) -> np.ndarray:
    """Weights [n,b] with all but the `count` largest of each row zero and rows that sum to 1."""
    kept = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    out = np.zeros(weights.shape, np.float32)
    np.put_along_axis(out, kept, np.take_along_axis(weights, kept, 1), 1)
    return out / np.maximum(out.sum(1, keepdims=True), 1e-12)
