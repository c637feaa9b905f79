# SPDX-License-Identifier: GPL-3.0-or-later
"""A small training run as a process of its own: training_process.py DATA OUT."""

import itertools
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from lca_blender.backend.model.lca import LCA
from lca_blender.backend.training.network.config import training_config
from lca_blender.backend.training.network.train import train
from model_fixtures import SMALL

if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    config = training_config(data / "config.json", "pretrain")
    config = replace(config, sharded="LCA_TEST_SHARDED" in os.environ)
    stop, asked = int(os.environ.get("LCA_TEST_STOP", 1000)), itertools.count()

    def cancelled() -> bool:
        time.sleep(0.5 * ("LCA_TEST_SLOW" in os.environ))
        return next(asked) >= stop

    network = LCA(SMALL.with_(expression_codes="LCA_TEST_CODES" in os.environ))
    train([data], out, config, network, cancelled=cancelled)
