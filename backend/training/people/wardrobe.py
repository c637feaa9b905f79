# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of clothes on one person: each garment knows what lies over it and which skin it hides."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from . import garments, prints
from .cloth import BodyShape, Folds, Piece, shell, skirt
from .drape import Drape
from .garments import Cut, Tape
from .sites import load_sites
from .tailoring import NO_CLOSURE, NO_POCKETS

OVERLAP = 0.045  # metres an inner garment reaches under an outer one


@dataclass
class Outfit:
    """Pieces to draw, how deep under cloth each template vertex lies (`cover` [Nv] metres, > 0 is under it)
    and how far off the skin the outermost cloth is there (`thickness` [Nv] metres, 0 where bare).
    """

    pieces: list[Piece] = field(default_factory=list)
    cover: np.ndarray | None = None
    thickness: np.ndarray | None = None
    names: list[str] = field(default_factory=list)


@lru_cache(maxsize=1)
def tape() -> Tape:
    """The mean template's measurements, once per process."""
    return Tape(load_sites())


class Wardrobe:
    """Dresses one person, outermost garment first, so that each knows what lies over it."""

    def __init__(self, rng: np.random.Generator, shape: BodyShape):
        self.rng, self.shape, self.tape = rng, shape, tape()
        self.drape = Drape(shape, self.tape)
        self.draped = shape  # the body as the garment worn last sees it
        self.colours = prints.palette(rng)
        self.over = np.full(len(shape.vertices), -garments.FAR)
        self.roof = np.full(len(shape.vertices), garments.FAR, np.float32)
        self.ceiling = self.roof  # the roof over what was worn last
        self.slack = np.full(len(shape.vertices), garments.FAR, np.float32)
        self.thickness = np.zeros(len(shape.vertices), np.float32)
        self.hidden = np.full(len(shape.vertices), -garments.FAR)
        self.outfit = Outfit()
        self.patterned = False

    def fabric(self, lie: int, cut_top: float, cut_bottom: float, plain=False, **options) -> prints.Fabric:
        """A fabric for one garment; beside a patterned one most others are plain."""
        plain = plain or (self.patterned and self.rng.random() < 0.8)
        fabric = prints.sample_fabric(
            self.rng, self.shape.sites, lie, self.colours, cut_top, cut_bottom, plain=plain, **options
        )
        self.patterned |= fabric.look.pattern not in (prints.PLAIN, prints.GRADIENT)
        return fabric

    def wear(
        self, name: str, cut: Cut, materials: list, depth: float, *, margin=0.02, outside=False,
        hem_depth=0.003, fine=True,
    ):  # fmt: skip
        """Make a cut into a shell under what is worn already (`outside`: over what was worn last, as its
        collar is, but under the rest). Metres are those of the mean template: a child's cloth is thinner.
        """
        outline, scale = np.minimum(cut.outline, OVERLAP - self.over), self.shape.scale
        hanging = np.zeros(len(outline), np.float32)
        if not outside:
            self.ceiling = self.roof
            self.draped = self.shape
            if cut.fall is not None:
                hanging = np.linalg.norm(cut.fall, axis=1)
                share = np.minimum(1, 0.9 * self.slack / (hanging + 1e-6))
                self.draped, hanging = self.shape.moved(cut.fall * share[:, None]), hanging * share
        room = (0.6 if outside else 0.5) * self.ceiling
        cut.offset = np.minimum(cut.offset, np.maximum(room, 0.002)).astype(np.float32)
        loose = float(np.median((cut.offset + hanging)[outline > 0])) if (outline > 0).any() else 0.0
        folds = Folds(
            depth * scale, depth * scale, float(self.rng.uniform(0, 40)), np.clip(loose / 0.016, 0.2, 1)
        )
        piece = shell(
            self.draped, outline, cut.offset * scale, materials, cut.trims, folds, cut.gathers,
            rounds=cut.rounds, hold=cut.hold * scale, hem_depth=hem_depth * scale, fine=fine,
        )  # fmt: skip
        if piece is None:
            return
        self.outfit.pieces.append(piece)
        self.outfit.names.append(name)
        self.over = np.maximum(self.over, cut.outline)
        stands = cut.offset * scale + hanging
        self.thickness = np.where(outline > 0, np.maximum(self.thickness, stands), self.thickness)
        self.roof = np.where(cut.outline > -0.02, np.minimum(self.roof, cut.offset), self.roof)
        if not outside:
            self.slack = np.where(cut.outline > -0.02, np.minimum(self.slack, hanging), self.slack)
        self.hidden = np.maximum(self.hidden, np.minimum(cut.outline, outline) - margin)

    def hang(self, name, top, bottom, fabric, flare, ease, pleats, opening=0.0, shape=None):
        """Hang a skirt from `top` to `bottom` about the body, or about `shape`."""
        scale, (count, depth, phase) = self.shape.scale, pleats
        piece = skirt(
            shape or self.shape, top, bottom, [fabric], float(flare), ease * scale,
            (count, depth * scale, phase), opening,
        )  # fmt: skip
        self.outfit.pieces.append(piece)
        if name:
            self.outfit.names.append(name)

    def trim(self, fabric: prints.Fabric) -> prints.Fabric:
        """The same cloth without print, or a contrasting one, for cuffs and collars."""
        look = fabric.look
        plain = look._replace(pattern=prints.PLAIN, mark=prints.NO_MARK, weave=prints.KNIT)
        plain = plain._replace(closure=NO_CLOSURE, pockets=NO_POCKETS)
        if self.rng.random() < 0.5:
            plain = plain._replace(first=look.second)
        return prints.Fabric(plain, fabric.place)
