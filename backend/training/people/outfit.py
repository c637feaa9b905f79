# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person wears: which garments, in which layers and in which fabrics."""

from __future__ import annotations

import numpy as np

from . import garments, prints, shoes
from .cloth import BodyShape
from .garments import Cut, Tape
from .tailoring import BUCKLE, BUTTONS, CHEST, FLY, JEANS, NO_CLOSURE, NO_POCKETS, PATCH, WELT, ZIP
from .wardrobe import Outfit, Wardrobe

SMALL = 0.9  # share of the mean stature below which a person is dressed as a child


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
    ease = rng.uniform(0.01, 0.014)
    button, gap = t.height(rng.uniform(108, 124)), rng.uniform(0.045, 0.06)
    cut = garments.top_cut(t, t.wrist - rng.uniform(-0.012, 0.008), hem, neck, ease, 0.0)
    closed = rng.random() < 0.5
    cut = garments.veed_front(t, cut, button, gap, 0.0 if closed else rng.uniform(0.1, 0.25))
    cut.fall = w.drape.trunk(rng.uniform(0.12, 0.3)) + w.drape.arms(rng.uniform(0.1, 0.16))
    fabric = w.fabric(
        prints.TOP, cut.top, cut.bottom, weave=weave, plain=bool(rng.random() < 0.7),
        closure=BUTTONS if closed else NO_CLOSURE, pockets=WELT, pocket_z=t.height(rng.uniform(94, 100)),
    )  # fmt: skip
    fabric = prints.Fabric(fabric.look._replace(sleeves_second=False), fabric.place)
    depth = rng.uniform(0.002, 0.004)
    if long:
        skirts = prints.Fabric(fabric.look._replace(lie=prints.SKIRT, pockets=NO_POCKETS), fabric.place)
        below = t.height(rng.uniform(30, 62))
        opening = 0.0 if closed else rng.uniform(0.3, 0.9)
        flare = rng.uniform(0.04, 0.14)
        pleats = (5, 0.006, rng.uniform(0, 6))
        around = w.shape.moved(cut.fall * np.clip((t.z - hem + 0.1) / 0.1, 0, 1)[:, None])
        w.hang("", hem + 0.03, below, skirts, flare, 0.018, pleats, opening, around)
        # The upper part covers the seam.
        seam = np.where(t.arm, 0, 0.008 * np.clip(1 - (t.z - hem) / 0.1, 0, 1))
        cut.offset = (cut.offset + seam).astype(np.float32)
        cut.hold = 0.03
    name = "coat" if long else "suit jacket"
    w.wear(name, cut, [fabric], depth, margin=0.03, hem_depth=0.005)
    plain = prints.Fabric(
        fabric.look._replace(pattern=prints.PLAIN, seams=0.0, closure=NO_CLOSURE, pockets=NO_POCKETS),
        fabric.place,
    )
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
        t.wrist - rng.uniform(-0.015, 0.008),
        hem,
        neck,
        rng.uniform(0.012, 0.019),
        0.0,
        0.03 if weave in (prints.KNIT, prints.SMOOTH) else 0.0,
    )
    closed = rng.random() < 0.3
    if not closed:
        cut = garments.open_front(t, cut, rng.uniform(0.015, 0.045), rng.uniform(0.02, 0.16))
    cut.fall = _top_fall(w, rng.uniform(0.03, 0.3), rng.uniform(0.055, 0.09), t.wrist, hem)
    fabric = w.fabric(
        prints.TOP, cut.top, cut.bottom, weave=int(weave), plain=bool(rng.random() < 0.8),
        closure=int(rng.choice([ZIP, BUTTONS])) if closed else NO_CLOSURE,
        pockets=int(rng.choice([WELT, PATCH, NO_POCKETS], p=[0.5, 0.3, 0.2])),
        pocket_z=hem + rng.uniform(0.11, 0.15),
    )  # fmt: skip
    w.wear("jacket", cut, [fabric, w.trim(fabric)], rng.uniform(0.003, 0.006), margin=0.03, hem_depth=0.006)
    if rng.random() < 0.75:
        collar = garments.collar_cut(
            t, neck, rng.uniform(0.02, 0.045), 0.014, 0.02 if closed else rng.uniform(0.025, 0.05)
        )
        plain = prints.Fabric(
            fabric.look._replace(closure=NO_CLOSURE, pockets=NO_POCKETS, seams=0.0), fabric.place
        )
        w.wear("jacket collar", collar, [plain], 0.001, outside=True, hem_depth=0.005)


