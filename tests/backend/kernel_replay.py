# SPDX-License-Identifier: GPL-3.0-or-later
"""Replays real calls of the kernels on other machines: calls are recorded here, compiled into one small
program for the other processor or system, run there by an emulator, and their output arrays come back.
"""

import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lca_blender.backend import native

KERNELS = Path(__file__).parents[2] / "kernels"
FLAGS = runpy.run_path(str(KERNELS / "build.py"))["FLAGS"]
MACHINES = {  # name: (zig's target, processor, the program that runs it, if any)
    "x86-64-v2": ("x86_64-linux-musl", "x86_64_v2", None),
    "arm64": ("aarch64-linux-musl", "generic", "qemu-aarch64"),
    "windows": ("x86_64-windows-gnu", "x86_64_v3", "wine64"),
}


def can_run(machine: str) -> bool:
    return MACHINES[machine][2] is None or _emulator(machine) != []


def _emulator(machine: str) -> list[str]:
    """The command that programs of a machine follow; Debian keeps wine64 outside of the path."""
    name = MACHINES[machine][2]
    found = name and shutil.which(name, path=os.pathsep.join((os.environ["PATH"], "/usr/lib/wine")))
    return [found] if found else []


@dataclass
class Call:
    """A call, and its arrays before and after it by their places: a3, or a3_7 within a struct."""

    kernel: native.Kernel
    arguments: tuple
    before: dict
    after: dict


def _arrays(fields, place="a") -> dict[str, np.ndarray]:
    """Copies of all arrays, by names that are files' and variables' too."""
    found = {}
    for i, value in enumerate(fields):
        if isinstance(value, native.Struct):
            found |= _arrays(value.fields, f"{place}{i}_")
        elif isinstance(value, np.ndarray):
            found[f"{place}{i}"] = value.copy()
    return found


def record(monkeypatch, action) -> list[Call]:
    """The calls of kernels that `action()` makes; it must use one thread."""
    calls = []
    bind = native.Kernel.bind

    def recording(kernel, *arguments):
        run = bind(kernel, *arguments)
        before = _arrays(arguments)

        def call():
            result = run()
            calls.append(Call(kernel, arguments, before, _arrays(arguments)))
            return result

        return call

    with monkeypatch.context() as patch:
        patch.setattr(native.Kernel, "bind", recording)
        action()
    return calls


_HEAD = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *read_all(const char *name, long size) {
    void *data = (void *)(((uintptr_t)malloc(size + 128) + 63) & ~(uintptr_t)63);
    FILE *file = fopen(name, "rb");
    if (!file || fread(data, 1, size, file) != (size_t)size) exit(3);
    fclose(file);
    return data;
}

static void write_all(const char *name, const void *data, long size) {
    FILE *file = fopen(name, "wb");
    if (!file || fwrite(data, 1, size, file) != (size_t)size) exit(4);
    fclose(file);
}
"""


def _value(value, name: str, lines: list[str]) -> str:
    """The C expression of an argument or field, after `lines` that make what it points at."""
    if isinstance(value, native.Struct):
        fields = [_value(field, f"{name}_{i}", lines) for i, field in enumerate(value.fields)]
        lines.append(f"int64_t {name}[] = {{{', '.join(f'(int64_t){field}' for field in fields)}}};")
        return name
    if isinstance(value, np.ndarray):
        lines.append(f'void *{name} = read_all(AT "{name}", {value.nbytes});')
        return name
    return "0" if value is None else repr(value)


def _function(call: Call, number: int) -> str:
    """C source of `call<number>`, which reads the arrays, makes the call and writes them back."""
    kinds = {native.POINTER: "void *", native.INT: "int64_t", native.FLOAT: "float"}
    lines: list[str] = []
    values = [_value(value, f"a{i}", lines) for i, value in enumerate(call.arguments)]
    lines.append(f"{call.kernel.name}({', '.join(values)});")
    lines += [f'write_all(AT "{name}", {name}, {array.nbytes});' for name, array in call.before.items()]
    prototype = f"int64_t {call.kernel.name}({', '.join(kinds[kind] for kind in call.kernel.types)});"
    body = "\n".join(lines)
    return f'{prototype}\n#undef AT\n#define AT "{number}_"\nstatic void call{number}(void) {{\n{body}\n}}\n'


def replay(calls: list[Call], machine: str, folder: Path) -> list[dict[str, np.ndarray]]:
    """The arrays as each call leaves them on another machine."""
    target, processor, _ = MACHINES[machine]
    for number, call in enumerate(calls):
        for name, array in call.before.items():
            (folder / f"{number}_{name}").write_bytes(array.tobytes())
    functions = "".join(_function(call, number) for number, call in enumerate(calls))
    steps = "\n".join(f"call{number}();" for number in range(len(calls)))
    source = f"{_HEAD}\n{functions}\nint main(void) {{\n{steps}\nreturn 0;\n}}\n"
    (folder / "main.c").write_text(source, encoding="utf-8")
    program = folder / "program.exe"
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", target, f"-mcpu={processor}", *FLAGS]
    files = [str(folder / "main.c"), *map(str, sorted(KERNELS.glob("*.c")))]
    subprocess.run([*zig, "-o", str(program), *files], check=True)
    environment = {**os.environ, "WINEDEBUG": "-all"}
    subprocess.run([*_emulator(machine), str(program)], cwd=folder, check=True, timeout=300, env=environment)
    return [
        {
            name: np.frombuffer((folder / f"{number}_{name}").read_bytes(), array.dtype).reshape(array.shape)
            for name, array in call.before.items()
        }
        for number, call in enumerate(calls)
    ]
