# SPDX-License-Identifier: GPL-3.0-or-later
"""The driven frame on a CUDA device: from a signal to pixels as one captured graph.

A graph replays the same kernels on the same memory, so nothing here depends on a number that only the device
knows: the list of (tile, Gaussian) pairs has a fixed capacity, and what is left of it lies in a row of tiles
below the picture.
"""

import numpy as np
import torch
from torch import Tensor

from .avatar import Avatar, Signal
from .body.expression import apply_face_joints
from .decoder import CHANGES, SLOPE
from .quaternions import quaternion_to_matrix
from .raster import Camera

TILE = 16


class Actor:
    """An avatar's tensors on a device, and the way from a frame's features to posed Gaussians; torch alone,
    on any device. `dtype` is that of the decoder's layers."""

    def __init__(self, avatar: Avatar, device, dtype: torch.dtype = torch.bfloat16):
        def on(tensor, kind=torch.float32):
            return torch.as_tensor(tensor).to(device, kind).contiguous()

        decoder = {name: on(tensor) for name, tensor in avatar.decoder.items()}
        units = decoder["delta_scale"].repeat(len(decoder["last_bias"]) // CHANGES)
        count = sum(name.startswith("hidden") for name in decoder) // 2
        self.token_bias, self.signal_weight = on(avatar.token_bias), decoder["signal_weight"]
        self.layers = [(decoder[f"hidden{i}_weight"], decoder[f"hidden{i}_bias"]) for i in range(count)]
        self.layers.append((decoder["last_weight"] * units[:, None], decoder["last_bias"] * units))
        self.layers = [(weight.T.to(dtype), bias.to(dtype)) for weight, bias in self.layers]
        self.dtype = dtype
        self.means, self.quats, self.scales = on(avatar.means), on(avatar.quats), on(avatar.scales)
        self.colors, self.opacities = on(avatar.colors), on(avatar.opacities)
        weights = on(avatar.skin_weights)
        self.skin_weights = weights / weights.sum(-1, keepdim=True)
        self.skin_indices = on(avatar.skin_indices, torch.int64)
        token, slot = avatar.sources()
        self.source = on(token * (len(units) // CHANGES) + slot, torch.int64)
        basis, rows = avatar.expression_basis, avatar.expression_rows
        moving = torch.from_numpy(np.flatnonzero(basis.numpy().any((0, 2))))
        self.moved = on(moving if rows is None else rows[moving], torch.int64)
        self.basis = on(basis[:, moving]).flatten(1)

    def changes(self, features: Tensor) -> Tensor:
        """features [S] -> changes [N,13] in their units."""
        h = (self.token_bias + self.signal_weight @ features).to(self.dtype)
        for weight, bias in self.layers:
            h = torch.addmm(bias, torch.nn.functional.leaky_relu(h, SLOPE), weight)
        return h.float().reshape(-1, CHANGES).index_select(0, self.source)

    def pose(self, features: Tensor, transforms: Tensor, expression: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Posed means [N,3], covariances [N,3,3] and colours [N,3] in 0..1, as `Avatar.drive` makes them.

        features [S], transforms [J,4,4] with jaw and eyes turned, expression [52].
        """
        changes = self.changes(features)
        shift = (expression @ self.basis).reshape(-1, 3)
        means = self.means.index_add(0, self.moved, shift) + changes[:, 3:6]
        scales = self.scales * changes[:, 10:].exp()
        local = quaternion_to_matrix(self.quats + changes[:, 6:10]) * scales[:, None]
        joints, bag = transforms[:, :3].reshape(-1, 12), torch.nn.functional.embedding_bag
        rows = bag(self.skin_indices, joints, mode="sum", per_sample_weights=self.skin_weights)
        rows = rows.reshape(-1, 3, 4)
        world = rows[:, :, :3] @ local
        posed = (rows[:, :, :3] @ means[:, :, None])[:, :, 0] + rows[:, :, 3]
        return posed, world @ world.mT, (self.colors + changes[:, :3]).clamp(0, 1)


def tile_lists(
    centres: Tensor, radii: Tensor, depths: Tensor, columns: int, rows: int, capacity: int
) -> tuple[Tensor, Tensor, Tensor]:
    """gsplat's tile lists in tensors of fixed size: offsets [rows + 1, columns] int32, ids [capacity] int32,
    and how many pairs there are [], which may be more than the capacity; then the last are left out.

    centres, radii [N,2] in pixels, depths [N] of any sign. The unused rest of `ids` belongs to the first tile
    of the last row, below the picture.
    """
    drawn = (radii > 0).all(-1)
    left, right = _reached(centres[:, 0], radii[:, 0], drawn, columns)
    top, bottom = _reached(centres[:, 1], radii[:, 1], drawn, rows)
    touched = (right - left) * (bottom - top)
    ends = touched.cumsum(0)
    entry = torch.arange(capacity, device=centres.device)
    owner = torch.searchsorted(ends, entry, right=True)
    used = owner < len(ends)
    owner = owner.clamp(max=len(ends) - 1)
    k, wide = entry - (ends - touched)[owner], (right - left)[owner].clamp(min=1)
    tile = (top[owner] + k // wide) * columns + left[owner] + k % wide
    bits = depths.view(torch.int32)[owner]
    ordered = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long() + 2**31  # grows with the depth, below zero too
    key, order = torch.sort(torch.where(used, tile << 32 | ordered, columns * rows << 32), stable=True)
    tiles = torch.arange((rows + 1) * columns, device=centres.device) << 32
    return torch.searchsorted(key, tiles).int().reshape(rows + 1, columns), owner[order].int(), ends[-1]


def _reached(centre: Tensor, radius: Tensor, drawn: Tensor, tiles: int) -> tuple[Tensor, Tensor]:
    """First and last + 1 tile along one axis [N]; none of what is not drawn, whose numbers are anything."""
    first, last = (centre - radius) / TILE, (centre + radius) / TILE
    first, last = (torch.where(drawn, edge, 0.0) for edge in (first.floor(), last.ceil()))
    return first.clamp(0, tiles).long(), last.clamp(0, tiles).long()


class DrivenFrame:
    """Draws one avatar in frames of one size, by gsplat; on CUDA as one graph.

    The picture [H,W,4] that a call returns (premultiplied colour over the background, coverage; uint8 or
    float32) is the same memory every time. `capacity` grows by itself, which captures anew.
    """

    def __init__(
        self,
        avatar: Avatar,
        camera: Camera,
        device="cuda",
        background=(0.0, 0.0, 0.0),
        dtype: torch.dtype = torch.uint8,
        decoder_dtype: torch.dtype = torch.bfloat16,
    ):
        self.device, self.camera, self.dtype = torch.device(device), camera, dtype
        self.actor = Actor(avatar, self.device, decoder_dtype)
        self.parents = avatar.joint_parents.numpy()
        self.background = torch.tensor(background, dtype=torch.float32, device=self.device)
        self.capacity, self.graph, self.picture, self.needed = 8 * len(avatar), None, None, None
        joints = len(avatar.joint_names)
        self.sizes = (avatar.decoder["signal_weight"].shape[1], 16 * joints, 52, 16, 9)
        pinned = self.device.type == "cuda"
        self.host = torch.zeros(sum(self.sizes), pin_memory=pinned)
        self.input = torch.zeros(sum(self.sizes), device=self.device)

    @torch.no_grad()
    def __call__(self, signal: Signal, camera: Camera | None = None) -> Tensor:
        """The frame of a signal; another camera must have the first one's size and kind (ValueError)."""
        self._write(signal, camera or self.camera)
        while True:
            self._draw()
            needed = int(self.needed)
            if needed <= self.capacity:
                return self.picture
            self.capacity, self.graph = needed + needed // 4, None

    def _write(self, signal: Signal, camera: Camera) -> None:
        mine, other = ((one.width, one.height, one.orthographic, one.near) for one in (self.camera, camera))
        if mine != other:
            raise ValueError("A driven frame's cameras must agree in size, kind and near plane.")
        features = signal.features(self.parents)
        transforms = apply_face_joints(signal.transforms, signal.expression, signal.gaze)
        matrices = (torch.tensor(camera.viewmat).flatten(), torch.tensor(camera.K).flatten())
        self.host.copy_(torch.cat([features, transforms.flatten(), signal.expression, *matrices]))

    def _draw(self) -> None:
        if self.device.type != "cuda":
            self._frame()
            return
        if self.graph is None:
            self._capture()
        self.graph.replay()

    def _capture(self) -> None:
        aside = torch.cuda.Stream(self.device)  # lazy initialisation must not be captured
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside):
            for _ in range(3):
                self._frame()
        torch.cuda.current_stream(self.device).wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._frame()

    def _frame(self) -> None:
        import gsplat

        self.input.copy_(self.host, non_blocking=True)
        features, transforms, expression, viewmat, K = self.input.split(self.sizes)
        means, covariances, colors = self.actor.pose(features, transforms.reshape(-1, 4, 4), expression)
        entries = covariances.flatten(1).unbind(1)
        upper = torch.stack([entries[i] for i in (0, 1, 2, 4, 5, 8)], 1)
        camera, opacities = self.camera, self.actor.opacities
        radii, centres, depths, conics, _ = gsplat.fully_fused_projection(
            means,
            upper,
            None,
            None,
            viewmat.reshape(1, 4, 4),
            K.reshape(1, 3, 3),
            camera.width,
            camera.height,
            near_plane=camera.near,
            camera_model="ortho" if camera.orthographic else "pinhole",
            opacities=opacities,
        )
        columns, rows = -(-camera.width // TILE), -(-camera.height // TILE)
        offsets, ids, self.needed = tile_lists(centres[0], radii[0], depths[0], columns, rows, self.capacity)
        picture, alpha = gsplat.rasterize_to_pixels(
            centres,
            conics,
            colors[None],
            opacities[None],
            camera.width,
            camera.height,
            TILE,
            offsets[None],
            ids,
            backgrounds=self.background[None],
        )
        picture = torch.cat([picture[0], alpha[0]], -1)
        if self.dtype == torch.uint8:
            picture = (picture.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
        self.picture = picture
