# SPDX-License-Identifier: GPL-3.0-or-later
"""MakeHuman's phenotypes: a body is a blend of its macro targets, by age, sex, build and ancestry."""

from dataclasses import astuple, dataclass
from itertools import product

import numpy as np

from .archive import COUNT, MakeHuman

AGES = (("baby", 0.0), ("child", 1 / 3), ("young", 2 / 3), ("old", 1.0))  # 1, 11, 25 and 90 years
YEARS = (1.0, 11.0, 25.0, 90.0)


@dataclass(frozen=True)
class Phenotype:
    """All in 0..1: sex 0 male, 1 female; age 0 a baby, 1/3 eleven years, 2/3 twenty-five, 1 ninety;
    the ancestries are shares that are made to add up to one."""

    sex: float = 0.5
    age: float = 2 / 3
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.36  # MakeHuman's 0.5 is a man of 1.91 m
    proportions: float = 0.5
    cup: float = 0.5
    firmness: float = 0.5
    african: float = 1.0
    asian: float = 1.0
    caucasian: float = 1.0


def age_of(years: float) -> float:
    return float(np.interp(years, YEARS, [at for _, at in AGES]))


def _shares(value: float, levels) -> list[tuple[str, float]]:
    """The two neighbouring levels (name, place) of a value and their weights."""
    names, places = zip(*levels, strict=True)
    weights = [np.interp(value, places, row) for row in np.eye(len(places))]
    return [(name, weight) for name, weight in zip(names, weights, strict=True) if weight > 1e-9]


def displacement(data: MakeHuman, who: Phenotype) -> np.ndarray:
    """[19158,3] metres from the base mesh."""
    out = np.zeros((COUNT, 3))
    sexes = _shares(who.sex, (("male", 0), ("female", 1)))
    ages = _shares(who.age, AGES)
    muscles = _shares(who.muscle, (("minmuscle", 0), ("averagemuscle", 0.5), ("maxmuscle", 1)))
    weights = _shares(who.weight, (("minweight", 0), ("averageweight", 0.5), ("maxweight", 1)))
    heights = _shares(who.height, (("minheight", 0), ("maxheight", 1)))
    proportions = _shares(who.proportions, (("uncommonproportions", 0), ("idealproportions", 1)))
    cups = _shares(who.cup, (("mincup", 0), ("averagecup", 0.5), ("maxcup", 1)))
    firm = _shares(who.firmness, (("minfirmness", 0), ("averagefirmness", 0.5), ("maxfirmness", 1)))
    total = who.african + who.asian + who.caucasian
    for ancestry in ("african", "asian", "caucasian"):
        share = getattr(who, ancestry) / total
        for (sex, a), (age, b) in product(sexes, ages):
            if share > 0:
                out += share * a * b * data.target(f"macrodetails/{ancestry}-{sex}-{age}")
    for (sex, a), (age, b), (muscle, c), (weight, d) in product(sexes, ages, muscles, weights):
        name, share = f"{sex}-{age}-{muscle}-{weight}", a * b * c * d
        parts = [(f"macrodetails/universal-{name}", 1.0)]
        parts += [(f"macrodetails/height/{name}-{height}", e) for height, e in heights]
        if age != "baby":
            parts += [(f"macrodetails/proportions/{name}-{kind}", e) for kind, e in proportions]
        if age != "baby" and sex == "female":
            parts += [(f"breast/{name}-{cup}-{kind}", e * f) for (cup, e), (kind, f) in product(cups, firm)]
        for target, more in parts:
            if data.has_target(target):
                out += share * more * data.target(target)
    return out


def draw(rng: np.random.Generator) -> Phenotype:
    """A random person: a fifth are children from three years on; all ages, builds and ancestries."""
    years = rng.uniform(3, 18) if rng.random() < 0.2 else 18 + 62 * rng.beta(1.2, 1.6)
    ancestry = rng.dirichlet([0.35, 0.35, 0.35])
    clipped = lambda mean, spread: float(np.clip(rng.normal(mean, spread), 0, 1))  # noqa: E731
    return Phenotype(
        sex=float(np.clip(rng.integers(2) + rng.normal(0, 0.12) * np.array([1, -1])[rng.integers(2)], 0, 1)),
        age=age_of(years),
        muscle=clipped(0.5, 0.18),
        weight=clipped(0.52, 0.2),
        height=clipped(0.36, 0.1),
        proportions=clipped(0.55, 0.15),
        cup=clipped(0.5, 0.18),
        firmness=clipped(0.5, 0.18),
        african=ancestry[0],
        asian=ancestry[1],
        caucasian=ancestry[2],
    )


def as_row(who: Phenotype) -> np.ndarray:
    """[11] float32, in the order of the fields."""
    return np.array(astuple(who), np.float32)
