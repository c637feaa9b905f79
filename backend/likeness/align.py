# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings several photos of a person into agreement, by gradients of the rasteriser: each photo's pose,
camera and expression, and the surface that all share, so that the surface in the photos' mean colours looks
like each of them. Faces stay on the photos' landmarks, which know better where a face is.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.spatial import cKDTree
from torch import Tensor

from ..body.expression import apply_face_joints
from ..body.pose import joint_transforms, rotation_matrices
from ..body.template import SKIN, load_template
from ..gaussians import Gaussians
from ..imaging.fit.pose_prior import load_prior
from ..raster import rasterize
from .photo import FittedPhoto, fitted_surface
from .pictures import Picture, difference, on, pictures
from .places import Places
from .surface import graph_laplacian

STEPS, MOST = 30, 240  # steps for each photo, and for all
PERSON, FACE = 448, 320  # pixels, the most a picture is high
FINE_FACE = 2  # of so many places of a face one is drawn
WIDE = 0.47  # standard deviation of a drawn place, of its size
EVERY, BETWEEN = 16, 5  # of the places carry the surface's move; the others take that of so many of them
# Steps of Adam: metres of the surface, radians of joints, metres of the pelvis, expression values, logarithm
# of the focal length, gain of the colours. Larger ones leave the landmarks and do not come back.
RATES = {
    "surface": 6e-4, "turns": 8e-4, "shift": 4e-4, "expression": 4e-3, "focal": 5e-4, "gain": 1e-2,
}  # fmt: skip
# What moves cost: the surface's curvature and its square, turns, expression, focal length, gain.
CURVATURE, MOVE, TURN, EXPRESSION, FOCAL, GAIN = 20.0, 10.0, 0.5, 0.02, 5.0, 0.1
MATTE = 0.2  # weight of the coverage beside the colours
# Weight of the landmarks; of the face's size, a distance that still counts with its square; places of a face
# that are held, one of so many, and their least cosine to the camera.
HELD, LANDED, TIED, FACING = 3.0, 0.005, 25, 0.3


@torch.enable_grad()
def aligned(
    places: Places,
    photos: list[FittedPhoto],
    surface: np.ndarray,
    sizes: np.ndarray,
    color: np.ndarray,
    report: Callable[[float], None] = lambda fraction: None,
    device: str | torch.device = "cpu",
) -> tuple[list[FittedPhoto], np.ndarray]:
    """The photos with better fits, and the surface [N,3] in the mean canonical space. sizes [N] metres and
    color [N,3] of the places. Pictures are drawn on `device`; on the CPU two runs give equal bits. report is
    called with the fraction done, and may raise.
    """
    targets = [picture for n, photo in enumerate(photos) for picture in pictures(n, photo, PERSON, FACE)]
    if not targets:
        return photos, surface
    scene = _Scene.of(places, photos, surface, sizes, color)
    there, targets = on((scene, targets), device)
    moves = _Moves.none(len(photos), len(scene.some), device)
    optimizer = torch.optim.Adam(
        [{"params": [value], "name": name} for name, value in moves._asdict().items()],
        betas=(0.9, 0.99),
        eps=1e-15,
    )
    draw, steps, order = torch.Generator().manual_seed(0), min(STEPS * len(photos), MOST), []
    for step in range(steps):
        report(step / steps)
        order = order or torch.randperm(len(targets), generator=draw).tolist()
        target = targets[order.pop()]
        for group in optimizer.param_groups:
            group["lr"] = RATES[group["name"]] * min(1.0, 2.05 - 2 * step / steps)
        optimizer.zero_grad()
        background = torch.rand(3, generator=draw).to(device)
        loss = there.loss(moves, target, background) + there.cost(moves)
        loss.backward()
        optimizer.step()
    return scene.result(on(moves, "cpu"), photos, surface)


