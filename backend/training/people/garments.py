# SPDX-License-Identifier: GPL-3.0-or-later
"""Garments as outlines on the mean template: how far inside each edge a point of the skin lies, and how
far off it cloth hangs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .sites import Sites

FAR = 0.5  # metres: "nowhere near this edge"


@dataclass
class Cut:
    """A garment before it is made: fields over the template's vertices [Nv], metres."""

    outline: np.ndarray  # inside the garment where positive
    offset: np.ndarray  # from the skin
    trims: list[tuple[np.ndarray, int]] = field(default_factory=list)
    gathers: list[tuple[float, float]] = field(default_factory=list)
    top: float = 1.5
    bottom: float = 0.8
    rounds: int = 14
    hold: float = 0.016  # metres off the skin that the cloth's own stiffness keeps
    fall: np.ndarray | None = None  # [Nv, 3] metres that it hangs off the skin, as from `drape`


class Tape:
    """Measurements of the mean template that all cuts share, computed once."""

    def __init__(self, sites: Sites):
        self.sites = sites
        v = sites.template.vertices
        self.x, self.front, self.z = np.abs(v[:, 0]), -v[:, 1], v[:, 2]
        self.side = v[:, 0]
        self.arm = sites.is_arm(v)
        self.t, _ = sites.along_arm(v)
        self.k = sites.k
        self.wrist = sites.arm_length
        self.crotch = self.height(82.9)

    def height(self, centimetres: float) -> float:
        """A height written for a stature of 175 cm, in metres on the mean template."""
        return centimetres * 0.01 * self.k

    def neckline(self, drop: float = 0.0, vee: float = 0.0, scoop: float = 0.0) -> np.ndarray:
        """Metres below the neckline; `drop` lowers it all round, `vee` and `scoop` in front."""
        line = self.height(148.6) - 0.42 * (self.front + 0.02) - drop
        ahead = np.clip(self.front / 0.03, 0, 1)
        line = line - vee * ahead * np.clip(1 - self.x / (0.09 * self.k), 0, 1)
        line = line - scoop * ahead * np.exp(-((self.x / (0.075 * self.k)) ** 2))
        return np.where(self.x < 0.125 * self.k, line - self.z, FAR)

    def smoothed(self, outline: np.ndarray) -> np.ndarray:
        """An outline whose corners are rounded off: small parts are cut where triangles are coarse."""
        near = np.clip(outline, -0.03, 0.03)
        for _ in range(2):
            near = 0.4 * near + 0.6 * (self.sites.average @ near)
        return near

    def no_arms(self) -> np.ndarray:
        """Positive on trunk and legs, away from the hands that hang beside them."""
        return np.where(self.arm, -FAR, 0.28 * self.k - self.x)


def top_cut(
    tape: Tape, sleeve: float, hem: float, neck: np.ndarray, ease: float, collar: float, cuff: float = 0.0
) -> Cut:
    """Anything worn on the upper body.

    Args: sleeve: length along the arm, metres (0 or less: none); hem: height of the lower edge; neck: a
    `neckline`;
        ease: metres off the skin at the chest; collar: width of a ribbed collar (trim 1), 0 for none; cuff:
        of cuffs.
    """
    trunk = np.minimum(tape.z - hem, neck)
    trunk = np.minimum(trunk, tape.height(153) - tape.z)
    if sleeve > 0:
        arm = sleeve - tape.t
        trunk = np.where(tape.x < 0.30 * tape.k, trunk, -FAR)
    else:  # an armhole that runs from the shoulder down under the arm
        hole = tape.sites.shoulder[0] - 0.012 + sleeve + 1.6 * np.maximum(tape.height(132) - tape.z, 0)
        trunk = np.minimum(trunk, hole - tape.x)
        arm = np.full_like(trunk, -FAR)
    outline = np.where(tape.arm, arm, trunk)
    loose = np.where(
        tape.arm,
        0.9 * np.clip((tape.t - 0.05) / 0.14, 0, 1),
        0.8 * np.clip((tape.height(122) - tape.z) / 0.3, 0, 1),
    )
    if sleeve > 0.4:
        tightening = np.clip((tape.t - (sleeve - 0.10)) / 0.10, 0, 1)
        loose = np.where(tape.arm, loose * (1 - 0.75 * tightening), loose)
    trims = []
    if collar > 0:
        trims.append((np.where(tape.arm, -FAR, collar - neck), 1))
    if cuff > 0:
        trims.append((np.where(tape.arm, cuff - arm, cuff - (tape.z - hem)), 1))
    return Cut(
        outline,
        (0.006 + ease + ease * loose).astype(np.float32),
        trims,
        [(hem + 0.06, 0.05)],
        tape.height(148),
        hem,
    )


def open_front(tape: Tape, cut: Cut, gap: float, flare: float) -> Cut:
    """A jacket's front opening: `gap` metres to each side at the neck, wider by `flare` per metre below."""
    width = gap + flare * np.maximum(tape.height(145) - tape.z, 0)
    ahead = (tape.front > 0.0) & ~tape.arm
    cut.outline = np.minimum(cut.outline, np.where(ahead, tape.x - width, FAR))
    return cut


