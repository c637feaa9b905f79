# SPDX-License-Identifier: GPL-3.0-or-later
"""The connected parts of the template's mesh: the skin with the inside of the mouth, eyes and their sockets,
teeth, tongue."""

from functools import lru_cache

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ..body.template import EYEBALL, SKIN, load_template


@lru_cache(maxsize=1)
def adjacency() -> sparse.csr_matrix:
    """[Nv,Nv] 1 where two vertices share an edge."""
    template = load_template()
    f, count = template.faces, len(template.vertices)
    ends = np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]])
    made = sparse.coo_matrix((np.ones(len(ends)), ends.T), shape=(count, count)).tocsr()
    made = made + made.T
    made.data[:] = 1
    return made


@lru_cache(maxsize=1)
def components() -> tuple[np.ndarray, int]:
    """[Nv] the number of each vertex's connected part, and the skin's number."""
    label = connected_components(adjacency(), directed=False)[1]
    return label, int(np.bincount(label[load_template().part == SKIN]).argmax())


def loose_parts() -> list[np.ndarray]:
    """Vertices of each eye with its socket, of each row of teeth, and of the tongue."""
    template, (label, skin) = load_template(), components()
    numbers = [n for n in range(label.max() + 1) if n != skin]
    is_all = lambda n, part: (template.part[label == n] == part).all()  # noqa: E731
    side = lambda n: template.vertices[label == n, 0].mean() > 0  # noqa: E731
    eyes = [n for n in numbers if is_all(n, EYEBALL)]
    sockets = [n for n in numbers if is_all(n, SKIN)]
    groups = [[eye, *(n for n in sockets if side(n) == side(eye))] for eye in eyes]
    groups += [[n] for n in numbers if n not in eyes and n not in sockets]
    return [np.flatnonzero(np.isin(label, group)) for group in groups]
