#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door: make the environment, then run the demo, the tests or the extension build.

    python3 build.py demo [--photos FILE...] [--out DIR] [--seed N]
    python3 build.py test [--only lint|backend|blender|package]
    python3 build.py package [--platform P...] [--python V...] [--torch cpu|cuda|none] [--out DIR]

Only the standard library is used here; everything else lives in `.venv`, which this script makes.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
OLDER_BPY = "4.5.15"  # the LTS that is tested beside the pinned bpy, where this Python has both
BLENDERS = {"3.11": ("4.5", "5.0"), "3.13": ("5.1", "5.2")}  # Python -> the first and last Blender with it
EXTENSION_ID = "lca_blender"
PLATFORM_TAGS = {  # Blender's platform name -> the wheel tags pip may choose from
    "linux-x64": [
        "manylinux_2_28_x86_64",
        "manylinux_2_27_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
    ],
    "windows-x64": ["win_amd64"],
    "macos-arm64": ["macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"],
}
CPU_TORCH_HINT = (
    " PyPI has no CPU build of torch: let PIP_EXTRA_INDEX_URL name PyTorch's own index (see pytorch.org), "
    "or give --torch none."
)
SYSTEM_PACKAGES = {  # library bpy links to -> Debian/Ubuntu package
    "libX11": "libx11-6", "libXi": "libxi6", "libXfixes": "libxfixes3", "libXrender": "libxrender1",
    "libXxf86vm": "libxxf86vm1", "libSM": "libsm6", "libICE": "libice6", "libxkbcommon": "libxkbcommon0",
    "libGL": "libgl1", "libEGL": "libegl1",
}  # fmt: skip


# --- environment ---------------------------------------------------------------------------------


def python_of(folder: Path) -> str:
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def run(*command: str, **kwargs) -> None:
    """Runs a command in the repository; ends this script with the command's status if it fails."""
    code = subprocess.run([str(part) for part in command], cwd=ROOT, **kwargs).returncode
    if code:
        sys.exit(code)


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def environment() -> str:
    """Makes or updates `.venv` from pyproject.toml; returns its Python."""
    if sys.version_info[:2] not in ((3, 11), (3, 13)):
        sys.exit(f"Python {platform.python_version()} has no bpy wheel: run this with Python 3.11 or 3.13.")
    stamp = VENV / "pyproject.sha256"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if not Path(python_of(VENV)).exists():
        print("Making .venv", flush=True)
        venv.create(VENV, with_pip=True)
    if not stamp.exists() or stamp.read_text() != wanted:
        print("Installing the pinned packages into .venv (a few minutes the first time)", flush=True)
        run(python_of(VENV), "-m", "pip", "install", "--quiet", "--editable", ".[develop]")
        stamp.write_text(wanted)
    run(python_of(VENV), "kernels/build.py", "--install")
    run(python_of(VENV), "-m", "third_party.mediapipe.build")
    run(python_of(VENV), "-m", "third_party.makehuman.build")
    run(python_of(VENV), "-m", "third_party.efficientnet.build")
    run(python_of(VENV), "-m", "lca_blender.backend.likeness.places")
    check_bpy(python_of(VENV))
    return python_of(VENV)