class _Moves(NamedTuple):
    """What is sought, as changes: surface [n,3] metres of some places; of each photo turns [P,J,3] radians,
    shift [P,3] metres, expression [P,52], logarithm of the focal length [P] and gain of the colours [P,3].
    """

    surface: Tensor
    turns: Tensor
    shift: Tensor
    expression: Tensor
    focal: Tensor
    gain: Tensor

    @classmethod
    def none(cls, photos: int, some: int, device: str | torch.device) -> "_Moves":
        joints = len(load_template().joint_names)
        shapes = (some, 3), (photos, joints, 3), (photos, 3), (photos, 52), (photos,), (photos, 3)
        return cls(*(torch.zeros(shape, requires_grad=True, device=device) for shape in shapes))


class _Fit(NamedTuple):
    """A photo's fit as tensors; free [J,1] is 1 for joints that may turn, loose for the camera; ties: rows of
    the drawn places that are held, and pixels [n,2] where.
    """

    rotations: Tensor
    translation: Tensor
    expression: Tensor
    gaze: Tensor
    heads: np.ndarray
    K: Tensor
    free: Tensor
    loose: float
    ties: tuple[Tensor, Tensor, float] | None


class _Scene(NamedTuple):
    """The drawn places, n of all: base [n,3], color [n,3], covariances [n,3,3], weights [n,J]; expressive
    rows and deltas [52,3m]; some: places that carry the surface's move, laplacian of them;
    hold [N,1]: how much of it each place takes; near, share [N,BETWEEN] of all places among them, carried:
    those of the drawn places; fits.
    """

    rows: np.ndarray
    base: Tensor
    color: Tensor
    covariances: Tensor
    weights: Tensor
    expressive: tuple[Tensor, Tensor]
    some: np.ndarray
    hold: np.ndarray
    laplacian: Tensor
    near: np.ndarray
    share: np.ndarray
    carried: tuple[Tensor, Tensor]
    fits: list[_Fit]

    @classmethod
    def of(
        cls, places: Places, photos, surface: np.ndarray, sizes: np.ndarray, color: np.ndarray
    ) -> "_Scene":
        fine = (places.face > 0.3) & (places.part == SKIN)
        rows = np.sort(np.concatenate([np.flatnonzero(~fine), np.flatnonzero(fine)[::FINE_FACE]]))
        wide = WIDE * (sizes * np.where(fine, FINE_FACE**0.5, 1))[rows]
        some = np.arange(0, len(places), EVERY)
        distance, near = cKDTree(places.positions[some]).query(places.positions, k=BETWEEN, workers=-1)
        share = np.exp(-np.square(distance / (distance[:, 2:3] + 1e-6)))
        share = (share / share.sum(1, keepdims=True)).astype(np.float32)
        hold = (1 - np.clip(4 * places.face, 0, 1)).astype(np.float32)[:, None]
        laplacian, scale = graph_laplacian(places.positions[some], places.normals[some])
        number = np.full(len(places), -1)
        moved, deltas = places.expressive
        number[moved] = np.arange(len(moved))
        expressive = np.flatnonzero(number[rows] >= 0)
        deltas = _tensor(deltas[:, number[rows[expressive]]]).reshape(len(deltas), -1)
        return cls(
            rows=rows,
            base=_tensor(surface[rows]),
            color=_tensor(color[rows]),
            covariances=torch.eye(3) * _tensor(wide)[:, None, None] ** 2,
            weights=_tensor(places.weight_matrix[rows].toarray()),
            expressive=(torch.from_numpy(expressive), deltas),
            some=some,
            hold=hold,
            laplacian=_sparse(laplacian / scale),
            near=near,
            share=share,
            carried=(torch.from_numpy(near[rows].ravel()), _tensor((share * hold)[rows])),
            fits=[_fit(places, photo, rows) for photo in photos],
        )

    def loss(self, moves: _Moves, target: Picture, background: Tensor) -> Tensor:
        fit, n = self.fits[target.number], target.number
        points = self._posed(moves, n)
        shown = Gaussians(
            points,
            self.covariances,
            torch.full((len(points),), 0.95, device=points.device),
            self.color * (1 + moves.gain[n]),
        )
        drawn = rasterize(shown, target.camera, background=background)["combined"]
        loss = difference(drawn[..., :3], target.over(background))
        loss = loss + MATTE * (drawn[..., 3] - target.matte).abs().mean()
        if fit.ties is None:
            return loss
        rows, wanted, size = fit.ties
        pixels = points[rows] @ fit.K.T
        off = (pixels[:, :2] / pixels[:, 2:] - wanted) / size
        return loss + HELD * (off.square().sum(1) + LANDED**2).sqrt().mean()

    def cost(self, moves: _Moves) -> Tensor:
        count = len(self.fits)
        bent = (self.laplacian @ moves.surface).square().sum(1)
        return (
            CURVATURE * (bent + 1e-10).sqrt().mean()
            + MOVE * moves.surface.square().sum(1).mean()
            + TURN * moves.turns.square().sum() / count
            + EXPRESSION * moves.expression.square().sum() / count
            + FOCAL * moves.focal.square().sum() / count
            + GAIN * moves.gain.square().sum()
        )

    def _posed(self, moves: _Moves, number: int) -> Tensor:
        """[n,3] in the photo's camera axes, as wide as a camera of the unmoved focal length shows them."""
        fit = self.fits[number]
        near, share = self.carried
        moved = moves.surface.index_select(0, near).view(*share.shape, 3)
        points = self.base + (moved * share[..., None]).sum(1)
        expression = (fit.expression + moves.expression[number]).clamp(0, 1)
        rows, deltas = self.expressive
        points = points.index_add(0, rows, (expression @ deltas).view(-1, 3))
        turns = fit.rotations + moves.turns[number] * fit.free
        shift = fit.translation + fit.loose * moves.shift[number]
        transforms = joint_transforms(load_template(), turns, shift, joint_heads=fit.heads)
        transforms = apply_face_joints(transforms, expression, fit.gaze)
        matrix = (self.weights @ transforms[:, :3].reshape(len(transforms), 12)).view(-1, 3, 4)
        posed = (matrix[:, :, :3] @ points[..., None])[..., 0] + matrix[:, :, 3]
        return torch.cat([posed[:, :2] * (fit.loose * moves.focal[number]).exp(), posed[:, 2:]], 1)

    @torch.no_grad()
    def result(self, moves: _Moves, photos: list[FittedPhoto], surface: np.ndarray):
        moved = moves.surface.numpy()[self.near]
        surface = surface + self.hold * (moved * self.share[..., None]).sum(1)
        made = []
        for n, (photo, fit) in enumerate(zip(photos, self.fits, strict=True)):
            turns = fit.rotations + moves.turns[n] * fit.free
            better = replace(
                photo.fit,
                local=rotation_matrices(turns).numpy().astype(np.float64),
                translation=(fit.translation + fit.loose * moves.shift[n]).numpy().astype(np.float64),
                focal=photo.fit.focal * float((fit.loose * moves.focal[n]).exp()),
                expression=(fit.expression + moves.expression[n]).clamp(0, 1).numpy().astype(np.float64),
            )
            made.append(FittedPhoto.of(photo.seen, better, photo.name))
        return made, surface.astype(np.float32)


