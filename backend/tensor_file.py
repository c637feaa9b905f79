# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of tensors in the safetensors format: written whole or not at all, looked at before they are read.

Such a file begins with a JSON table of its tensors' types and shapes and with metadata, texts by name. The
library refuses tables that do not fit the file's size; what a caller expects is compared with the table
before a tensor is read or a network is built. Nothing in a file is ever run. torch is imported only where it
is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open

from .errors import UserError
from .files import replacing

if TYPE_CHECKING:
    from torch import Tensor

MAX_TABLE = 16 << 20  # bytes of a file's table and metadata
FLOATS = ("F16", "BF16", "F32")
REINSTALL = "Install the extension again; in a source checkout run build.py."

Table = dict[str, tuple[str, tuple[int, ...]]]  # name -> type as the format names it ("F16"), shape


class TensorFileError(UserError):
    """A file of tensors that is missing, damaged, or not what was asked for."""


class TensorFile:
    """A file whose table was read; its tensors are read when asked for.

    kind: what a person calls such a file; remedy: what to do where it cannot be used. The constructor and
    every method raise `error`, one sentence.
    """

    def __init__(
        self,
        path: str | Path,
        kind: str = "tensor file",
        remedy: str = "",
        error: type[TensorFileError] = TensorFileError,
    ):
        self.path, self.kind, self.remedy, self.error = Path(path), kind, remedy, error
        with self._reading():
            with open(self.path, "rb") as file:
                start = file.read(8)
            if len(start) < 8 or int.from_bytes(start, "little") > MAX_TABLE:
                raise self.wrong(f"{self.path.name} is no {kind} or is cut off.")
        with self.opened("numpy") as file:
            self.metadata: dict[str, str] = file.metadata() or {}
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 it is no mapping
            self.table: Table = {n: (part.get_dtype(), tuple(part.get_shape())) for n, part in parts.items()}

    def wrong(self, sentence: str) -> TensorFileError:
        """An error about this file, with its remedy."""
        return self.error(sentence, self.remedy)

    @contextmanager
    def opened(self, framework: str) -> Iterator:
        """The library's `safe_open`: `get_tensor`, `get_slice`. framework: "pt" or "numpy"."""
        with self._reading():
            file = safe_open(self.path, framework)
        with file:
            yield file

    def header(self, key: str = "header") -> dict:
        """The JSON object that the metadata hold under `key`."""
        if key not in self.metadata:
            raise self.wrong(f"{self.path.name} is no {self.kind}.")
        try:
            value = json.loads(self.metadata[key])
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self.wrong(f"The header of {self.path.name} is damaged.")
        return value

    def tensors(self) -> dict[str, Tensor]:
        """All tensors, in main memory."""
        with self.opened("pt") as file, self._reading():
            return {name: file.get_tensor(name).clone() for name in self.table}  # without, still in the file

    def arrays(self) -> dict[str, np.ndarray]:
        """All tensors as numpy arrays, which know no bfloat16."""
        with self.opened("numpy") as file, self._reading():
            return {name: file.get_tensor(name) for name in self.table}

    def check(self, wanted: Mapping[str, tuple], limits: Mapping[str, int] | None = None) -> dict[str, int]:
        """`check_table` of this file's table."""
        try:
            return check_table(self.table, wanted, limits)
        except TensorFileError as error:
            raise self.wrong(f"{self.path.name} cannot be used. {error.message}") from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turns what the disk and the library say into a sentence."""
        try:
            yield
        except FileNotFoundError as error:
            raise self.wrong(f"There is no {self.kind} {self.path}.") from error
        except OSError as error:
            raise self.wrong(f"The {self.kind} {self.path} cannot be read: {error.strerror}.") from error
        except SafetensorError as error:
            raise self.wrong(f"{self.path.name} is damaged, or it is no {self.kind}.") from error


def check_table(table: Table, wanted: Mapping[str, tuple], limits: Mapping[str, int] | None = None):
    """Raises TensorFileError unless a table has the `wanted` tensors and no other; returns the sizes.

    wanted: name -> (type or types, shape). A text in a shape is a size from 1 to limits[its first letter]
    (none, no limit) that is the same wherever it stands; sizes: text -> number.
    """
    sizes: dict[str, int] = {}
    for name, (kinds, shape) in wanted.items():
        if name not in table:
            raise TensorFileError(f"Its tensor {name} is missing.")
        kinds = (kinds,) if isinstance(kinds, str) else kinds
        kind, own = table[name]
        if kind not in kinds:
            raise TensorFileError(f"Its tensor {name} has the type {kind[:10]}, not {' or '.join(kinds)}.")
        if len(own) != len(shape) or not all(
            _fits(size, side, sizes, limits or {}) for size, side in zip(own, shape, strict=True)
        ):
            raise TensorFileError(f"Its tensor {name} has the wrong shape {list(own)}.")
    if more := sorted(table.keys() - wanted.keys()):
        raise TensorFileError(f"It holds a tensor that does not belong there: {more[0][:60]!r}.")
    return sizes


def _fits(size: int, wanted: int | str, sizes: dict[str, int], limits: Mapping[str, int]) -> bool:
    if isinstance(wanted, int):
        return size == wanted
    return 1 <= size <= limits.get(wanted[0], size) and sizes.setdefault(wanted, size) == size


def fill(own: Mapping[str, Tensor], file: TensorFile) -> None:
    """Copies a file's tensors into a network's `own`, whose names and shapes the file must have.

    Raises TensorFileError, also for values that are NaN or infinite; the network is then as it was.
    """
    import torch

    check_weights(own, file)
    tensors = file.tensors()
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise file.wrong(f"{file.path.name} cannot be used. Its tensor {name} contains NaN or infinity.")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def check_weights(own: Mapping[str, Tensor], file: TensorFile) -> None:
    """Raises TensorFileError unless a file's tensors have the names and shapes of a network's `own`, which
    may lie on torch's meta device, where they take no memory.
    """
    file.check({name: (FLOATS, tuple(tensor.shape)) for name, tensor in own.items()})


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor | np.ndarray], **metadata) -> None:
    """Tensors, all of torch or all of numpy, to `path`, whole or not at all; its folder must exist.

    metadata: texts are kept as they are, all else as JSON. UserError where the disk refuses.
    """
    if all(isinstance(value, np.ndarray) for value in tensors.values()):
        from safetensors.numpy import save

        tensors = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    else:
        from safetensors.torch import save

        tensors = {name: value.detach().contiguous() for name, value in tensors.items()}
    texts = {k: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for k, v in metadata.items()}
    data = save(tensors, texts)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
