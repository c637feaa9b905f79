# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic people: everything about one person, from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from . import accessories, complexion, face, facial_hair, hair, nails, outfit, rest_face, shape, skin, surface
from .cloth import BodyShape, Piece
from .eyes import PUPIL, Eye
from .landmarks import load_landmarks
from .materials import Material
from .sites import EYE, MOUTH, SKIN, TEETH, Sites, load_sites


@dataclass(eq=False)
class Person:
    """A clothed person as one mesh in their own canonical pose (metres, Z up, facing -Y).

    `template_points` say to which point of the mean template's canonical surface each vertex belongs
    (clothes and hair:
    the skin below); `rest_points` are where materials evaluate their patterns. `expression_deltas` [52, e,
    3] move the
    vertices `expression_index` [e]. `face_material` [f] indexes `materials`. Normals follow from the posed
    mesh.
    """

    seed: int
    vertices: np.ndarray  # [n, 3]
    faces: np.ndarray  # [f, 3] int32
    template_points: np.ndarray  # [n, 3]
    rest_points: np.ndarray  # [n, 3]
    face_material: np.ndarray  # [f] uint8
    materials: list[Material]
    skin_indices: np.ndarray  # [n, 8] int16
    skin_weights: np.ndarray  # [n, 8] float32, rows sum to 1
    joint_heads: np.ndarray  # [J, 3]
    expression_index: np.ndarray  # [e] int32
    expression_deltas: np.ndarray  # [52, e, 3]
    folds: np.ndarray  # [n, 5] as from `folds.along_limbs`, zeros where nothing folds
    betas: np.ndarray  # [S]
    description: dict = field(default_factory=dict)


@lru_cache(maxsize=1)
def _expressions() -> tuple[np.ndarray, np.ndarray]:
    """Template vertices that any expression moves [e], and their deltas [52, e, 3]."""
    deltas = load_sites().template.expression_deltas
    moved = np.flatnonzero(np.abs(deltas).max(axis=(0, 2)) > 1e-6)
    return moved, np.ascontiguousarray(deltas[:, moved], np.float32)


