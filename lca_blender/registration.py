# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers all modules with Blender, and unregisters them in the opposite order."""

import importlib
import pkgutil
from types import ModuleType

import bpy

from . import engine, handlers, preferences, properties
from .relit import command

FIXED = (preferences, properties, engine, handlers, command)  # panels and operators use them: they come after
FOLDERS = ("operators", "ui")

_registered: list[ModuleType] = []
_classes: list[type] = []


def modules() -> list[ModuleType]:
    """The modules to register: the fixed ones, then every module of the folders `operators` and `ui` by name.

    A module offers `CLASSES` (a tuple of Blender classes), or functions `register` and `unregister`, or both.
    """
    found = list(FIXED)
    for folder in FOLDERS:
        package = importlib.import_module(f".{folder}", __package__)
        names = sorted(info.name for info in pkgutil.iter_modules(package.__path__))
        found += [importlib.import_module(f".{name}", package.__name__) for name in names]
    return found


def register() -> None:
    """Registers all modules; when one fails, those before it are unregistered."""
    if _registered:
        return
    try:
        for module in modules():
            _registered.append(module)
            for cls in getattr(module, "CLASSES", ()):
                bpy.utils.register_class(cls)
                _classes.append(cls)
            getattr(module, "register", _nothing)()
    except Exception:
        unregister()
        raise


def unregister() -> None:
    for module in reversed(_registered):
        getattr(module, "unregister", _nothing)()
        for cls in reversed(getattr(module, "CLASSES", ())):
            if cls in _classes:
                bpy.utils.unregister_class(cls)
                _classes.remove(cls)
    _registered.clear()


def _nothing() -> None:
    pass
