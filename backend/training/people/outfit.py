# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person wears: which garments, in which layers, in which fabrics, and the skin they hide."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from . import garments, prints, shoes
from .cloth import BodyShape, Folds, Piece, shell, skirt
from .garments import Cut, Tape
from .sites import load_sites

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
        self.colours = prints.palette(rng)
        self.over = np.full(len(shape.vertices), -garments.FAR)
        self.roof = np.full(len(shape.vertices), garments.FAR, np.float32)
        self.ceiling = self.roof  # the roof over what was worn last
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
        self, name: str, cut: Cut, materials: list, depth: float, *, margin=0.02, outside=False, **options
    ):
        """Make a cut into a shell under what is worn already (`outside`: over what was worn last, as its
        collar is, but under the rest).
        """
        outline = np.minimum(cut.outline, OVERLAP - self.over)
        if not outside:
            self.ceiling = self.roof
        room = (0.6 if outside else 0.5) * self.ceiling
        cut.offset = np.minimum(cut.offset, np.maximum(room, 0.002)).astype(np.float32)
        looseness = float(np.clip(np.median(cut.offset) / 0.016, 0.2, 1))
        folds = Folds(depth, depth, float(self.rng.uniform(0, 40)), looseness)
        piece = shell(
            self.shape,
            outline,
            cut.offset,
            materials,
            cut.trims,
            folds,
            cut.gathers,
            rounds=cut.rounds,
            hold=cut.hold,
            **options,
        )
        if piece is None:
            return
        self.outfit.pieces.append(piece)
        self.outfit.names.append(name)
        self.over = np.maximum(self.over, cut.outline)
        self.thickness = np.where(outline > 0, np.maximum(self.thickness, cut.offset), self.thickness)
        self.roof = np.where(cut.outline > -0.02, np.minimum(self.roof, cut.offset), self.roof)
        self.hidden = np.maximum(self.hidden, np.minimum(cut.outline, outline) - margin)

    def trim(self, fabric: prints.Fabric) -> prints.Fabric:
        """The same cloth without print, or a contrasting one, for cuffs and collars."""
        look = fabric.look
        plain = look._replace(pattern=prints.PLAIN, mark=prints.NO_MARK, weave=prints.KNIT, placket=0.0)
        if self.rng.random() < 0.5:
            plain = plain._replace(first=look.second)
        return prints.Fabric(plain, fabric.place)


def _neck(rng: np.random.Generator, t: Tape) -> np.ndarray:
    kind = rng.choice(["crew", "vee", "scoop", "wide"], p=[0.55, 0.18, 0.17, 0.10])
    drop = rng.uniform(-0.022, 0.002)
    return t.neckline(
        drop + (0.02 if kind == "wide" else 0.0),
        vee=rng.uniform(0.05, 0.12) if kind == "vee" else 0.0,
        scoop=rng.uniform(0.025, 0.07) if kind == "scoop" else 0.0,
    )


def _tailored(w: Wardrobe, hem: float, long: bool) -> None:
    """A jacket with lapels or, where `long`, a coat whose skirts hang below `hem`."""
    rng, t = w.rng, w.tape
    weave = int(rng.choice([prints.SMOOTH, prints.HEATHER, prints.DENIM], p=[0.5, 0.42, 0.08]))
    neck = t.neckline(rng.uniform(-0.004, 0.008))
    ease = rng.uniform(0.014, 0.019)
    button, gap = t.height(rng.uniform(108, 124)), rng.uniform(0.045, 0.06)
    cut = garments.top_cut(t, t.wrist - rng.uniform(0.0, 0.02), hem, neck, ease, 0.0)
    closed = rng.random() < 0.5
    cut = garments.veed_front(t, cut, button, gap, 0.0 if closed else rng.uniform(0.1, 0.25))
    fabric = w.fabric(prints.TOP, cut.top, cut.bottom, weave=weave, plain=bool(rng.random() < 0.7))
    depth = rng.uniform(0.002, 0.004)
    if long:
        skirts = prints.Fabric(fabric.look._replace(lie=prints.SKIRT), fabric.place)
        below = t.height(rng.uniform(30, 62))
        opening = 0.0 if closed else rng.uniform(0.3, 0.9)
        flare = rng.uniform(0.04, 0.14)
        piece = skirt(
            w.shape, hem + 0.03, below, [skirts], flare, 0.016, (5, 0.006, rng.uniform(0, 6)), opening
        )
        w.outfit.pieces.append(piece)
        # The upper part covers the seam.
        seam = np.where(t.arm, 0, 0.014 * np.clip(1 - (t.z - hem) / 0.1, 0, 1))
        cut.offset = (cut.offset + seam).astype(np.float32)
        cut.hold = 0.03
    name = "coat" if long else "suit jacket"
    w.wear(name, cut, [fabric], depth, margin=0.03, hem_depth=0.005)
    plain = prints.Fabric(fabric.look._replace(pattern=prints.PLAIN, seams=0.0), fabric.place)
    shade = prints.Fabric(plain.look._replace(first=plain.look.first * 0.93), plain.place)
    width = rng.uniform(0.045, 0.075)
    w.wear("lapels", garments.lapel_cut(t, neck, button, width, gap, ease + 0.004), [shade], 0.0,
           outside=True, hem_depth=0.003)  # fmt: skip
    collar = garments.collar_cut(t, neck, 0.02, ease + 0.003, gap * 0.8, rng.uniform(0.03, 0.045))
    w.wear("jacket collar", collar, [shade], 0.0, outside=True, hem_depth=0.004)