def collar_cut(
    tape: Tape,
    neck: np.ndarray,
    rise: float,
    ease: float,
    gap: float,
    fall: float = 0.022,
    point: float = 0.0,
) -> Cut:
    """A collar round the neck, turned down over the neckline of a shirt or jacket.

    Args: neck: the garment's `neckline`; rise: how far it stands above it; ease: metres off the skin; gap:
        half of its opening in front; fall: how far it hangs below; point: how much further its points hang.
    """
    width = fall + point * np.exp(-(((tape.x - gap - 0.018) / 0.02) ** 2)) * (tape.front > 0.0)
    outline = np.minimum(rise + np.minimum(neck, 0), width - neck)
    outline = np.where((tape.x < 0.14 * tape.k) & ~tape.arm & (tape.z > tape.height(128)), outline, -FAR)
    ahead = tape.front > 0.0
    spread = 0.35 if point == 0 else 0.2  # the edges of pointed collars part downwards
    opening = gap + spread * np.maximum(neck if point else 0.02 - neck, 0)
    outline = tape.smoothed(np.minimum(outline, np.where(ahead, tape.x - opening, FAR)))
    turned = np.clip((neck + rise) / 0.02, 0, 1)
    offset = 0.008 + ease + 0.006 * turned
    return Cut(outline, offset.astype(np.float32), top=tape.height(155), bottom=tape.height(140), rounds=6)


def lapel_cut(tape: Tape, neck: np.ndarray, button: float, width: float, gap: float, ease: float) -> Cut:
    """The two lapels of a jacket, from the height of its top button to a notch below the collar.

    Args: neck: the jacket's `neckline`; width: of the lapels at the notch; gap: half of the opening at the
        neck; ease: metres off the skin.
    """
    top = tape.height(141.5)
    t = np.clip((tape.z - button) / (top - button), 0, 1.2)
    edge = gap * t  # the front closes towards the button
    notch = top - 0.45 * np.maximum(tape.x - edge - 0.4 * width, 0)
    outline = np.minimum(tape.x - edge, edge + width * t**0.8 - tape.x)
    outline = np.minimum(np.minimum(outline, tape.z - button), np.minimum(notch - tape.z, neck - 0.012))
    outline = tape.smoothed(np.where((tape.front > 0) & ~tape.arm, outline, -FAR))
    return Cut(outline, np.full(len(tape.z), 0.011 + ease, np.float32), top=top, bottom=button, rounds=6)


def veed_front(tape: Tape, cut: Cut, button: float, gap: float, flare: float) -> Cut:
    """A front that opens in a V of half width `gap` above `button` and by `flare` per metre below it."""
    top = tape.height(146)
    width = gap * np.clip((tape.z - button) / (top - button), 0, 1) + flare * np.maximum(button - tape.z, 0)
    ahead = (tape.front > 0.0) & ~tape.arm
    cut.outline = np.minimum(cut.outline, np.where(ahead, tape.x - width + 0.002, FAR))
    return cut


def trousers_cut(tape: Tape, waist: float, hem: float, ease: float, flare: float, waistband: float) -> Cut:
    """Trousers, shorts or leggings between the heights `waist` and `hem`; `flare` is extra ease at the
    hem.
    """
    outline = np.minimum(np.minimum(waist - tape.z, tape.z - hem), tape.no_arms())
    knee = tape.sites.joint("shin.L")[2]
    low = np.clip((tape.height(85) - tape.z) / max(tape.height(85) - hem, 0.05), 0, 1)
    loose = ease * (0.45 + 0.55 * np.clip((tape.height(98) - tape.z) / 0.2, 0, 1)) + flare * low**1.5
    if flare > 0 and hem < tape.height(14):  # over the shoes, which stand out behind
        over = np.where(tape.front < -tape.sites.joint("foot.L")[1], 0.024, 0.012)
        loose = np.maximum(loose, over * np.clip((tape.height(19) - tape.z) / 0.08, 0, 1))
        ahead = tape.height(7) - tape.sites.joint("foot.L")[1] - tape.front
        outline = np.where(tape.z < tape.height(14), np.minimum(outline, ahead), outline)
    trims = [(waistband - (waist - tape.z), 1)] if waistband > 0 else []
    gathers = [(hem + 0.09, 0.05), (knee, 0.06), (tape.height(84), 0.05)]
    return Cut(outline, (0.005 + loose).astype(np.float32), trims, gathers, waist, hem, rounds=16, hold=0.03)


def socks_cut(tape: Tape, top: float) -> Cut:
    """Both socks, up to the height `top`."""
    outline = np.minimum(top - tape.z, tape.no_arms())
    return Cut(outline, np.full(len(tape.z), 0.003, np.float32), top=top, bottom=0.0, rounds=4)


def under_skirt(tape: Tape, top: float, bottom: float) -> np.ndarray:
    """How far inside a skirt the skin lies [Nv]: what it hides, less a hand's breadth at the hem."""
    return np.minimum(np.minimum(top - tape.z, tape.z - bottom - 0.08), tape.no_arms())
