# SPDX-License-Identifier: GPL-3.0-or-later
"""Random bodies and faces: age, stature and mass as people have them, a body out of the table of phenotypes
that comes close, and small displacements that no shape of the template makes.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

import numba
import numpy as np

from ...tensor_file import REINSTALL, TensorFile
from .landmarks import load_landmarks
from .noise import fbm_points
from .sites import EYE, Sites, load_sites

_JIT = {"cache": True, "nogil": True}
CHILDREN = 0.2  # share of people below eighteen
# Adults' stature (m) and mass (kg), mean and standard deviation: ANSUR II (Gordon et al. 2014,
# NATICK/TR-15/007; 2012 survey of 4,082 men and 1,986 women, "Stature" and "Weight").
STATURE = {"woman": (1.629, 0.064), "man": (1.756, 0.069)}
MASS = {"woman": (67.8, 11.0), "man": (85.5, 14.2)}
MASS_PER_STATURE = 0.47  # correlation of mass and stature in ANSUR II
# Children: medians of the WHO (growth standards 2006, growth reference 2007) for girls and boys of these
# years, centimetres and kg/m^2; stature scatters by 4.4 per cent, the body mass index by 11.
CHILD_YEARS = (3, 5, 7, 9, 11, 13, 15, 17, 18)
CHILD_STATURE = {
    "woman": (95.1, 109.4, 120.8, 132.5, 145.0, 156.4, 161.7, 162.9, 163.1),
    "man": (96.1, 110.0, 121.7, 132.6, 143.1, 156.0, 169.0, 175.2, 176.1),
}
CHILD_BMI = {
    "woman": (15.4, 15.2, 15.4, 16.1, 17.2, 18.8, 20.2, 21.0, 21.3),
    "man": (15.6, 15.3, 15.5, 16.0, 16.9, 18.2, 19.8, 21.1, 21.7),
}
BMI = (13.5, 38.0)  # the range that is drawn
WEIGHT_MOST = 1.0  # of MakeHuman's slider, how far a body is moved to reach a mass
DENSITY = 1000.0  # kg per cubic metre of the mesh
PHENOTYPE_AGES, PHENOTYPE_YEARS = (0, 1 / 3, 2 / 3, 1), (1, 11, 25, 90)  # MakeHuman's
BODY_SPREAD, FACE_SPREAD = 0.25, 1.0  # sigmas of what is added to a row's coefficients, and of faces


class Size(NamedTuple):
    """Stature in metres and mass in kilograms."""

    stature: float
    mass: float


class _Table(NamedTuple):
    """The random people whose bodies are known: one row each."""

    women: np.ndarray  # [p] 0..1
    years: np.ndarray  # [p]
    ancestry: np.ndarray  # [p, 3] shares of African, Asian and Caucasian
    coefficients: np.ndarray  # [p, B] of the template's body shapes
    stature: np.ndarray  # [p] metres
    slopes: dict  # adult (bool) -> [2, B] change of the coefficients with stature (m) and MakeHuman's weight


def sample_years(rng: np.random.Generator) -> float:
    """An age: children from three years on, adults up to eighty."""
    if rng.random() < CHILDREN:
        return float(rng.uniform(3, 18))
    return float(18 + 62 * rng.beta(1.2, 1.6))


def sample_size(rng: np.random.Generator, masculine: float, years: float) -> Size:
    """The size of a random person: normal stature, log-normal mass; old people shrink by a centimetre every
    ten years from fifty on.
    """
    sort = "man" if masculine >= 0.5 else "woman"
    tall, heavy = rng.normal(size=2)
    if years < 18:
        stature = 0.01 * np.interp(years, CHILD_YEARS, CHILD_STATURE[sort]) * (1 + 0.044 * tall)
        mass = np.interp(years, CHILD_YEARS, CHILD_BMI[sort]) * np.exp(0.11 * heavy) * stature**2
    else:
        (mean, spread), (kilos, kilos_spread) = STATURE[sort], MASS[sort]
        heavy = MASS_PER_STATURE * tall + np.sqrt(1 - MASS_PER_STATURE**2) * heavy
        variance = np.log1p((kilos_spread / kilos) ** 2)
        stature = mean + spread * tall - 0.001 * max(years - 50, 0)
        mass = kilos * np.exp(np.sqrt(variance) * heavy - variance / 2)
    mass = np.clip(mass, BMI[0] * stature**2, BMI[1] * stature**2)
    return Size(float(stature), float(mass))


@lru_cache(maxsize=1)
def _table() -> _Table:
    from ...body.template import PATH

    template = load_sites().template
    tensors = TensorFile(PATH.with_name("phenotypes.safetensors"), "table of bodies", REINSTALL).arrays()
    who, coefficients = tensors["phenotypes"].astype(np.float64), tensors["coefficients"].astype(np.float64)
    top = template.vertices[:, 2].argmax()
    rises = template.shape_deltas[: coefficients.shape[1], top, 2].astype(np.float64)
    stature = template.vertices[top, 2] + np.einsum("pb,b->p", coefficients, rises)
    years = np.interp(who[:, 1], PHENOTYPE_AGES, PHENOTYPE_YEARS)
    slopes = {}
    for adult in (False, True):
        rows = (years >= 18) == adult
        known = np.column_stack([stature, who[:, 3], who[:, 2], who[:, 0], years, np.ones(len(who))])[rows]
        fitted = np.linalg.lstsq(known, coefficients[rows], rcond=None)[0][:2]
        slopes[adult] = np.round(fitted, 3)  # the solver's last bits follow its thread count
    ancestry = who[:, 8:] / who[:, 8:].sum(1, keepdims=True)
    return _Table(who[:, 0], years, ancestry, coefficients, stature, slopes)


@cache
def _row_mass(row: int) -> float:
    """Kilograms of a body of the table."""
    return body_mass(load_sites().template, _table().coefficients[row])


def sample_betas(
    rng: np.random.Generator, masculine: float, years: float, size: Size
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients [S] in sigmas of a random person of that sex, age and size, and the shares [3] of African,
    Asian and Caucasian ancestry: between two bodies of the table that come close, brought to the size.
    """
    table, names = _table(), load_sites().template.shape_names
    adult = years >= 18
    apart = ((table.women - (1 - masculine)) / 0.12) ** 2 + ((table.stature - size.stature) / 0.06) ** 2
    # Young children of the table are small for their age: stature decides, age a little.
    apart += ((table.years - years) / (7 if adult else 4)) ** 2 + 100 * ((table.years >= 18) != adult)
    near = np.argsort(apart, kind="stable")[:14]
    masses = np.array([_row_mass(row) for row in near.tolist()])
    fitting = near[np.argsort(np.abs(np.log(masses / size.mass)), kind="stable")[:6]]
    one, other = rng.choice(fitting, 2, replace=False)
    share = rng.beta(0.5, 0.5)
    body = (1 - share) * table.coefficients[one] + share * table.coefficients[other]
    ancestry = (1 - share) * table.ancestry[one] + share * table.ancestry[other]
    body[3:] += BODY_SPREAD * rng.normal(size=len(body) - 3)
    faces = rng.normal(size=len(names) - len(body)).clip(-2.2, 2.2)
    faces *= FACE_SPREAD * (1.0 if adult else 0.75)
    return _fit_size(np.concatenate([body, faces]), size, table.slopes[adult]).astype(np.float32), ancestry