def _jacket(w: Wardrobe, short: bool) -> None:
    """`short`: ends at the waist, over a skirt."""
    rng, t = w.rng, w.tape
    sort = 1.0 if short else rng.random()
    if sort < 0.28:
        return _tailored(w, t.height(rng.uniform(84, 92)), False)
    if sort < 0.5:
        return _tailored(w, t.height(rng.uniform(100, 104)), True)
    weave = rng.choice(
        [prints.SMOOTH, prints.DENIM, prints.LEATHER, prints.KNIT, prints.HEATHER],
        p=[0.3, 0.2, 0.18, 0.2, 0.12],
    )
    hem = t.height(rng.uniform(80, 96))
    hem = t.height(rng.uniform(99, 105)) if short else hem
    neck = t.neckline(rng.uniform(-0.012, 0.004))
    cut = garments.top_cut(
        t,
        t.wrist - rng.uniform(0.0, 0.03),
        hem,
        neck,
        rng.uniform(0.012, 0.019),
        0.0,
        0.03 if weave in (prints.KNIT, prints.SMOOTH) else 0.0,
    )
    closed = rng.random() < 0.3
    if not closed:
        cut = garments.open_front(t, cut, rng.uniform(0.015, 0.045), rng.uniform(0.02, 0.16))
    fabric = w.fabric(
        prints.TOP, cut.top, cut.bottom, weave=int(weave), plain=bool(rng.random() < 0.8), placket=closed
    )
    w.wear("jacket", cut, [fabric, w.trim(fabric)], rng.uniform(0.003, 0.006), margin=0.03, hem_depth=0.006)
    if rng.random() < 0.75:
        collar = garments.collar_cut(
            t, neck, rng.uniform(0.02, 0.045), 0.014, 0.02 if closed else rng.uniform(0.025, 0.05)
        )
        w.wear("jacket collar", collar, [fabric], 0.001, outside=True, hem_depth=0.005)


def _top(w: Wardrobe, tucked: bool, lowest: float = 0.0) -> None:
    """Wear something on the upper body; its hem is no lower than `lowest`."""
    rng, t = w.rng, w.tape
    kind = rng.choice(["tee", "long", "tank", "shirt", "sweater"], p=[0.42, 0.15, 0.10, 0.17, 0.16])
    hem = max(t.height(rng.uniform(83, 95)), lowest) if not tucked else t.height(98)
    ease = {
        "tee": rng.uniform(0.004, 0.012),
        "long": rng.uniform(0.003, 0.008),
        "tank": rng.uniform(0.003, 0.008),
        "shirt": rng.uniform(0.006, 0.013),
        "sweater": rng.uniform(0.008, 0.016),
    }[kind]
    if tucked:
        ease *= 0.6
    sleeve = {
        "tee": rng.uniform(0.12, 0.27), "long": t.wrist - rng.uniform(-0.01, 0.06),
        "tank": rng.uniform(-0.05, 0.0),
        "shirt": rng.choice([t.wrist - 0.005, 0.22, 0.42]), "sweater": t.wrist - rng.uniform(-0.01, 0.03),
    }[kind]  # fmt: skip
    neck = t.neckline(-0.014) if kind == "shirt" else _neck(rng, t)
    collar = rng.uniform(0.012, 0.022) if kind in ("tee", "long", "sweater") and rng.random() < 0.7 else 0.0
    cuff = rng.uniform(0.03, 0.06) if kind == "sweater" else 0.0
    cut = garments.top_cut(t, float(sleeve), hem, neck, ease, collar, cuff)
    if not tucked:  # room for a waistband
        low = np.where(t.arm, 0, 0.015 * np.clip((t.height(106) - t.z) / 0.06, 0, 1))
        cut.offset = np.maximum(cut.offset, low).astype(np.float32)
    weave = prints.KNIT if kind == "sweater" else None
    fabric = w.fabric(
        prints.TOP,
        cut.top,
        cut.bottom,
        weave=weave,
        mark=kind in ("tee", "long", "sweater"),
        placket=kind == "shirt",
    )
    w.wear(
        kind,
        cut,
        [fabric, w.trim(fabric)],
        rng.uniform(0.0015, 0.0045),
        hem_depth=0.005 if kind == "sweater" else 0.003,
    )
    if kind == "shirt":
        look = fabric.look._replace(placket=0.0)
        band = garments.collar_cut(
            t, neck, rng.uniform(0.018, 0.03), 0.004 + ease, rng.uniform(0.004, 0.016),
            rng.uniform(0.022, 0.03), rng.uniform(0.015, 0.03),
        )  # fmt: skip
        w.wear("collar", band, [prints.Fabric(look, fabric.place)], 0.0, outside=True, hem_depth=0.003)


