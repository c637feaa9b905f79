# SPDX-License-Identifier: GPL-3.0-or-later
"""Driving an avatar on the CPU: its arrays packed once for kernels/drive.c, and the call of each frame.

The kernel takes sixteen tokens at a time from the decoder's first layer to posed Gaussians, so intermediate
results stay in the cache. The result is bit for bit the same on any number of threads and in any order of the
Gaussians.
"""

import threading

import numpy as np

from .decoder import CHANGES
from .gaussians import Gaussians
from .native import INT, POINTER, Kernel, Struct
from .recycling import empty, on_line
from .workers import default_threads, share

TOKENS = 16  # of a block
LANES = 8
ROWS = 6  # outputs of a layer at a time

_drive = Kernel("lca_drive", *[POINTER] * 5, INT)
_DISPLACEMENT = np.dtype([("at", np.int32), ("by", np.float32, 3)])


def _aligned(values: np.ndarray) -> np.ndarray:
    """A contiguous copy that begins on a cache line."""
    out = on_line(values.nbytes).view(values.dtype).reshape(values.shape)
    out[...] = values
    return out


def _token_lanes(values: np.ndarray, blocks: int) -> np.ndarray:
    """[T,D] -> [B,D,TOKENS]; the last block is filled up with copies of the last token."""
    values = np.pad(values, ((0, blocks * TOKENS - len(values)), (0, 0)), "edge")
    return values.reshape(blocks, TOKENS, -1).transpose(0, 2, 1)