def _fit_size(betas: np.ndarray, size: Size, slopes: np.ndarray) -> np.ndarray:
    """Coefficients [S] changed along the slopes [2, B] of stature and weight until the body has that size."""
    template, moved = load_sites().template, 0.0
    taller, heavier = np.zeros((2, len(betas)))
    taller[: slopes.shape[1]], heavier[: slopes.shape[1]] = slopes
    for _ in range(3):
        betas = betas + (size.stature - _stature(template, betas)) * taller
        here, ahead = (np.log(body_mass(template, betas + step * heavier)) for step in (0, 0.1))
        step = 0.1 * (np.log(size.mass) - here) / max(ahead - here, 1e-3)
        step = np.clip(step, -WEIGHT_MOST - moved, WEIGHT_MOST - moved)
        betas, moved = betas + step * heavier, moved + step
    return betas + (size.stature - _stature(template, betas)) * taller


def _stature(template, betas: np.ndarray) -> float:
    """Metres from the ground to the mean template's topmost vertex on a body with coefficients [s]."""
    top = template.vertices[:, 2].argmax()
    return float(template.vertices[top, 2] + (betas * template.shape_deltas[: len(betas), top, 2]).sum())


def body_mass(template, betas: np.ndarray) -> float:
    """Kilograms of a body with coefficients [s] of the first shapes."""
    faces = load_sites().skin_faces
    vertices = _combine(template.vertices, template.shape_deltas, np.asarray(betas, np.float64))
    return DENSITY * _volume(vertices, faces)


