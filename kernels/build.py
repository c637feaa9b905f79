# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the kernels into a wheel, for this or any other platform, with the clang of PyPI's `ziglang`.

    python kernels/build.py --install                        into the Python that runs this, if they changed
    python kernels/build.py --platform windows-x64 --out DIR a wheel

One C source serves every machine; a wheel holds one library per instruction set and fits every Python.
"""

import argparse
import base64
import hashlib
import importlib
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = "0.1.0"
FLAGS = ["-std=c17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-sanitize=all"]
FLAGS += ["-fno-strict-aliasing", "-Wall", "-Werror"]
LIBRARY = ["-fvisibility=hidden", "-shared", "-s"]
X64 = {"v2": "x86_64_v2", "v3": "x86_64_v3", "v4": "x86_64_v4"}
TARGETS = {  # platform: zig's target, processors, ending, the wheel's tag
    "linux-x64": ("x86_64-linux-gnu.2.17", X64, ".so", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
    "linux-arm64": ("aarch64-linux-gnu.2.17", {"neon": "generic"}, ".so", "manylinux_2_17_aarch64"),
    "windows-x64": ("x86_64-windows-gnu", X64, ".dll", "win_amd64"),
    "macos-arm64": ("aarch64-macos.11.0", {"neon": "apple_m1"}, ".dylib", "macosx_11_0_arm64"),
}


def sources_digest() -> str:
    """Changes with every line of the C sources and of this file."""
    files = [*sorted(HERE.glob("*.[ch]")), Path(__file__), *sorted(HERE.glob("wheel/*.py"))]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def this_platform() -> str:
    system = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}.get(platform.system())
    machine = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    name = f"{system}-{machine}"
    if name not in TARGETS:
        sys.exit(f"The kernels are not built for {platform.system()} on {platform.machine()}.")
    return name


def compile_library(name: str, level: str, folder: Path) -> Path:
    target, processors, ending, _ = TARGETS[name]
    library = folder / f"kernels-{level}{ending}"
    files = sorted(str(file) for file in HERE.glob("*.c"))
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", target, f"-mcpu={processors[level]}"]
    code = subprocess.run([*zig, *FLAGS, *LIBRARY, "-o", str(library), *files]).returncode
    if code:
        sys.exit(code)
    return library


def write_wheel(name: str, out: Path) -> Path:
    """`lca_kernels` for one platform, as PEP 427 lays it out. The same sources give the same bytes."""
    tag = f"py3-none-{TARGETS[name][3]}"
    info = f"lca_kernels-{VERSION}.dist-info"
    contents = {f"lca_kernels/{file.name}": file.read_bytes() for file in HERE.glob("wheel/*.py")}
    contents["lca_kernels/sources.py"] = f'SOURCES = "{sources_digest()}"\n'.encode()
    with tempfile.TemporaryDirectory() as folder:
        for level in TARGETS[name][1]:
            library = compile_library(name, level, Path(folder))
            contents[f"lca_kernels/{library.name}"] = library.read_bytes()
    contents[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: lca-kernels\nVersion: {VERSION}\n"
        "Summary: Rasteriser, decoder and skinning of LCA for artists\nLicense: GPL-3.0-or-later\n"
    ).encode()
    tags = "".join(f"Tag: py3-none-{part}\n" for part in TARGETS[name][3].split("."))
    contents[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: kernels\nRoot-Is-Purelib: false\n{tags}".encode()
    )
    record = ""
    for path, data in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    out.mkdir(parents=True, exist_ok=True)
    wheel = out / f"lca_kernels-{VERSION}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in contents.items():
            archive.writestr(zipfile.ZipInfo(path), data, zipfile.ZIP_DEFLATED)
    return wheel


def installed_digest() -> str:
    try:
        return importlib.import_module("lca_kernels").SOURCES
    except ImportError:
        return ""


def install() -> None:
    if sources_digest() == installed_digest():
        return
    with tempfile.TemporaryDirectory() as folder:
        wheel = write_wheel(this_platform(), Path(folder))
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--force-reinstall",
        ]
        code = subprocess.run([*pip, str(wheel)]).returncode
        if code:
            sys.exit(code)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--install", action="store_true", help="into the Python that runs this")
    parser.add_argument("--platform", choices=TARGETS, action="append", help="may be given several times")
    parser.add_argument("--out", type=Path, default=Path("dist"))
    arguments = parser.parse_args()
    if arguments.install:
        install()
    for chosen in arguments.platform or ():
        print(write_wheel(chosen, arguments.out))