def _groups(block: np.ndarray, within: np.ndarray, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussians sorted into groups of LANES that share a block: a block's first group [B+1], and the Gaussian
    in each lane [G,LANES], -1 where a block's last group is not full.
    """
    order = np.lexsort((within, block))
    counts = np.bincount(block, minlength=blocks)
    groups = -(-counts // LANES)
    first = np.concatenate([[0], np.cumsum(groups)])
    number = np.full(first[-1] * LANES, -1, np.int32)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    number[np.repeat(first[:-1] * LANES, counts) + place] = order
    return first.astype(np.int64), number.reshape(-1, LANES)


def _layers(weights: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The hidden layers, the last one in the units of the changes: hidden, bias, last, bias."""
    count = sum(name.startswith("hidden") for name in weights) // 2
    hidden = [_packed(weights[f"hidden{i}_weight"], weights[f"hidden{i}_bias"]) for i in range(count)]
    units = np.tile(weights["delta_scale"], len(weights["last_bias"]) // CHANGES)
    last = _packed(weights["last_weight"] * units[:, None], weights["last_bias"] * units)
    none = np.empty((0, 0), np.float32)
    stacked = [np.stack(part) for part in zip(*hidden, strict=True)] if hidden else [none, none]
    return [*stacked, *last]


def _rest(avatar, lanes: np.ndarray) -> list[np.ndarray]:
    """Rest values [G,13,LANES], joints used [G], joints and weights [G,LANES,k] of the Gaussians `lanes`."""
    parts = [avatar.means, avatar.quats, avatar.scales, avatar.colors]
    rest = np.concatenate([part.float().numpy() for part in parts], 1)
    weights = avatar.skin_weights.float().numpy()
    order = np.argsort(-weights, axis=1, kind="stable")
    weights = np.take_along_axis(weights, order, 1)
    weights /= weights.sum(1, keepdims=True)  # they are rounded in the file
    joints = np.take_along_axis(avatar.skin_indices.numpy(), order, 1)
    used = (weights > 0).sum(-1)[lanes].max(-1)
    return [rest[lanes].transpose(0, 2, 1), used.astype(np.uint8), joints[lanes], weights[lanes]]


def _packed(weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A layer [O,D] with its outputs filled up to a multiple of ROWS, ROWS rows interleaved."""
    missing = -len(weight) % ROWS
    weight, bias = np.pad(weight, ((0, missing), (0, 0))), np.pad(bias, (0, missing))
    return weight.reshape(-1, ROWS, weight.shape[1]).transpose(0, 2, 1), bias


class PackedAvatar:
    """An `Avatar`'s tensors in the kernel's layout."""

    def __init__(self, avatar):
        self.count = len(avatar)
        tokens, self.width = avatar.token_bias.shape
        self.opacities = avatar.opacities.float().numpy()
        self.signal_weight = avatar.decoder["signal_weight"].numpy()
        self.blocks = -(-tokens // TOKENS)
        layers = _layers({name: tensor.numpy() for name, tensor in avatar.decoder.items()})
        token, slot = (index.numpy().astype(np.int64) for index in avatar.sources())
        group, number = _groups(token // TOKENS, slot * TOKENS + token % TOKENS, self.blocks)
        lanes = np.maximum(number, 0)
        source = (CHANGES * slot * TOKENS + token % TOKENS).astype(np.int32)[lanes]
        arrays = [_token_lanes(avatar.token_bias.numpy(), self.blocks), *layers, group, number, source]
        arrays += [*_rest(avatar, lanes), *self._displacements(avatar, group, number)]
        outputs, moves = len(layers[-1]), 3 * LANES * int(np.diff(group).max())
        sizes = [self.blocks, self.width, len(layers[0]), avatar.skin_indices.shape[1], outputs]
        self._avatar = Struct(*sizes, *map(_aligned, arrays))
        self._room = TOKENS * (2 * (self.width + -self.width % ROWS) + outputs) + moves
        self._room += -self._room % TOKENS  # every thread's part begins on a cache line
        self._scratch, self._threads = np.empty(0, np.float32), np.zeros(1, np.int64)
        self._lock = threading.Lock()

    def _displacements(self, avatar, group: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How expressions move the Gaussians, by block, then by expression: first [B,53] and the list."""
        rows, basis = avatar.expression_rows, avatar.expression_basis.numpy()
        rows = np.arange(basis.shape[1]) if rows is None else rows.numpy().astype(np.int64)
        expression, moved = np.nonzero(basis.any(-1))
        lane_of = np.empty(self.count, np.int64)
        filled = number.ravel() >= 0
        lane_of[number.ravel()[filled]] = np.flatnonzero(filled)
        at, lane = np.divmod(lane_of[rows[moved]], LANES)
        block = np.searchsorted(group, at, "right") - 1
        order = np.lexsort((lane_of[rows[moved]], expression, block))
        moves = np.empty(len(order), _DISPLACEMENT)
        moves["at"] = ((at - group[block]) * 3 * LANES + lane)[order]
        moves["by"] = basis[expression, moved][order]
        keys = (block * len(basis) + expression)[order]
        starts = np.searchsorted(keys, np.arange(self.blocks * len(basis) + 1))
        rows = np.arange(self.blocks)[:, None] * len(basis) + np.arange(len(basis) + 1)
        return starts[rows].astype(np.int64), moves

    def drive(self, features: np.ndarray, expression: np.ndarray, transforms: np.ndarray) -> Gaussians:
        """One frame: features [S] of the decoder, expression [52], transforms [J,4,4], float32."""
        made = Gaussians(*(empty(self.count, *size) for size in ((3,), (3, 3), (), (3,))))
        made.opacities.numpy()[...] = self.opacities  # a copy by torch would leave its threads spinning
        shift = np.einsum("ds,s->d", self.signal_weight, features)  # a product by BLAS would wake its threads
        inputs = (shift, np.ascontiguousarray(expression), np.ascontiguousarray(transforms))
        outputs = (tensor.numpy() for tensor in (made.means, made.covariances, made.colors))
        threads = min(default_threads(), self.blocks)
        with self._lock:
            if len(self._scratch) < threads * self._room:
                self._scratch = _aligned(np.zeros(threads * self._room, np.float32))
            self._threads[0] = 0
            arguments = (Struct(*inputs, *outputs), self._threads, self._scratch, self._room)
            share(_drive, self.blocks, threads, self._avatar, *arguments)
        return made