def _bottom(w: Wardrobe, skirted: bool, waist: float) -> float:
    """Wear trousers, shorts, leggings or a skirt; returns the height of the hem."""
    rng, t = w.rng, w.tape
    if skirted:
        return _skirt(w, waist, w.fabric(prints.SKIRT, waist, t.height(50)))
    kind = rng.choice(["trousers", "jeans", "shorts", "leggings", "wide"], p=[0.26, 0.30, 0.22, 0.12, 0.10])
    hem = t.height(
        {"shorts": rng.uniform(48, 72), "leggings": rng.uniform(11, 30)}.get(
            kind, rng.choice([6.5, 7.5, 8.5, 9.5, 13.0])
        )
    )
    ease = {
        "shorts": rng.uniform(0.012, 0.024),
        "leggings": 0.002,
        "wide": 0.02,
        "jeans": rng.uniform(0.006, 0.014),
    }.get(kind, rng.uniform(0.009, 0.018))
    flare = {"shorts": rng.uniform(0.005, 0.03), "leggings": 0.0, "wide": rng.uniform(0.025, 0.05)}.get(
        kind, rng.uniform(0.004, 0.022)
    )
    cut = garments.trousers_cut(
        t, waist, hem, float(ease), float(flare), 0.032 if kind != "leggings" else 0.0
    )
    weave = prints.DENIM if kind == "jeans" or (kind == "shorts" and rng.random() < 0.3) else None
    fabric = w.fabric(prints.LEGS, waist, hem, weave=weave, plain=kind == "leggings")
    belt = prints.Fabric(
        fabric.look._replace(
            first=np.array([0.12, 0.08, 0.06]) if rng.random() < 0.35 else fabric.look.first * 0.85,
            pattern=prints.PLAIN,
        ),
        fabric.place,
    )
    w.wear(kind, cut, [fabric, belt], 0.001 if kind == "leggings" else rng.uniform(0.002, 0.0045))
    return hem


def _skirt(w: Wardrobe, waist: float, fabric: prints.Fabric) -> float:
    rng, t = w.rng, w.tape
    kind = rng.choice(["straight", "flared", "pleated", "long"], p=[0.22, 0.38, 0.2, 0.2])
    bottom = t.height(rng.uniform(14, 30) if kind == "long" else rng.uniform(42, 68))
    flare = {
        "straight": rng.uniform(0.0, 0.04),
        "flared": rng.uniform(0.14, 0.30),
        "pleated": rng.uniform(0.10, 0.2),
        "long": rng.uniform(0.05, 0.2),
    }[kind]
    pleats = {
        "straight": (5, 0.004),
        "flared": (int(rng.integers(7, 11)), rng.uniform(0.012, 0.028)),
        "pleated": (18, 0.014),
        "long": (int(rng.integers(6, 10)), rng.uniform(0.008, 0.022)),
    }[kind]
    piece = skirt(
        w.shape,
        waist,
        bottom,
        [fabric],
        float(flare),
        0.012,
        (*pleats, float(rng.uniform(0, 6))),
    )
    w.outfit.pieces.append(piece)
    w.outfit.names.append(f"{kind} skirt")
    _tights(w, fabric)
    # Thighs stay: whoever sits lets one look in at the hem.
    hips = np.minimum(garments.under_skirt(t, waist - 0.02, bottom), t.z - t.height(90))
    w.hidden = np.maximum(w.hidden, hips)
    w.over = np.maximum(w.over, garments.under_skirt(t, waist - 0.01, bottom) + 0.03)
    tucked_in = garments.under_skirt(t, waist + 0.01, bottom) > -0.02
    w.roof = np.where(tucked_in, np.minimum(w.roof, 0.009), w.roof).astype(np.float32)
    return bottom