# Tapers of trunk and sleeves: metres of radius that cloth falls in per metre downwards.
FALLS = {
    "tee": lambda rng: (rng.uniform(0.05, 0.45), rng.uniform(0.03, 0.08)),
    "long": lambda rng: (rng.uniform(0.15, 0.6), rng.uniform(0.05, 0.1)),
    "tank": lambda rng: (rng.uniform(0.15, 0.6), 0.06),
    "shirt": lambda rng: (rng.uniform(0.05, 0.35), rng.uniform(0.06, 0.1)),
    "sweater": lambda rng: (rng.uniform(0.0, 0.3), rng.uniform(0.055, 0.09)),
}


def _top_fall(w: Wardrobe, taper: float, sleeve_taper: float, sleeve: float, hem: float) -> np.ndarray:
    """How a top hangs [Nv, 3]; `sleeve` (its length) and `hem` (its height) above 0 are gathered by cuffs."""
    t = w.tape
    fall = w.drape.trunk(taper) + w.drape.arms(sleeve_taper)
    keep = np.ones(len(t.z), np.float32)
    if sleeve > 0:
        keep = np.where(t.arm, 1 - 0.7 * np.clip((t.t - sleeve + 0.07) / 0.05, 0, 1), keep)
    if hem > 0:
        keep = np.where(t.arm, keep, 1 - 0.6 * np.clip((hem + 0.07 - t.z) / 0.06, 0, 1))
    return fall * keep[:, None].astype(np.float32)


def _top(w: Wardrobe, tucked: bool, lowest: float = 0.0) -> float:
    """Wear something on the upper body; returns the height of its hem, which is no lower than `lowest`."""
    rng, t = w.rng, w.tape
    child = w.shape.scale < SMALL
    chances = [0.46, 0.18, 0.0, 0.17, 0.19] if child else [0.38, 0.15, 0.08, 0.21, 0.18]
    kind = rng.choice(["tee", "long", "tank", "shirt", "sweater"], p=chances)
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
        "tee": rng.uniform(0.12, 0.27), "long": t.wrist - rng.uniform(-0.01, 0.03),
        "tank": rng.uniform(-0.05, 0.0),
        "shirt": rng.choice([t.wrist - 0.005, 0.22, 0.42]), "sweater": t.wrist - rng.uniform(-0.015, 0.01),
    }[kind]  # fmt: skip
    neck = t.neckline(-0.014) if kind == "shirt" else _neck(rng, t)
    collar = rng.uniform(0.012, 0.022) if kind in ("tee", "long", "sweater") and rng.random() < 0.7 else 0.0
    cuff = rng.uniform(0.03, 0.06) if kind == "sweater" else 0.0
    cut = garments.top_cut(t, float(sleeve), hem, neck, ease, collar, cuff)
    cut.fall = _top_fall(
        w, *FALLS[kind](rng), float(sleeve) if kind == "shirt" or cuff else 0.0, hem if cuff else 0.0
    )
    if tucked:  # bloused a little over the waist
        cut.fall = cut.fall * np.where(t.arm, 1, np.clip((t.z - t.height(104)) / 0.06, 0, 1))[:, None]
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
        closure=BUTTONS if kind == "shirt" else NO_CLOSURE,
        pockets=CHEST if kind == "shirt" and rng.random() < 0.6 else NO_POCKETS,
        pocket_z=t.height(123),
    )
    w.wear(
        kind,
        cut,
        [fabric, w.trim(fabric)],
        rng.uniform(0.0015, 0.0045),
        hem_depth=0.005 if kind == "sweater" else 0.003,
    )
    if kind == "shirt":
        look = fabric.look._replace(closure=NO_CLOSURE, pockets=NO_POCKETS, seams=0.0)
        band = garments.collar_cut(
            t, neck, rng.uniform(0.018, 0.03), 0.004 + ease, rng.uniform(0.004, 0.016),
            rng.uniform(0.022, 0.03), rng.uniform(0.015, 0.03),
        )  # fmt: skip
        w.wear("collar", band, [prints.Fabric(look, fabric.place)], 0.0, outside=True, hem_depth=0.003)
    return hem


