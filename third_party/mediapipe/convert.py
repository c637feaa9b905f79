# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a TFLite file into a safetensors file that `backend/imaging/landmarks/graph.py` runs in torch.

Tensors become [N,C,H,W] and their padding explicit, since all sizes are known; weights stay float16. The
header's `graph` is JSON: `nodes` of [operation, inputs, output, options] in order, the `input` and its `size`
(height, width), the `outputs`. Numbers name tensors: those in the file, or what an earlier node made."""

import json
import math
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from .tflite_file import Operator, TFLiteFile, read_tflite

SAME = 0  # of the schema's Padding; 1 is VALID
ACTIVATIONS = {0: None, 1: "relu", 3: "relu6"}
SIMPLE = {
    "ADD": "add", "MUL": "mul", "RELU": "relu", "LOGISTIC": "sigmoid", "HARD_SWISH": "hardswish",
    "TransformLandmarks": "move_landmarks",
}  # fmt: skip
NCHW = (0, 2, 3, 1)  # where an axis of [N,H,W,C] goes


def convert(source: Path, target: Path) -> None:
    """Writes `target`; the same source gives the same bytes. ValueError for what is not understood."""
    file = read_tflite(source)
    nodes, weights, same_as = [], {}, {}
    for operator in file.operators:
        if operator.name in ("DEQUANTIZE", "DENSIFY"):  # float16 weights are read as they are
            same_as[operator.outputs[0]] = same_as.get(operator.inputs[0], operator.inputs[0])
            continue
        inputs = [same_as.get(number, number) for number in operator.inputs]
        node, constants = _node(file, Operator(operator.name, inputs, operator.outputs, operator.options))
        nodes.append(node)
        weights |= {str(number): np.ascontiguousarray(value) for number, value in constants.items()}
    _, height, width, _ = file.shapes[file.inputs[0]]
    graph = {"nodes": nodes, "input": file.inputs[0], "size": [height, width], "outputs": file.outputs}
    save_file(weights, target, {"graph": json.dumps(graph, separators=(",", ":"))})


def _node(file: TFLiteFile, operator: Operator) -> tuple[list, dict[int, np.ndarray]]:
    """The node of an operator, and the constants it reads in torch's order."""
    name, options = operator.name, operator.options
    constants = {n: file.constants[n] for n in operator.inputs if n in file.constants}
    inputs, settings = operator.inputs, {}
    if name in SIMPLE:
        kind = SIMPLE[name]
        constants = {number: _channels_first(value) for number, value in constants.items()}
    elif name in ("CONV_2D", "DEPTHWISE_CONV_2D", "Convolution2DTransposeBias"):
        kind = "deconv" if name.startswith("Conv") and name != "CONV_2D" else "conv"
        constants[inputs[1]] = _kernel(name, constants[inputs[1]])
        if kind == "conv":
            settings = _convolution(file, operator, constants[inputs[1]].shape)
        elif options["Padding"] == 1 and options["StrideW"] == constants[inputs[1]].shape[-1] == 2:
            settings = {"stride": [2, 2]}  # nothing overlaps, nothing is cut off
        else:
            raise ValueError(f"A transposed convolution that is not 2 x 2: {options}")
    elif name == "PRELU":
        kind, constants[inputs[1]] = "prelu", constants[inputs[1]].reshape(1, -1, 1, 1)
    elif name == "MAX_POOL_2D":
        kind, size = "max_pool", (options["FilterHeight"], options["FilterWidth"])
        settings = {"kernel": size, **_window(file.shapes[inputs[0]], size, (1, 1), options)}
    elif name == "FULLY_CONNECTED":
        kind = "linear"
    else:
        kind, settings = _layout(file, operator)
        inputs, constants = [n for n in inputs if n not in constants], {}
    activation = ACTIVATIONS[options.get("FusedActivationFunction", 0)]
    if activation:
        settings["activation"] = activation
    return [kind, inputs, operator.outputs[0], settings], constants


def _layout(file: TFLiteFile, operator: Operator) -> tuple[str, dict]:
    """Operators without weights that change sizes."""
    name, options, shape = operator.name, operator.options, file.shapes[operator.outputs[0]]
    arguments = [file.constants[n].tolist() for n in operator.inputs[1:] if n in file.constants]
    if name == "PAD":
        _, rows, columns, channels = arguments[0]
        return "pad", {"pad": [*columns, *rows, *channels]}
    if name == "MEAN":
        return "mean", {"axes": [NCHW[axis] for axis in arguments[0]]}
    if name == "RESIZE_BILINEAR" and options["HalfPixelCenters"] and not options["AlignCorners"]:
        return "resize", {"size": shape[1:3]}
    if name == "RESHAPE":
        return "reshape", {"shape": shape}
    if name == "CONCATENATION":
        return "concat", {"axis": NCHW[options["Axis"]] if len(shape) == 4 else options["Axis"]}
    if name == "DEPTH_TO_SPACE":
        return "depth_to_space", {"block": options["BlockSize"]}
    if name == "STRIDED_SLICE":
        begin, end, _ = arguments
        source = file.shapes[operator.inputs[0]]
        ends = [e if 0 < e <= size else size for e, size in zip(end, source, strict=True)]
        order = (0, 3, 1, 2) if len(source) == 4 else range(len(source))
        return "slice", {"ranges": [[begin[axis], ends[axis]] for axis in order]}
    if name == "Landmarks2TransformMatrix":
        return "crop_matrix", options
    if name == "TransformTensorBilinear":
        return "crop_features", options
    raise ValueError(f"The operator {name} with {options} is not understood.")


def _channels_first(value: np.ndarray) -> np.ndarray:
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value


def _kernel(name: str, value: np.ndarray) -> np.ndarray:
    """[O,H,W,I] -> [O,I,H,W]; depthwise [1,H,W,C] -> [C,1,H,W]; transposed [O,H,W,I] -> [I,O,H,W]."""
    return value.transpose(0, 3, 1, 2) if name == "CONV_2D" else value.transpose(3, 0, 1, 2)


def _convolution(file: TFLiteFile, operator: Operator, kernel: tuple[int, ...]) -> dict:
    options = operator.options
    dilation = (options["DilationHFactor"], options["DilationWFactor"])
    window = _window(file.shapes[operator.inputs[0]], kernel[2:], dilation, options)
    groups = kernel[0] if operator.name == "DEPTHWISE_CONV_2D" else 1
    return {**window, "dilation": dilation, "groups": groups}


def _window(shape: tuple[int, ...], size: tuple[int, int], dilation: tuple[int, int], options: dict) -> dict:
    """Stride, and the padding (left, right, top, bottom) that TensorFlow adds; the odd pixel comes after."""
    stride = (options["StrideH"], options["StrideW"])
    before_after = []
    for axis in (1, 0):
        missing = 0
        if options["Padding"] == SAME:
            last = (math.ceil(shape[1 + axis] / stride[axis]) - 1) * stride[axis]
            missing = max(last + (size[axis] - 1) * dilation[axis] + 1 - shape[1 + axis], 0)
        before_after += [missing // 2, missing - missing // 2]
    return {"stride": stride, "pad": before_after}