def _tights(w: Wardrobe, skirt_fabric: prints.Fabric) -> None:
    """Short tights under a skirt, which leave no mark on the layers over it."""
    t, over, roof = w.tape, w.over, w.roof
    cut = garments.trousers_cut(t, t.height(97), t.height(74), 0.0, 0.0, 0.0)
    look = skirt_fabric.look
    look = look._replace(lie=prints.LEGS, pattern=prints.PLAIN, first=0.4 * look.first)
    w.wear("short tights", cut, [prints.Fabric(look, skirt_fabric.place)], 0.0, fine=False, hem_depth=0.001)
    w.over, w.roof = over, roof


def _dress(w: Wardrobe) -> float:
    rng, t = w.rng, w.tape
    waist = t.height(rng.uniform(101, 111))
    neck = _neck(rng, t)
    sleeve = rng.choice(
        [rng.uniform(-0.05, -0.01), rng.uniform(0.1, 0.2), t.wrist - 0.02], p=[0.45, 0.35, 0.2]
    )
    fabric = w.fabric(prints.SKIRT, t.height(140), t.height(50))
    top = prints.Fabric(fabric.look._replace(lie=prints.TOP), fabric.place)
    cut = garments.top_cut(t, float(sleeve), waist - 0.02, neck, rng.uniform(0.003, 0.007), 0.0)
    over, roof = w.over, w.roof
    hem = _skirt(w, waist, fabric)
    w.over, w.roof = over, roof  # the bodice lies over the skirt's upper edge
    belt = prints.Fabric(top.look._replace(first=top.look.second, pattern=prints.PLAIN), fabric.place)
    cut.trims = [(np.where(t.arm, -1, 0.032 - (t.z - waist + 0.02)), 1)] if rng.random() < 0.4 else []
    cut.offset = np.maximum(
        cut.offset, np.where(t.arm, 0, 0.016 * np.clip(1 - (t.z - waist) / 0.08, 0, 1))
    ).astype(np.float32)
    w.wear("dress", cut, [top, belt], 0.002)
    w.over = np.maximum(w.over, garments.under_skirt(t, waist, hem))
    return hem


def _feet(w: Wardrobe, hem: float) -> None:
    rng, t, shape = w.rng, w.tape, w.shape
    kind = str(rng.choice([*shoes.KINDS, "barefoot"], p=[0.52, 0.18, 0.12, 0.10, 0.08]))
    bare_legs = hem > t.height(32)
    if kind == "tall boot" and not bare_legs:
        kind = "ankle boot"
    if kind == "barefoot":
        return
    w.outfit.pieces.append(shoes.make_shoes(shape, kind, shoes.sample_look(rng, kind, w.colours)))
    w.outfit.names.append(kind)
    opening = shoes.OPENING[kind] * 0.0095
    w.hidden = np.maximum(w.hidden, np.minimum(opening - 0.02 - t.z, t.no_arms()))
    if kind in ("sneaker", "ankle boot") and rng.random() < 0.6 and hem > opening:
        top = t.height(rng.uniform(13, 38)) if kind == "sneaker" else t.height(rng.uniform(20, 38))
        cut = garments.socks_cut(t, min(top, hem + 0.03))
        cut.outline = np.minimum(cut.outline, t.z - opening + 0.03)
        fabric = w.fabric(prints.OTHER, 0.3, 0.0, weave=prints.KNIT)
        white = (
            fabric.look._replace(first=np.full(3, rng.choice([0.92, 0.1])))
            if rng.random() < 0.6
            else fabric.look
        )
        w.wear("socks", cut, [prints.Fabric(white, fabric.place)], 0.0005, fine=False, hem_depth=0.001)


def dress(rng: np.random.Generator, shape: BodyShape, masculine: float) -> Outfit:
    """A random outfit for a person."""
    w = Wardrobe(rng, shape)
    t = w.tape
    feminine = masculine < 0.5
    gown = bool(feminine and rng.random() < 0.2)
    skirted = bool(feminine and rng.random() < 0.28)
    if rng.random() < 0.32:
        _jacket(w, short=gown or skirted)
    if gown:
        hem = _dress(w)
    else:
        tucked = bool(rng.random() < (0.6 if skirted else 0.22))
        waist = t.height(rng.uniform(100, 106) if tucked or skirted else rng.uniform(97, 102))
        if tucked:
            hem = _bottom(w, skirted, waist)
            _top(w, True)
        else:
            # A fitted hem cannot hang over a flared skirt: it ends just below the waist.
            _top(w, False, lowest=waist - 0.035 if skirted else 0.0)
            hem = _bottom(w, skirted, waist)
    _feet(w, hem)
    w.outfit.cover = w.hidden
    w.outfit.thickness = w.thickness
    return w.outfit
