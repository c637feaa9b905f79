# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's own surface: the fitted body's, its face landed on the landmarks of every photo, moved out and
in to the mattes' edges.
"""

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from ..body.template import EYEBALL, SKIN
from ..imaging.fit.model import fit_model
from ..raster.mesh_faces import rasterize_mesh
from .photo import FittedPhoto, fitted_surface
from .places import Places

EVENED = 8  # rounds of averaging where several photos move a face
DAMPING = 0.02  # of a face's move where no photo holds it
INNER, CLEARANCE = 24, 0.002  # places of the face that one of the mouth moves with, metres that it stays back
FARTHEST = 0.012  # metres that a landmark moves the surface
EVERY = 32  # of the places carry the outline's move; the others take their neighbours'
# Metres: steps along the normal, and how far the outline is looked for.
STEP, OUTWARD, INWARD = 0.002, 0.12, 0.06
RIM = 0.35  # cosine to the view below which a place lies on the outline
LANDED = 0.3  # of the face, from which the outline moves nothing: at mouths it tore the lips
STIFFNESS, HOLD = 1.0, 1.0  # of the move's curvature; of what stays where it is
# Towards the usual move: of the body (outlines of 12 people in new poses overlap by 0.890 with it, by 0.884
# with 0.02 towards none), and of the scalp.
KEEP, KEEP_HAIR = 0.1, 0.002
EDGE = 0.8  # matte of the surface's outline: what is fainter are pixels of their own
BORDER = 3  # pixels of the photo's border where an outline is not the person's


def person_surface(places: Places, photos: list[FittedPhoto], usual: np.ndarray) -> np.ndarray:
    """[N,3] metres in the mean canonical space. usual: [N] metres by which clothes and hair stand off the
    body, where no outline tells.
    """
    fitted = fitted_surface(places, photos[0].fit)
    surface = landed(places, photos, fitted)
    surface = surface + places.normals * outline_moves(places, photos, surface, usual)[:, None]
    return _with_mouth_inside(places, fitted, surface)


def _with_mouth_inside(places: Places, fitted: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """The surface [N,3] whose mouth moved from the fitted one as lips and cheeks before it did, so that these
    go on hiding it.
    """
    inner = np.flatnonzero(places.part > EYEBALL)
    outer = np.flatnonzero((places.part == SKIN) & (places.face > 0.1))
    near = cKDTree(places.positions[outer]).query(places.positions[inner], k=INNER, workers=-1)[1]
    made = surface.copy()
    made[inner] = fitted[inner] + (surface - fitted)[outer][near].mean(1)
    made[inner] -= CLEARANCE * places.normals[outer][near].mean(1)
    return made


def landed(places: Places, photos: list[FittedPhoto], surface: np.ndarray) -> np.ndarray:
    """The surface [N,3] with the face moved so that each photo shows its landmarks where they are: a 3 x 3
    solve a place, the photos weighted by how much they face it.
    """
    normal = np.zeros((len(surface), 3, 3))
    right = np.zeros((len(surface), 3))
    for photo in photos:
        if photo.warp is None:
            continue
        posed = photo.pose(places, surface, places.normals)
        moves = photo.warp(posed.pixels)
        depth = posed.points[:, 2:]
        weight = photo.plainness * np.clip(posed.facing + 0.3, 0.05, 1) ** 2
        ray = posed.points[:, :2] / depth
        across = posed.linear[:, :2] - ray[:, :, None] * posed.linear[:, 2:]  # metres at the place's depth
        normal += np.einsum("n,nki,nkj->nij", weight, across, across)
        right += np.einsum("n,nki,nk->ni", weight, across, moves * depth / photo.fit.focal)
    moved = np.linalg.solve(normal + DAMPING * np.eye(3), right[..., None])[..., 0]
    if len(photos) > 1:
        for _ in range(EVENED):
            moved = (moved + moved[places.neighbours].mean(1)) / 2
    size = np.linalg.norm(moved, axis=1, keepdims=True)
    return (surface + moved * np.minimum(1, FARTHEST / np.maximum(size, 1e-9))).astype(np.float32)


def outline_moves(places: Places, photos: list[FittedPhoto], surface: np.ndarray, usual) -> np.ndarray:
    """[N] metres along the normals, smooth, by which the surface's outline meets the mattes' edges; towards
    the `usual` [N] elsewhere.

    Face, ears and neck stay: beside a cheek the matte's edge is the hair's.
    """
    some = np.arange(0, len(places), EVERY)
    weight, wanted = np.zeros(len(some)), np.zeros(len(some))
    for photo in photos:
        rows, gaps, sureness = _gaps(photo, places, surface, some)
        weight[rows] += sureness
        wanted[rows] += sureness * gaps
    held = places.held[some]
    landed = places.face[some] > LANDED  # where the landmarks tell
    free = ((held < 0.5) | (wanted < 0)) & ~landed  # what else reaches out of the matte comes in
    weight, wanted, hold = weight * free, wanted * free, HOLD * held * ((wanted >= 0) | landed)
    keep = KEEP + (KEEP_HAIR - KEEP) * places.scalp[some] + HOLD * places.ends[some]
    laplacian, scale = graph_laplacian(places.positions[some], places.normals[some])
    system = sparse.diags(weight + keep + hold) + STIFFNESS / scale**2 * (laplacian @ laplacian)
    moves = spsolve(system.tocsc(), wanted + keep * usual[some] * (1 - held))
    distance, nearest = cKDTree(places.positions[some]).query(places.positions, k=6, workers=1)
    share = np.exp(-((distance / (distance[:, 3:4] + 1e-9)) ** 2))
    return ((moves[nearest] * share).sum(1) / share.sum(1)).astype(np.float32)


def graph_laplacian(points: np.ndarray, normals: np.ndarray, count: int = 10):
    """Graph Laplacian [n,n] of near points whose normals agree, and its median diagonal."""
    distance, nearest = cKDTree(points).query(points, k=count + 1, workers=1)
    distance, nearest = distance[:, 1:], nearest[:, 1:]
    weight = 1 / (distance / np.median(distance, axis=1, keepdims=True) + 0.3)
    weight *= np.clip((normals[:, None] * normals[nearest]).sum(-1), 0.02, 1)
    rows = np.repeat(np.arange(len(points)), count)
    joined = sparse.csr_matrix((weight.ravel(), (rows, nearest.ravel())), (len(points), len(points)))
    joined = (joined + joined.T) / 2
    degree = np.asarray(joined.sum(1)).ravel()
    return sparse.diags(degree) - joined, float(np.median(degree))


def _gaps(photo: FittedPhoto, places: Places, surface: np.ndarray, some: np.ndarray):
    """Rows of `some` on the outline in a photo, metres by which the matte's edge lies outside them, and
    weights.
    """
    matte, fit = photo.seen.matte, photo.fit
    height, width = matte.shape
    posed = photo.pose(places, surface, places.normals, some)
    points, normals, pixels, cosine = posed.points, posed.normals, posed.pixels, np.abs(posed.facing)
    inside = (pixels > BORDER).all(1) & (pixels < (width - BORDER, height - BORDER)).all(1)
    rim = np.flatnonzero((cosine < RIM) & inside)
    across = normals[rim, :2] / (np.linalg.norm(normals[rim, :2], axis=1, keepdims=True) + 1e-9)
    step = STEP * fit.focal / points[rim, 2]
    inward, outward = round(INWARD / STEP), round(OUTWARD / STEP)
    steps = np.arange(-inward, outward + 1)
    along = pixels[rim][:, None] + across[:, None] * (steps[None] * step[:, None])[..., None]
    columns = np.clip(along[..., 0].astype(int), 0, width - 1)
    rows = np.clip(along[..., 1].astype(int), 0, height - 1)
    solid = ndimage.gaussian_filter(matte, max(1, height / 600))[rows, columns] > EDGE
    body = _drawn(photo)[rows, columns]
    here = inward  # the column of step 0
    outside = ~body[:, here + 5 : here + 9].any(1)  # nothing of the body lies just beyond: truly the outline
    ends = ~solid[:, here:]
    leaves = np.where(ends.any(1), ends.argmax(1), -1)  # steps outwards to leave the matte
    met = np.array([body[k, here + 5 : here + max(end, 5)].any() for k, end in enumerate(leaves)], bool)
    back = solid[:, : here + 1][:, ::-1]
    gap = STEP * np.where(solid[:, here], leaves, -np.where(back.any(1), back.argmax(1), 0))
    tip = along[np.arange(len(rim)), here + np.maximum(leaves, 0)]
    cut = (tip < BORDER).any(1) | (tip > (width - BORDER, height - BORDER)).any(1)
    good = outside & (leaves >= 0) & ~met & ~cut
    return rim[good], gap[good], (1 - cosine[rim] / RIM)[good]


def _drawn(photo: FittedPhoto) -> np.ndarray:
    """Where the fitted body lies in the photo [H,W] bool."""
    height, width = photo.seen.size
    drawn = rasterize_mesh(photo.fit.vertices(), fit_model().faces, np.eye(4), photo.fit.K, width, height)
    return drawn.face >= 0
