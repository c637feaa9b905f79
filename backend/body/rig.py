# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig at rest as binding and the bone maps see it: arrays, of whatever program."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Rig:
    """A rig at rest, in its own (armature) space and unit.

    names [B]; parents [B] int, -1 for roots; heads, tails [B,3]; rest_matrices [B,4,4] bone to armature
    space, which binding does not need; deforms [B] which bones move meshes (None: all may).
    """

    names: tuple[str, ...]
    parents: np.ndarray
    heads: np.ndarray
    tails: np.ndarray
    rest_matrices: np.ndarray | None = None
    deforms: tuple[bool, ...] | None = None
    _indices: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self):
        for name in ("heads", "tails"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64).reshape(-1, 3))
        object.__setattr__(self, "parents", np.asarray(self.parents, np.int64))
        object.__setattr__(self, "names", tuple(self.names))
        self._indices.update({name: i for i, name in enumerate(self.names)})

    def index(self, name: str) -> int:
        return self._indices[name]

    def __contains__(self, name: str) -> bool:
        return name in self._indices

    def children(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.names]
        for bone, parent in enumerate(self.parents):
            if parent >= 0:
                found[parent].append(bone)
        return found

    def ancestors(self, bone: int) -> list[int]:
        """Parents of a bone, the nearest first."""
        found = []
        while (bone := int(self.parents[bone])) >= 0:
            found.append(bone)
        return found

    def depth(self, bone: int) -> int:
        return len(self.ancestors(bone))

    def without(self, left_out: set[str]) -> Rig:
        """The rig without some bones; what hangs on them hangs on the next one up."""
        kept = [i for i, name in enumerate(self.names) if name not in left_out]
        place = {bone: i for i, bone in enumerate(kept)}
        parents = [next((place[a] for a in self.ancestors(bone) if a in place), -1) for bone in kept]
        return Rig(tuple(self.names[i] for i in kept), np.array(parents), self.heads[kept], self.tails[kept])
