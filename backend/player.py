# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar made ready for playing: the arrays of kernels/drive.c, laid out once, and the call of each frame.

Sixteen tokens at a time go from the first layer of the decoder to posed Gaussians, so nothing large lies in
between. The result is bit for bit the same on any number of threads.
"""

import threading

import numpy as np

from .gaussians import Gaussians
from .native import INT, POINTER, Kernel, Struct
from .recycling import empty
from .workers import default_threads, share

TOKENS = 16  # of a block
LANES = 8
ROWS = 6  # outputs of a layer at a time
CHANGES = 13  # colour 3, mean 3, quaternion 4, log scale 3
LINE = 64  # bytes of a cache line

_drive = Kernel("lca_drive", *[POINTER] * 5, INT)
_DISPLACEMENT = np.dtype([("at", np.int32), ("by", np.float32, 3)])


def _aligned(values: np.ndarray) -> np.ndarray:
    """A contiguous copy that begins on a cache line."""
    room = np.empty(values.nbytes + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    out = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    out[...] = values
    return out


def _packed(weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A layer [O,D] with its outputs filled up to a multiple of ROWS, ROWS rows interleaved."""
    missing = -len(weight) % ROWS
    weight, bias = np.pad(weight, ((0, missing), (0, 0))), np.pad(bias, (0, missing))
    return weight.reshape(-1, ROWS, weight.shape[1]).transpose(0, 2, 1), bias


class Player:
    """Plays an `Avatar`, whose tensors are only read here, once."""

    def __init__(self, avatar):
        self.count = len(avatar)
        self.tokens, self.width = avatar.token_bias.shape
        self.per_token = self.count // self.tokens
        self.opacities = avatar.opacities.float().numpy()
        self.signal_weight = avatar.decoder["signal_weight"].numpy()
        self.blocks = -(-self.tokens // TOKENS)
        layers = self._layers({name: tensor.numpy() for name, tensor in avatar.decoder.items()})
        arrays = [self._lanes(avatar.token_bias.numpy(), 1), *layers, *self._rest(avatar)]
        influences = avatar.skin_indices.shape[1]
        outputs = len(layers[-1])
        sizes = [self.tokens, self.per_token, self.width, len(layers[0]), influences, outputs]
        self._avatar = Struct(*sizes, *map(_aligned, arrays))
        self._room = TOKENS * (2 * (self.width + -self.width % ROWS) + outputs)
        self._scratch, self._threads = np.empty(0, np.float32), np.zeros(1, np.int64)
        self._lock = threading.Lock()

    def _lanes(self, values: np.ndarray, per_token: int) -> np.ndarray:
        """[T per_token, C] -> [B, per_token, C, TOKENS]; the last block is filled up with copies of its last
        token."""
        missing = self.blocks * TOKENS - self.tokens
        values = np.pad(values.reshape(self.tokens, per_token, -1), ((0, missing), (0, 0), (0, 0)), "edge")
        return values.reshape(self.blocks, TOKENS, per_token, -1).transpose(0, 2, 3, 1)

    def _layers(self, weights: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The hidden layers, the last one in the units of the changes: hidden, bias, last, bias."""
        count = sum(name.startswith("hidden") for name in weights) // 2
        hidden = [_packed(weights[f"hidden{i}_weight"], weights[f"hidden{i}_bias"]) for i in range(count)]
        units = np.tile(weights["delta_scale"], self.per_token)
        last = _packed(weights["last_weight"] * units[:, None], weights["last_bias"] * units)
        empty = np.empty((0, 0), np.float32)
        stacked = [np.stack(part) for part in zip(*hidden, strict=True)] if hidden else [empty, empty]
        return [*stacked, *last]

    def _rest(self, avatar) -> list[np.ndarray]:
        """Rest values, joints used, joints, weights, where displacements begin, displacements."""
        parts = [avatar.means, avatar.quats, avatar.scales, avatar.colors]
        rest = np.concatenate([part.float().numpy() for part in parts], 1)
        weights = avatar.skin_weights.float().numpy()
        order = np.argsort(-weights, axis=1, kind="stable")
        weights = np.take_along_axis(weights, order, 1)
        weights /= weights.sum(1, keepdims=True)  # they are rounded in the file
        joints = np.take_along_axis(avatar.skin_indices.numpy(), order, 1)
        weights, joints = (
            self._lanes(values, self.per_token).transpose(0, 1, 3, 2) for values in (weights, joints)
        )
        used = (weights > 0).sum(-1).reshape(self.blocks, self.per_token, TOKENS // LANES, LANES).max(-1)
        moves = self._displacements(avatar.expression_basis.numpy())
        return [self._lanes(rest, self.per_token), used.astype(np.uint8), joints, weights, *moves]

    def _displacements(self, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The basis [52,N,3] without its zeros, sorted by block, then by expression: first [B,53] and the
        list."""
        expression, gaussian = np.nonzero(basis.any(-1))
        token, k = np.divmod(gaussian, self.per_token)
        block, lane = np.divmod(token, TOKENS)
        order = np.lexsort((gaussian, expression, block))
        moves = np.empty(len(order), _DISPLACEMENT)
        moves["at"] = ((CHANGES * k + 3) * TOKENS + lane)[order]
        moves["by"] = basis[expression, gaussian][order]
        keys = (block * len(basis) + expression)[order]
        starts = np.searchsorted(keys, np.arange(self.blocks * len(basis) + 1))
        rows = np.arange(self.blocks)[:, None] * len(basis) + np.arange(len(basis) + 1)
        return starts[rows].astype(np.int64), moves

    def play(self, features: np.ndarray, expression: np.ndarray, transforms: np.ndarray) -> Gaussians:
        """A frame. features [S] of the decoder, expression [52], transforms [J,4,4], float32."""
        made = Gaussians(*(empty(self.count, *size) for size in ((3,), (3, 3), (), (3,))))
        made.opacities.numpy()[...] = self.opacities  # torch's threads would go on spinning for a while
        shift = np.einsum("ds,s->d", self.signal_weight, features)  # its product would wake BLAS's threads
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