def older_environment() -> str | None:
    """A second venv that sees `.venv` but has an older bpy of its own; None where no wheel exists."""
    if sys.version_info[:2] != (3, 11):
        return None
    folder = ROOT / ".venv-bpy45"
    stamp = folder / f"bpy-{OLDER_BPY}"
    if not stamp.exists():
        print(f"Making .venv-bpy45 with bpy {OLDER_BPY}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder)
        inner = "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
        ours, base = (
            subprocess.check_output([python_of(f), *inner], text=True).strip() for f in (folder, VENV)
        )
        Path(ours, "base.pth").write_text(f"import site; site.addsitedir({base!r})\n", encoding="utf-8")
        run(
            python_of(VENV),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            ours,
            f"bpy=={OLDER_BPY}",
        )
        stamp.touch()
    check_bpy(python_of(folder))
    return python_of(folder)


def check_bpy(python: str) -> None:
    """Says which system libraries are missing when bpy cannot be imported."""
    probe = subprocess.run([python, "-c", "import bpy, os; os._exit(0)"], capture_output=True, text=True)
    if probe.returncode == 0:
        return
    find = "import importlib.util as u; print(u.find_spec('bpy').submodule_search_locations[0])"
    folder = subprocess.run([python, "-c", find], capture_output=True, text=True).stdout.strip()
    if not folder:
        sys.exit(f"bpy is not installed in .venv; delete .venv and run this again.\n{probe.stderr}")
    missing = []
    for library in Path(folder).glob("__init__*.so"):
        linked = subprocess.run(["ldd", str(library)], capture_output=True, text=True).stdout
        missing += [line.split()[0] for line in linked.splitlines() if "not found" in line]
    if not missing:
        sys.exit(f"bpy cannot be imported:\n{probe.stderr}")
    packages = sorted({SYSTEM_PACKAGES.get(name.split(".so")[0].split("-")[0], name) for name in missing})
    sys.exit(
        f"bpy misses these system libraries: {', '.join(missing)}. "
        f"On Debian or Ubuntu: apt install {' '.join(packages)}"
    )


# --- the extension -------------------------------------------------------------------------------


def wheels_wanted(target: str, torch: str) -> list[str]:
    """The runtime requirements of pyproject.toml for one platform; numpy is Blender's own."""
    lines = [line for line in project()["dependencies"] if not line.startswith("numpy")]
    if torch == "none":
        return [line for line in lines if not line.startswith("torch")]
    if torch == "cpu" and not target.startswith("macos"):  # elsewhere PyPI's torch is the CUDA build
        return [f"{line}+cpu" if line.startswith("torch==") else line for line in lines]
    return lines


def download_wheels(folder: Path, platforms: list[str], versions: list[str], torch: str) -> list[Path]:
    """Fetches the wheels for every platform and Python, and builds the kernels'."""
    for target in platforms:
        for version in versions:
            tags = [word for tag in PLATFORM_TAGS[target] for word in ("--platform", tag)]
            fetch = [python_of(VENV), "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
            fetch += ["--python-version", version, *tags, "--dest", str(folder)]
            if subprocess.run([*fetch, *wheels_wanted(target, torch)], cwd=ROOT).returncode:
                hint = CPU_TORCH_HINT if torch == "cpu" else ""
                sys.exit(f"pip found no wheels for {target} and Python {version}.{hint}")
        run(python_of(VENV), "kernels/build.py", "--platform", target, "--out", folder)
    for unwanted in folder.glob("numpy-*.whl"):
        unwanted.unlink()
    return sorted(folder.glob("*.whl"))


def stage_package(folder: Path) -> None:
    """Copies what ships: one package with `backend` and `operators` inside; the demo and what trains stay."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "demo", "training")
    shutil.copytree(ROOT / "lca_blender", folder, dirs_exist_ok=True, ignore=ignore)
    shutil.copytree(ROOT / "backend", folder / "backend", ignore=ignore)
    shutil.copytree(ROOT / "operators", folder / "operators", ignore=ignore)
    shutil.copy(ROOT / "LICENSE", folder)
    build_manual(folder / "manual")


def build_manual(folder: Path) -> None:
    """The manual as HTML that needs no server and no network."""
    settings = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = "-m", "mkdocs", "build", "--strict", "--quiet", "-f", ROOT / "docs" / "mkdocs.yml"
    run(python_of(VENV), *command, "-d", folder, env=settings)
    for unwanted in folder.rglob("*.map"):
        unwanted.unlink()


def stage_extension(folder: Path, platforms: list[str], versions: list[str], torch: str) -> None:
    """Lays the extension out as Blender installs it, with its wheels and manifest."""
    stage_package(folder)
    wheels = download_wheels(folder / "wheels", platforms, versions, torch)
    listed = "".join(f'  "./wheels/{wheel.name}",\n' for wheel in wheels)
    names = ", ".join(f'"{name}"' for name in platforms)
    manifest = (ROOT / "blender_manifest.toml").read_text(encoding="utf-8")
    insert = f"platforms = [{names}]\nwheels = [\n{listed}]\n"
    before, permissions, after = manifest.partition("[permissions]")
    (folder / "blender_manifest.toml").write_text(f"{before}{insert}\n{permissions}{after}", encoding="utf-8")


def build_extension(out: Path, platforms: list[str], versions: list[str], torch: str) -> list[Path]:
    """Builds and validates the zip with the builder that Blender ships; returns the archives."""
    python = environment()
    find = "import importlib.util as u; print(u.find_spec('bpy').submodule_search_locations[0])"
    bpy_folder = subprocess.check_output([python, "-c", find], text=True).strip()
    (builder,) = Path(bpy_folder).glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, EXTENSION_ID)
        stage_extension(source, platforms, versions, torch)
        split = ["--split-platforms"] if len(platforms) > 1 else []
        built = Path(temporary, "built")
        built.mkdir()
        run(python, builder, "build", "--source-dir", source, "--output-dir", built, *split)
        archives = []
        for archive in sorted(built.glob("*.zip")):
            run(python, builder, "validate", archive)
            name = f"{archive.stem}-blender{blenders(versions)}{archive.suffix}"
            archives.append(Path(shutil.move(archive, out / name)))
    return archives


def blenders(versions: list[str]) -> str:
    """The Blender versions that some Pythons belong to: "4.5-5.0"."""
    ends = [end for version in sorted(versions) for end in BLENDERS[version]]
    return f"{ends[0]}-{ends[-1]}"


def this_platform() -> str:
    system = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}[platform.system()]
    return f"{system}-{'arm64' if platform.machine() in ('arm64', 'aarch64') else 'x64'}"


# --- commands ------------------------------------------------------------------------------------


def demo(options: argparse.Namespace) -> None:
    command = ["-m", "lca_blender.demo", "--out", os.path.abspath(options.out)]
    if options.seed is not None:
        command += ["--seed", str(options.seed)]
    if options.photos:
        command += ["--photos", *map(os.path.abspath, options.photos)]
    run(environment(), *command)


def test(options: argparse.Namespace) -> None:
    """Lint, then the backend's tests, Blender's and the installed extension's on every bpy of this Python."""
    python = environment()
    wanted = [options.only] if options.only else ["lint", "backend", "blender", "package"]
    if "lint" in wanted:
        run(python, "-m", "ruff", "check", ".")
        run(python, "-m", "ruff", "format", "--check", ".")
    bpys = [python]
    if "blender" in wanted or "package" in wanted:
        bpys += filter(None, [older_environment()])
    suites = []  # the longest first
    if "backend" in wanted:
        suites += [(python, "tests/training", "tests/third_party"), (python, "tests/backend")]
    if "blender" in wanted:
        suites += [(bpy, "tests/blender") for bpy in bpys]
    if "package" in wanted:
        (archive,) = build_extension(ROOT / "dist", [this_platform()], [this_python()], "cpu")
        os.environ["LCA_EXTENSION"] = str(archive)
        suites += [(bpy, "tests/package") for bpy in bpys]
    run_side_by_side(suites)


def run_side_by_side(suites: list[tuple[str, ...]]) -> None:
    """Runs pytest once for each (Python, folder, ...), as many at a time as there are processors, each on
    one thread: small tensors gain little from more. Prints each output when it is whole; ends this script
    with status 1 if one failed.
    """
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}

    def one(suite: tuple[str, ...]) -> bool:
        python, *folders = suite
        name = f"{' '.join(folders)} ({Path(python).parents[1].name})"
        print(f"{name}: started", flush=True)
        start = time.monotonic()
        command = [python, "-m", "pytest", "--color=no", *folders]
        done = subprocess.run(
            command, cwd=ROOT, env=settings, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        end = "failed" if done.returncode else "passed"
        print(f"{done.stdout}{name}: {end} after {time.monotonic() - start:.0f} s", flush=True)
        return done.returncode == 0

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        if not all(list(pool.map(one, suites))):
            sys.exit(1)


def package(options: argparse.Namespace) -> None:
    for archive in build_extension(Path(options.out), options.platform, options.python, options.torch):
        print(f"{archive}  {archive.stat().st_size / 1e6:.1f} MB")


def this_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    one = commands.add_parser("demo", help="photos in, a posed and rendered avatar out")
    one.add_argument(
        "--photos", nargs="+", metavar="FILE", help="your photos of one person; without, a synthetic person's"
    )
    one.add_argument("--out", default=ROOT / "out" / "demo", metavar="DIR")
    one.add_argument("--seed", type=int, help="which synthetic person (held out: 1,000,000 and up)")
    one.set_defaults(function=demo)
    one = commands.add_parser("test", help="lint, every test, the extension build")
    one.add_argument("--only", choices=["lint", "backend", "blender", "package"])
    one.set_defaults(function=test)
    one = commands.add_parser("package", help="build the Blender extension")
    one.add_argument("--platform", nargs="+", choices=sorted(PLATFORM_TAGS), default=[this_platform()])
    one.add_argument("--python", nargs="+", choices=["3.11", "3.13"], default=[this_python()])
    one.add_argument("--torch", choices=["cpu", "cuda", "none"], default="cpu")
    one.add_argument("--out", default=ROOT / "dist", metavar="DIR")
    one.set_defaults(function=package)
    options = parser.parse_args()
    options.function(options)


if __name__ == "__main__":
    main()