@numba.njit(**_JIT)
def _combine(mean, deltas, weights):
    """mean [Nv, 3] plus the first deltas [s, Nv, 3] by their weights [s], in float64."""
    out = mean.astype(np.float64)
    for s in range(len(weights)):
        for i in range(len(out)):
            for c in range(3):
                out[i, c] += weights[s] * deltas[s, i, c]
    return out


@numba.njit(**_JIT)
def _volume(vertices, faces):
    """Signed volume inside a mesh, cubic metres; the few holes are small beside it."""
    total = 0.0
    for t in range(len(faces)):
        a, b, c = vertices[faces[t, 0]], vertices[faces[t, 1]], vertices[faces[t, 2]]
        az, bz, cz = a[2] - 1.0, b[2] - 1.0, c[2] - 1.0
        total += a[0] * (b[1] * cz - bz * c[1]) + a[1] * (bz * c[0] - b[0] * cz)
        total += az * (b[0] * c[1] - b[1] * c[0])
    return total / 6


def individuality(rng: np.random.Generator, sites: Sites) -> np.ndarray:
    """A smooth displacement [Nv, 3] that no two people share, not the same on both sides: root mean square
    about a millimetre; none at the eyes, the lips, the ears and the cranium (bald skulls would show dents).
    """
    v, marks = sites.template.vertices, load_landmarks()
    q = sites.head_local(v)
    shift = rng.uniform(0, 100, 3).astype(np.float32)
    moved = np.stack([fbm_points(v * np.float32(16) + s, 2) for s in shift], 1) * np.float32(0.0016)
    moved[q[:, 1] < -14] *= 1.8
    quiet = np.zeros(len(v))
    for side in (1, -1):
        for centre, reach in (
            (marks.eye + np.array([0, 0, 1]), (2.4, 1.6, 3)),
            (marks.nostril, (1.4, 1.0, 1.5)),
        ):
            d = (q - centre * (side, 1, 1)) / np.array(reach)
            quiet = np.maximum(quiet, np.exp(-((d**2).sum(1) ** 2)))
    d = (q - np.array([0, marks.lip_seam[0], marks.lip_front[0] - 2])) / np.array([3.4, 1.8, 4])
    quiet = np.maximum(quiet, np.exp(-((d**2).sum(1) ** 2)))
    quiet = np.maximum(quiet, np.clip((q[:, 1] - 0.6 * q[:, 2] - 1) / 3, 0, 1))  # the cranium
    quiet = np.maximum(quiet, 0.8 * sites.template.region("ears"))
    quiet[sites.template.part >= EYE] = 1
    # Hands and feet keep their shape: a millimetre is much on a finger.
    hand = (np.abs(v[:, 0]) > sites.joint("hand.L")[0] - 0.02) | (v[:, 2] < 0.1)
    return (moved * (1 - np.where(hand, 0.85, quiet))[:, None]).astype(np.float32)


def apply_shape(template, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [Nv, 3] and joint heads [J, 3] of a body, feet on the ground where the template's are."""
    # Not by BLAS, whose bits follow its thread count.
    vertices = template.vertices + np.einsum("s,snc->nc", betas, template.shape_deltas)
    heads = template.joint_heads + np.einsum("s,sjc->jc", betas, template.shape_joint_deltas)
    drop = vertices[:, 2].min() - template.vertices[:, 2].min()
    vertices[:, 2] -= drop
    heads[:, 2] -= drop
    return vertices.astype(np.float32), heads.astype(np.float32)
