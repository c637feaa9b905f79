# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a TFLite file: its operators with their options, and its constant tensors as arrays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tflite
from flatbuffers import flexbuffers

TYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}


@dataclass(frozen=True)
class Operator:
    """One operator: its TFLite name, tensor numbers in and out (-1: left out), and its options by name."""

    name: str
    inputs: list[int]
    outputs: list[int]
    options: dict


@dataclass(frozen=True)
class TFLiteFile:
    """The only subgraph of a file: operators in order, constants by tensor number, all tensors' shapes."""

    operators: list[Operator]
    constants: dict[int, np.ndarray]
    shapes: list[tuple[int, ...]]
    inputs: list[int]
    outputs: list[int]


def read_tflite(path: Path) -> TFLiteFile:
    """Reads a file of float32, float16 and int32 tensors; sparse tensors come back dense."""
    model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(n) for n in range(graph.TensorsLength())]
    shapes = [tuple(int(size) for size in tensor.ShapeAsNumpy()) for tensor in tensors]
    constants = {}
    for number, tensor in enumerate(tensors):
        data = model.Buffers(tensor.Buffer())
        if data.DataLength():
            values = np.frombuffer(data.DataAsNumpy().tobytes(), TYPES[tensor.Type()])
            sparsity = tensor.Sparsity()
            constants[number] = (
                values.reshape(shapes[number])
                if sparsity is None
                else _dense(values, shapes[number], sparsity)
            )
    operators = [_operator(model, graph.Operators(n)) for n in range(graph.OperatorsLength())]
    return TFLiteFile(
        operators, constants, shapes, _numbers(graph.InputsAsNumpy()), _numbers(graph.OutputsAsNumpy())
    )


def _numbers(array: np.ndarray) -> list[int]:
    return [int(value) for value in array]


def _operator(model, operator) -> Operator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    inputs, outputs = _numbers(operator.InputsAsNumpy()), _numbers(operator.OutputsAsNumpy())
    if builtin != tflite.BuiltinOperator.CUSTOM:
        return Operator(tflite.opcode2name(builtin), inputs, outputs, _builtin_options(operator))
    name, length = code.CustomCode().decode(), operator.CustomOptionsLength()
    data = operator.CustomOptionsAsNumpy().tobytes() if length else b""
    if name == "Convolution2DTransposeBias":  # a C struct of whole numbers
        numbers = np.frombuffer(data, np.int32)[:3].tolist()
        return Operator(
            name, inputs, outputs, dict(zip(("Padding", "StrideW", "StrideH"), numbers, strict=True))
        )
    return Operator(name, inputs, outputs, flexbuffers.Loads(data) if data else {})


def _builtin_options(operator) -> dict:
    """The scalar fields of the operator's options table, by their names in the schema."""
    kinds = {value: name for name, value in vars(tflite.BuiltinOptions).items() if not name.startswith("_")}
    kind = kinds[operator.BuiltinOptionsType()]
    if kind == "NONE":
        return {}
    table = operator.BuiltinOptions()
    options = getattr(tflite, kind)()
    options.Init(table.Bytes, table.Pos)
    names = [
        name for name in dir(options)
        if name[0].isupper() and not name.startswith(("Init", "GetRoot")) and "AsNumpy" not in name
        and not name.endswith(("Length", "IsNone")) and f"{name}Length" not in dir(options)
        and "BufferHasIdentifier" not in name
    ]  # fmt: skip
    return {name: getattr(options, name)() for name in names}


def _dense(values: np.ndarray, shape: tuple[int, ...], sparsity) -> np.ndarray:
    """A sparse tensor made dense (`SparsityParameters` of the TFLite schema: a level per dimension and per
    block dimension, each either dense or compressed).
    """
    order, blocks = _numbers(sparsity.TraversalOrderAsNumpy()), []
    if sparsity.BlockMapLength():
        blocks = _numbers(sparsity.BlockMapAsNumpy())
    where = np.zeros(1, np.int64)
    coordinates: list[np.ndarray] = []
    sizes = {}
    for level, dimension in enumerate(order):
        metadata = sparsity.DimMetadata(level)
        if metadata.Format() == tflite.DimensionType.DENSE:
            size = metadata.DenseSize()
            index = np.tile(np.arange(size), len(where))
            origin = np.repeat(np.arange(len(where)), size)
            where = np.repeat(where * size, size) + index
            sizes[dimension] = size
        else:
            segments = _vector(metadata.ArraySegments(), metadata.ArraySegmentsType())
            indices = _vector(metadata.ArrayIndices(), metadata.ArrayIndicesType())
            counts = segments[where + 1] - segments[where]
            origin = np.repeat(np.arange(len(where)), counts)
            first = np.cumsum(counts) - counts
            where = segments[where][origin] + np.arange(len(origin)) - first[origin]
            index = indices[where]
        coordinates = [old[origin] for old in coordinates] + [index]
    by_dimension = dict(zip(order, coordinates, strict=True))
    place = [by_dimension[d] for d in range(len(shape))]
    for n, dimension in enumerate(blocks):
        block = len(shape) + n
        place[dimension] = place[dimension] * sizes[block] + by_dimension[block]
    dense = np.zeros(shape, values.dtype)
    dense[tuple(place)] = values[where]
    return dense


def _vector(table, kind: int) -> np.ndarray:
    reader = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }[kind]()
    reader.Init(table.Bytes, table.Pos)
    return reader.ValuesAsNumpy().astype(np.int64)
