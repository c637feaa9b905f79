# SPDX-License-Identifier: GPL-3.0-or-later
"""PLY files as tables: elements of plain numbers, ascii or binary of either byte order."""

from pathlib import Path

import numpy as np

from ..errors import UserError, printable

TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
MAX_HEADER, MAX_PROPERTIES = 1 << 16, 512
END = b"end_header"


class PlyError(UserError):
    """A PLY file that cannot be read."""


def read_tables(path: Path) -> dict[str, np.ndarray]:
    """Element -> structured array with a field for every property, up to the first element with lists.

    What a header promises is compared with the file's size before memory is taken. PlyError names the fault.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PlyError(f"{path.name} cannot be read: {error.strerror}.") from error
    order, elements, start = _header(data, path.name)
    tables = {}
    if order == "=":
        return _ascii(data[start:], elements, path.name)
    for name, count, fields in elements:
        if fields is None:
            break
        kind = np.dtype([(field, order + code) for field, code in fields])
        if count * kind.itemsize > len(data) - start:
            raise PlyError(f"{path.name} is incomplete: it ends within its list of {printable(name[:40])}.")
        tables[name] = np.frombuffer(data, kind, count, start)
        start += count * kind.itemsize
    return tables


def _header(data: bytes, name: str):
    """Byte order, elements (name, count, fields; None for one with lists), and where the data begin."""
    head = data[:MAX_HEADER]
    end = head.find(b"\n" + END)
    newline = head.find(b"\n", end + 1)
    if not head.startswith(b"ply") or end < 0 or newline < 0:
        raise PlyError(f"{name} is not a PLY file.", "Choose a .ply file.")
    order, elements = None, []
    for line in head[:end].decode("latin-1").splitlines()[1:]:
        words = line.split()
        try:
            if not words or words[0] in ("comment", "obj_info"):
                continue
            if words[0] == "format":
                order = ORDERS[words[1]]
            elif words[0] == "element":
                elements.append([words[1], int(words[2]), []])
                if not 0 <= elements[-1][1] < 1 << 40:
                    raise ValueError
            elif words[0] == "property" and words[1] == "list":
                elements[-1][2] = None
            elif words[0] == "property" and elements[-1][2] is not None:
                elements[-1][2].append((words[2], TYPES[words[1]]))
            elif words[0] != "property":
                raise ValueError
        except (KeyError, IndexError, ValueError) as error:
            raise PlyError(f"{name} is damaged: its header says {printable(line[:60])!r}.") from error
    for _, _, fields in elements:
        names = [field for field, _ in fields or ()]
        if len(set(names)) < len(names) or len(names) > MAX_PROPERTIES:
            raise PlyError(f"{name} is damaged: its header repeats a property.")
    if order is None:
        raise PlyError(f"{name} is damaged: its header does not say how it is written.")
    return order, elements, newline + 1


def _ascii(data: bytes, elements, name: str) -> dict[str, np.ndarray]:
    tables, lines, row = {}, data.splitlines(), 0
    for element, count, fields in elements:
        if fields is None:
            break
        if row + count > len(lines):
            raise PlyError(f"{name} is incomplete: it ends within its list of {printable(element[:40])}.")
        try:
            numbers = np.array(b" ".join(lines[row : row + count]).split(), np.float64)
            columns = numbers.reshape(count, len(fields)).T
        except ValueError as error:
            raise PlyError(
                f"{name} is damaged: its list of {printable(element[:40])} cannot be read."
            ) from error
        table = np.empty(count, [(field, code) for field, code in fields])
        with np.errstate(invalid="ignore", over="ignore"):
            for (field, _), column in zip(fields, columns, strict=True):
                table[field] = column
        tables[element], row = table, row + count
    return tables