def _bottom(w: Wardrobe, skirted: bool, waist: float, over: float = np.inf) -> float:
    """Wear trousers, shorts, leggings or a skirt; returns the height of the hem.

    `over` is the hem of the top that hangs over it: leggings go with a long one.
    """
    rng, t = w.rng, w.tape
    if skirted:
        return _skirt(w, waist, w.fabric(prints.SKIRT, waist, t.height(50)))
    leggings = 0.15 if over < t.height(89) and w.shape.scale >= SMALL else 0.0
    chances = [0.43 - leggings, 0.3, 0.2, leggings, 0.07]
    kind = rng.choice(["trousers", "jeans", "shorts", "leggings", "wide"], p=chances)
    hem = t.height(
        {"shorts": rng.uniform(48, 72), "leggings": rng.uniform(11, 30)}.get(
            kind, rng.choice([6.5, 7.5, 8.5, 9.5, 13.0])
        )
    )
    ease = {"leggings": 0.002, "wide": 0.008}.get(kind, rng.uniform(0.004, 0.009))
    flare = {"shorts": rng.uniform(0.005, 0.02), "leggings": 0.0, "wide": rng.uniform(0.004, 0.018)}.get(
        kind, rng.uniform(0.001, 0.008)
    )
    cut = garments.trousers_cut(
        t, waist, hem, float(ease), float(flare), 0.032 if kind != "leggings" else 0.0
    )
    if kind != "leggings":
        low, high = {"jeans": (0.04, 0.14), "trousers": (0.02, 0.1)}.get(kind, (0.0, 0.05))
        cut.fall = w.drape.trunk(rng.uniform(0.4, 0.9), crotch=True) + w.drape.legs(rng.uniform(low, high))
    weave = prints.DENIM if kind == "jeans" or (kind == "shorts" and rng.random() < 0.3) else None
    plain = kind == "leggings"
    fabric = w.fabric(
        prints.LEGS, waist, hem, weave=weave, plain=plain, closure=NO_CLOSURE if plain else FLY,
        pockets=NO_POCKETS if plain else JEANS,
    )  # fmt: skip
    band = prints.Fabric(
        fabric.look._replace(first=fabric.look.first * 0.88, pattern=prints.PLAIN), fabric.place
    )
    w.wear(kind, cut, [fabric, band], 0.001 if plain else rng.uniform(0.002, 0.0045))
    if not plain and rng.random() < 0.4:
        _belt(w, waist, cut)
    return hem


def _belt(w: Wardrobe, waist: float, trousers: Cut) -> None:
    """A leather belt with a buckle over the waistband."""
    rng, t = w.rng, w.tape
    middle, half = waist - 0.018, rng.uniform(0.013, 0.018)
    outline = np.where(t.arm, -garments.FAR, half - np.abs(t.z - middle))
    cut = Cut(outline, trousers.offset + np.float32(0.004), top=waist, bottom=middle - half, rounds=8)
    fabric = w.fabric(prints.OTHER, waist, waist - 0.04, weave=prints.LEATHER, plain=True, closure=BUCKLE)
    brown = np.array([0.16, 0.10, 0.06]) * rng.uniform(0.4, 2.2)
    look = fabric.look._replace(first=brown, mark_z=float(middle), seams=0.0, crease=0.0)
    w.wear("belt", cut, [prints.Fabric(look, fabric.place)], 0.0, outside=True, margin=0.05, hem_depth=0.003)


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
    fabric = prints.Fabric(fabric.look._replace(bottom=float(bottom)), fabric.place)
    w.hang(f"{kind} skirt", waist, bottom, fabric, flare, 0.01, (*pleats, float(rng.uniform(0, 6))))
    _tights(w, fabric)
    # Thighs stay: whoever sits lets one look in at the hem.
    hips = np.minimum(garments.under_skirt(t, waist - 0.02, bottom), t.z - t.height(90))
    w.hidden = np.maximum(w.hidden, hips)
    w.over = np.maximum(w.over, garments.under_skirt(t, waist - 0.01, bottom) + 0.03)
    tucked_in = garments.under_skirt(t, waist + 0.01, bottom) > -0.02
    w.roof = np.where(tucked_in, np.minimum(w.roof, 0.009), w.roof).astype(np.float32)
    w.slack = np.where(tucked_in, 0, w.slack).astype(np.float32)
    return bottom


def _tights(w: Wardrobe, skirt_fabric: prints.Fabric) -> None:
    """Short tights under a skirt, which leave no mark on the layers over it."""
    t, over, roof, slack = w.tape, w.over, w.roof, w.slack
    cut = garments.trousers_cut(t, t.height(97), t.height(74), 0.0, 0.0, 0.0)
    look = skirt_fabric.look
    look = look._replace(lie=prints.LEGS, pattern=prints.PLAIN, first=0.4 * look.first, seams=0.0)
    w.wear("short tights", cut, [prints.Fabric(look, skirt_fabric.place)], 0.0, fine=False, hem_depth=0.001)
    w.over, w.roof, w.slack = over, roof, slack


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
    cut.fall = _top_fall(w, rng.uniform(0.3, 0.9), rng.uniform(0.03, 0.08), 0.0, 0.0)
    over, roof, slack = w.over, w.roof, w.slack
    hem = _skirt(w, waist, fabric)
    w.over, w.roof, w.slack = over, roof, slack  # the bodice lies over the skirt's upper edge
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
    kind = str(rng.choice([*shoes.KINDS, "barefoot"], p=[0.54, 0.19, 0.13, 0.10, 0.04]))
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
            over = _top(w, False, lowest=waist - 0.035 if skirted else 0.0)
            hem = _bottom(w, skirted, waist, over)
    _feet(w, hem)
    w.outfit.cover = w.hidden
    w.outfit.thickness = w.thickness
    return w.outfit
