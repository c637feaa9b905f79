# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the networks that find people out of PyPI's `mediapipe` wheel and converts them for torch.

    python -m third_party.mediapipe.build     writes backend/imaging/landmarks/data, unless it is there

The wheel is downloaded as a file and never installed or imported. Its networks are Apache-2.0, by The
MediaPipe Authors; the licence and a notice are written beside the converted files."""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from ..wheel import Wheel, digest, download
from .convert import convert

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "backend" / "imaging" / "landmarks" / "data"
WHEEL = Wheel(  # the same networks are in every platform's
    "mediapipe",
    "0.10.21",
    "cp311-cp311-manylinux_2_28_x86_64",
    "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
)
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
    stamp, sources = TARGET / "sources.sha256", digest(HERE, WHEEL)
    if stamp.exists() and stamp.read_text() == sources:
        return
    print("Converting the networks that find people in photos", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(WHEEL, Path(folder))
        shutil.rmtree(TARGET, ignore_errors=True)
        TARGET.mkdir(parents=True)
        with zipfile.ZipFile(wheel) as archive:
            extract(archive, Path(folder))
    stamp.write_text(sources)


def extract(archive: zipfile.ZipFile, folder: Path) -> None:
    """Converts every network into `TARGET` and keeps the licence with them."""
    for network in NETWORKS:
        name = Path(network).name
        source = folder / f"{name}.tflite"
        source.write_bytes(archive.read(f"mediapipe/modules/{network}.tflite"))
        partial = TARGET / f"{name}.part"
        convert(source, partial)
        os.replace(partial, TARGET / f"{name}.safetensors")
    (TARGET / "LICENSE").write_bytes(archive.read(f"{WHEEL.package}-{WHEEL.version}.dist-info/LICENSE"))
    (TARGET / "NOTICE").write_text(NOTICE.format(version=WHEEL.version), encoding="utf-8")


if __name__ == "__main__":
    main()
