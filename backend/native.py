# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels (`kernels/`), called through ctypes: the interpreter lock is free while one runs."""

import ctypes
from functools import cache, cached_property, partial

import numpy as np

from .errors import UserError

POINTER, INT, FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float


@cache
def _library() -> ctypes.CDLL:
    try:
        from lca_kernels import open_library

        return open_library()
    except (ImportError, OSError, StopIteration) as error:
        raise UserError(
            f"The compiled kernels of this extension cannot be loaded: {error}.",
            "Install the extension's file for this computer's system; in a source checkout run build.py.",
        ) from error


class Kernel:
    """A function of the library by name, with the C types of its arguments (POINTER, INT, FLOAT).

    Arrays are passed as pointers: they must be C-contiguous, of the type the C source names (ValueError
    else). The library is opened by the first call.
    """

    def __init__(self, name: str, *types):
        self.name, self.types = name, types

    @cached_property
    def function(self):
        function = getattr(_library(), self.name)
        function.argtypes, function.restype = self.types, ctypes.c_int64
        return function

    def bind(self, *arguments):
        """The call with its arguments, ready to be made on any thread; it keeps the arrays alive."""
        if len(arguments) != len(self.types):
            raise ValueError(f"{self.name} takes {len(self.types)} arguments, not {len(arguments)}.")
        return partial(_call, self.function, [_plain(argument) for argument in arguments], arguments)

    def __call__(self, *arguments) -> int:
        return self.bind(*arguments)()


class Struct:
    """Whole numbers and arrays (or None) as a C struct of eight-byte fields, to pass as a pointer. It keeps
    the arrays alive."""

    def __init__(self, *fields):
        self.fields = fields
        self.numbers = np.array([_plain(field) or 0 for field in fields], np.int64)


def _call(function, values, _alive):
    return function(*values)


def _plain(argument):
    if isinstance(argument, Struct):
        argument = argument.numbers
    if isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise ValueError("A kernel's arrays must be contiguous.")
        return argument.__array_interface__["data"][0]
    return argument