def _fit(places: Places, photo: FittedPhoto, rows: np.ndarray) -> _Fit:
    fit, ties = photo.fit, None
    if photo.warp is not None:
        posed = photo.pose(places, fitted_surface(places, fit), places.normals, rows)
        face = (places.face[rows] > 0.3) & (places.part[rows] == SKIN)
        tied = np.flatnonzero(face & (posed.facing > FACING))[::TIED]
        wanted = posed.pixels[tied] + photo.warp(posed.pixels[tied])
        ties = (torch.from_numpy(tied), _tensor(wanted), float(photo.seen.face.size)) if len(tied) else None
    tensors = (_tensor(a) for a in (fit.rotations, fit.translation, fit.expression, fit.gaze))
    free = torch.zeros(len(fit.local), 1)
    if not fit.held:
        free[[0, *load_prior().joints.tolist()]] = 1
    heads = fit.joint_heads.astype(np.float32)
    return _Fit(*tensors, heads, _tensor(fit.K), free, float(not fit.held), ties)


def _tensor(values) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _sparse(matrix: sparse.spmatrix) -> Tensor:
    part = matrix.tocoo()
    where = torch.from_numpy(np.stack([part.row, part.col]).astype(np.int64))
    return torch.sparse_coo_tensor(where, _tensor(part.data), part.shape, check_invariants=False).coalesce()
