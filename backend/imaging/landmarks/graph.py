# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the converted networks (`third_party/mediapipe/convert.py`) in torch, on any device."""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional

from ...errors import UserError

FOLDER = Path(__file__).parent / "data"


class Graph:
    """A network as a list of operations over numbered tensors; see `third_party/mediapipe/convert.py`."""

    def __init__(self, path: Path, device: str = "cpu"):
        """Raises `UserError` where the file is missing or damaged."""
        try:
            with safe_open(path, "pt", device=device) as file:
                graph = json.loads(file.metadata()["graph"])
                weights = {int(name): file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        except FileNotFoundError as error:
            raise UserError(
                f"The network {path.name}, which finds people in photos, is missing.",
                "Install the extension again; in a source checkout run build.py.",
            ) from error
        except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
            raise UserError(f"{path.name} is damaged.", "Install the extension again.") from error
        self.device = device
        self.size: tuple[int, int] = tuple(graph["size"])
        self.nodes, self.input, self.outputs = graph["nodes"], graph["input"], graph["outputs"]
        self.weights = {
            number: w.contiguous(memory_format=torch.channels_last) if w.ndim == 4 else w
            for number, w in weights.items()
        }
        last_use = {number: step for step, (_, inputs, _, _) in enumerate(self.nodes) for number in inputs}
        self.finished: dict[int, list[int]] = {}
        for number, step in last_use.items():
            if number not in self.weights and number not in self.outputs:
                self.finished.setdefault(step, []).append(number)

    @torch.inference_mode()
    def __call__(self, pictures: np.ndarray) -> list[np.ndarray]:
        """float32 [1,H,W,3] at `size` -> the outputs, float32, [1,H,W,C] or flat as in the TFLite file."""
        outputs = self.run(torch.as_tensor(pictures, device=self.device).permute(0, 3, 1, 2))
        return [_channels_last(output).contiguous().cpu().numpy() for output in outputs]

    def run(self, x: Tensor) -> list[Tensor]:
        """x [1,3,H,W] on the network's device -> the outputs there, [1,C,H,W] or flat."""
        values = {**self.weights, self.input: x.contiguous(memory_format=torch.channels_last)}
        for step, (kind, inputs, output, options) in enumerate(self.nodes):
            options = dict(options)
            activation = options.pop("activation", None)
            made = OPERATIONS[kind](*(values[n] if n >= 0 else None for n in inputs), **options)
            values[output] = ACTIVATIONS[activation](made) if activation else made
            for number in self.finished.get(step, ()):
                values.pop(number, None)
        return [values[number] for number in self.outputs]


@cache
def load_graph(name: str, device: str = "cpu") -> Graph:
    """One of the bundled networks, kept. Raises `UserError` where its file is missing or damaged."""
    return Graph(FOLDER / f"{name}.safetensors", device)


def _channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, stride, pad, dilation, groups) -> Tensor:
    left, right, top, bottom = pad
    if left == right and top == bottom:
        return functional.conv2d(x, weight, bias, stride, (top, left), dilation, groups)
    return functional.conv2d(functional.pad(x, pad), weight, bias, stride, 0, dilation, groups)


def _pooled(x: Tensor, kernel, stride, pad) -> Tensor:
    return functional.max_pool2d(functional.pad(x, pad, value=-math.inf), kernel, stride)


def _reshaped(x: Tensor, shape) -> Tensor:
    y = _channels_last(x).reshape(shape)
    return y.permute(0, 3, 1, 2) if y.ndim == 4 else y


def _depth_to_space(x: Tensor, block: int) -> Tensor:
    """TensorFlow's order: the block's place comes before the channel (torch's pixel_shuffle has it after)."""
    n, c, h, w = x.shape
    x = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(n, c // block**2, h * block, w * block)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.linear(_channels_last(x).reshape(-1, weight.shape[1]), weight, bias)


def _crop_matrix(landmarks: Tensor, **options) -> Tensor:
    """[1,4,4], from the pixels of a small grid to those of a feature map: the box of a subset of landmarks
    [1,n,3], turned so that two of them lie level (mediapipe's Landmarks2TransformMatrix, version 2).
    """
    xy = landmarks[0, :, :2]
    across = xy[options["right_rotation_idx"]] - xy[options["left_rotation_idx"]]
    angle = options["target_rotation_radians"] - torch.atan2(across[1], across[0])
    sine, cosine = torch.sin(angle), torch.cos(angle)
    turn = torch.stack([torch.stack([cosine, -sine]), torch.stack([sine, cosine])])
    subset = xy[options["subset_idxs"]] @ turn.T
    low, high = subset.amin(0), subset.amax(0)
    size = xy.new_tensor([options["output_width"], options["output_height"]])
    scale = xy.new_tensor([options["scale_x"], options["scale_y"]]) * (high - low) / size
    linear = turn.T * scale
    matrix = torch.eye(4, dtype=xy.dtype, device=xy.device)
    matrix[:2, :2] = linear
    matrix[:2, 3] = turn.T @ ((low + high) / 2) - linear @ (size / 2)
    return matrix[None]


def _crop_features(features: Tensor, matrix: Tensor, output_height: int, output_width: int, **_) -> Tensor:
    """The feature map [1,C,H,W] at the places of a grid; 0 outside (TransformTensorBilinear, version 2)."""
    height, width = features.shape[2:]
    rows, columns = (torch.arange(n, device=features.device) + 0.5 for n in (output_height, output_width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    at = torch.stack([x, y], -1) @ matrix[0, :2, :2].T + matrix[0, :2, 3] - 0.5
    last = features.new_tensor([width - 1, height - 1])
    inside = ((at >= 0) & (at <= last)).all(-1)
    return functional.grid_sample(features, (at / last * 2 - 1)[None], align_corners=True) * inside


def _move_landmarks(landmarks: Tensor, matrix: Tensor) -> Tensor:
    """x, y of landmarks [1,n,3] from the small grid back to the feature map (TransformLandmarks)."""
    xy = landmarks[..., :2] @ matrix[0, :2, :2].T + matrix[0, :2, 3]
    return torch.cat([xy, landmarks[..., 2:]], -1)


ACTIVATIONS = {"relu": functional.relu, "relu6": functional.relu6}
OPERATIONS = {
    "add": torch.add,
    "mul": torch.mul,
    "relu": functional.relu,
    "sigmoid": torch.sigmoid,
    "hardswish": functional.hardswish,
    "prelu": lambda x, slope: torch.where(x > 0, x, slope * x),
    "conv": _convolved,
    "deconv": lambda x, weight, bias, stride: functional.conv_transpose2d(x, weight, bias, stride),
    "linear": _linear,
    "max_pool": _pooled,
    "mean": lambda x, axes: x.mean(axes, keepdim=True),
    "pad": lambda x, pad: functional.pad(x, pad),
    "resize": lambda x, size: functional.interpolate(x, size, mode="bilinear", align_corners=False),
    "reshape": _reshaped,
    "concat": lambda *parts, axis: torch.cat(parts, axis),
    "depth_to_space": _depth_to_space,
    "slice": lambda x, ranges: x[tuple(slice(*r) for r in ranges)],
    "crop_matrix": _crop_matrix,
    "crop_features": _crop_features,
    "move_landmarks": _move_landmarks,
}