def _moved(
    pieces: list[Piece], first: np.ndarray, used: np.ndarray, openness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of the joined mesh that expressions move, and how: of the body, whose vertices come first and
    are the template's `used`, and of pieces that say so themselves, which start at `first`."""
    sites = load_sites()
    moved, deltas = _expressions()
    deltas = rest_face.close_opened_lids(deltas, moved, sites, openness)
    new = np.full(len(sites.template.vertices), -1)
    new[used] = np.arange(len(used))
    there = new[moved] >= 0
    index, values = [new[moved[there]]], [deltas[:, there]]
    for piece, start in zip(pieces, first, strict=False):
        if piece.expression is not None:
            index.append(start + np.arange(len(piece.vertices)))
            values.append(piece.expression)
    return np.concatenate(index).astype(np.int32), np.concatenate(values, 1)


def _body(body: BodyShape, cover: np.ndarray, materials: list) -> tuple[Piece, np.ndarray]:
    """The body without what clothes hide; also the template vertex behind each of its vertices [n]."""
    template = body.sites.template
    hidden = (cover > 0) & (template.part == SKIN)
    faces = template.faces[~hidden[template.faces].all(1)]
    used = np.unique(faces)
    new = np.zeros(len(template.vertices), np.int32)
    new[used] = np.arange(len(used))
    piece = Piece(
        vertices=body.vertices[used],
        faces=new[faces],
        template_points=template.vertices[used],
        rest_points=template.vertices[used],
        weights=body.sites.dense_weights[used],
        material=template.part[faces].max(1),
        materials=materials,
    )
    return piece, used


def _body_materials(
    rng: np.random.Generator, look: skin.SkinLook, sites: Sites, ancestry: np.ndarray, years: float
) -> list:
    """Materials in the order of the template's parts."""
    origin = sites.head_origin.astype(np.float64)
    iris, ring = complexion.sample_irises(rng, ancestry)
    sclera = (
        np.array([0.79, 0.765, 0.74]) * rng.uniform(0.93, 1.0) * (1 - 0.06 * look.age * np.array([0, 0.5, 2]))
    )
    centre = sites.joint("eye.L").astype(np.float64)
    teeth = (
        np.array([0.88, 0.85, 0.77]) * rng.uniform(0.88, 1.0) * (1 - 0.08 * look.age * np.array([0.5, 1, 2]))
    )
    frame = {"origin_y": float(origin[1]), "scale": sites.head_scale}
    pupil, veins = PUPIL * rng.uniform(0.75, 1.3), rng.uniform(0.1, 0.6) * float(np.clip(years / 40, 0.2, 1))
    materials = [None] * 4
    materials[SKIN] = skin.Skin(
        look, load_landmarks(), origin, sites.head_scale, nails.nail_frames(), nails.hand_frame()
    )
    materials[EYE] = Eye(iris, ring, sclera, centre, sites.head_scale, float(pupil), float(veins))
    materials[TEETH] = skin.Plain(teeth, 0.25, 0.6, fade_from=8.4, **frame)
    materials[MOUTH] = skin.Plain(np.array(face.MOUTH_RED), 0.45, 0.3, fade_from=8.2, **frame)
    return materials


def _join(
    seed: int, pieces: list[Piece], used: np.ndarray, heads: np.ndarray, betas: np.ndarray, openness: float
) -> Person:
    """One mesh out of the body (first) and everything worn."""
    vertex = np.cumsum([0, *(len(p.vertices) for p in pieces)])
    shelf = np.cumsum([0, *(len(p.materials) for p in pieces)])
    index, weight = surface.top_weights(np.concatenate([p.weights for p in pieces]))
    moved, deltas = _moved(pieces, vertex, used, openness)
    return Person(
        seed=seed,
        vertices=np.concatenate([p.vertices for p in pieces]).astype(np.float32),
        faces=np.concatenate([p.faces + o for p, o in zip(pieces, vertex, strict=False)]).astype(np.int32),
        template_points=np.concatenate([p.template_points for p in pieces]).astype(np.float32),
        rest_points=np.concatenate([p.rest_points for p in pieces]).astype(np.float32),
        face_material=np.concatenate([p.material + o for p, o in zip(pieces, shelf, strict=False)]).astype(
            np.uint8
        ),
        materials=[m for p in pieces for m in p.materials],
        skin_indices=index,
        skin_weights=weight,
        joint_heads=heads.astype(np.float32),
        expression_index=moved,
        expression_deltas=deltas,
        folds=np.concatenate(
            [np.zeros((len(p.vertices), 5), np.float32) if p.folds is None else p.folds for p in pieces]
        ),
        betas=betas,
    )


def sample_person(seed: int) -> Person:
    """A random person; the same seed gives the same bits.

    Errors: `UserError` from `load_template` where the template is missing or damaged.
    """
    rng = np.random.default_rng(seed)
    sites = load_sites()
    masculine, years = float(rng.random() < 0.5), shape.sample_years(rng)
    size = shape.sample_size(rng, masculine, years)
    betas, ancestry = shape.sample_betas(rng, masculine, years, size)
    vertices, heads = shape.apply_shape(sites.template, betas)
    vertices = vertices + shape.individuality(rng, sites)
    vertices = rest_face.smile(vertices, sites, rng.uniform(*rest_face.SMILE))
    vertices = rest_face.lower_teeth(vertices, sites, _head_size(heads, sites))
    openness = float(rng.uniform(*rest_face.OPENNESS))
    body = BodyShape.of(rest_face.open_lids(vertices, sites, openness), sites)

    tone = complexion.skin_tone(rng, ancestry)
    colour, grey = complexion.sample_hair_colour(rng, ancestry, years)
    style, hair_look = _hair_style(rng, masculine, years, ancestry, colour, grey)
    greyed = colour * (1 - grey) + 0.62 * grey
    look = complexion.sample_skin_look(rng, masculine, years, greyed, tone)
    tint = {"bald": rng.choice([0.0, 0.25, 0.45]), "cropped": 0.9}.get(style.name, 0.85)
    look = look._replace(scalp=float(tint), scalp_colour=(0.6 * greyed + 0.1 * look.base).astype(np.float64))
    worn = outfit.dress(rng, body, masculine)
    hats, roots_below = [], None
    if rng.random() < 0.09 and style.name not in ("bun", "afro", "curly"):
        hats, roots_below = accessories.make_hat(rng, body)
    grown = hair.make_hair(rng, body, style, hair_look, look.hairline, roots_below, worn.thickness)
    glasses = accessories.make_glasses(rng, body) if rng.random() < (0.12 if years < 18 else 0.3) else []

    materials = _body_materials(rng, look, sites, ancestry, years)
    skinned, used = _body(body, worn.cover, materials)
    bristles = facial_hair.make_facial_hair(rng, body, look._replace(brows=0.8 * colour), grey)
    pieces = [skinned, *bristles, *worn.pieces, *grown, *hats, *glasses]
    person = _join(seed, pieces, used, heads, betas, openness)
    person.description = {
        "sex": "man" if masculine else "woman", "years": round(years, 1),
        "ancestry": dict(zip(("African", "Asian", "Caucasian"), np.round(ancestry, 2).tolist(), strict=True)),
        "stature": round(size.stature, 3), "mass": round(size.mass, 1), "hair": style.name,
        "clothes": tuple(worn.names), "hat": bool(hats), "glasses": bool(glasses),
    }  # fmt: skip
    return person


def _head_size(heads: np.ndarray, sites: Sites) -> float:
    """The distance between a person's eyes, by their joint heads [J, 3], over that of the mean template."""
    left, right = (sites.template.joint_names.index(f"eye.{side}") for side in "LR")
    own, mean = (np.linalg.norm(at[left] - at[right]) for at in (heads, sites.template.joint_heads))
    return own / mean


def _hair_style(rng, masculine: float, years: float, ancestry: np.ndarray, colour: np.ndarray, grey: float):
    """A cut that people of that sex, age and ancestry wear, and its look in their own colour or dyed."""
    aged, curls = float(np.clip((years - 18) / 62, 0, 1)), 9 * float(ancestry[0])
    style, look = hair.sample_hair(rng, masculine, aged, curls)
    while style.name == "bald" and years < 25:
        style, look = hair.sample_hair(rng, masculine, aged, curls)
    if years > 15 and rng.random() < (0.12 if masculine < 0.5 else 0.03):
        return style, look  # as it was drawn: dyed
    lighter = look.tip / np.maximum(look.root, 1e-6)
    tip = np.clip(colour * np.clip(lighter, 1.0, 1.45), 0, 0.95)
    return style, look._replace(root=colour.astype(np.float64), tip=tip.astype(np.float64), grey=grey)
