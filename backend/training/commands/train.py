# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca train prepare`, then `lca train pretrain` and `lca train posttrain`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...commands import add_encoder, say

CHANGES = ("minutes", "steps", "lr", "seed", "save_seconds")


def add(subparsers) -> None:
    """The three stages and their options."""
    top = subparsers.add_parser("train", help="train a network on synthetic people")
    stages = top.add_subparsers(required=True, metavar="stage")

    p = stages.add_parser("prepare", help="prepare rendered people; resumable")
    p.add_argument("--data", type=Path, nargs="+", required=True, help="folders made by `lca demo-data`")
    p.add_argument("--config", default="starter", help="a preset's name or a JSON file")
    p.add_argument(
        "--estimates", action="store_true", help="also store the photo estimator's correspondences"
    )
    p.add_argument("--share", default="0/1", help="I/N: this process does part I of N")
    p.set_defaults(run=prepare)

    for stage, words in (("pretrain", "from a random start"), ("posttrain", "from a checkpoint")):
        p = stages.add_parser(stage, help=words)
        p.add_argument("--data", type=Path, nargs="+", required=True, help="folders of prepared people")
        p.add_argument(
            "--out", type=Path, required=True, help="folder of the run; an existing run is continued"
        )
        p.add_argument("--config", default="starter", help="a preset's name or a JSON file")
        p.add_argument("--from", dest="weights", help="the network to start from: a file or a preset's name")
        add_encoder(p)
        p.add_argument(
            "--features", type=Path, help="keep that encoder's features of undisturbed photos here"
        )
        p.add_argument("--minutes", type=float, help="length of the whole run, without pauses")
        p.add_argument("--steps", type=int, help="end after this many steps instead")
        p.add_argument("--lr", type=float)
        p.add_argument("--seed", type=int)
        p.add_argument("--batch", type=int, help="people per step")
        p.add_argument("--save-seconds", type=float)
        p.add_argument("--fp32", action="store_true", help="no bfloat16")
        p.set_defaults(run=train, stage=stage)


def prepare(args) -> None:
    from ...errors import UserError
    from ...model.config import preset
    from ..dataset.face_frames import write_face_frames
    from ..dataset.prepare import prepare as run
    from ..dataset.surfaces import write_surfaces
    from ..network.config import training_config

    number, _, of = args.share.partition("/")
    if not (number.isdigit() and of.isdigit() and int(number) < int(of)):
        raise UserError("--share must be I/N with 0 <= I < N.", "For two processes give 0/2 and 1/2.")
    share = (int(number), int(of))
    config = preset(training_config(args.config, "pretrain").model)
    report = lambda fraction, text: say(f"{100 * fraction:3.0f} %  {text}")  # noqa: E731
    for folder in args.data:
        run(folder, config, report, share)
        write_surfaces(folder, config, report, share)
        if config.expression_codes:
            write_face_frames(folder, config, report, share)
    if args.estimates:
        from ...imaging.correspondence import Estimator
        from ..dataset.estimates import estimate

        estimator = Estimator()
        for folder in args.data:
            estimate(folder, config, estimator, report, share)


def train(args) -> None:
    from ..network.config import training_config
    from ..network.train import train as run

    config = training_config(args.config, args.stage)
    config = replace(config, **{k: v for k in CHANGES if (v := getattr(args, k)) is not None})
    if args.fp32:
        config = replace(config, bf16=False)
    if args.batch is not None:
        config = replace(config, recipe=replace(config.recipe, people=args.batch))
    run(args.data, args.out, config, _start(args, config), say)
    say(f"The model is in {args.out / 'model.safetensors'}.")


def _start(args, config):
    """The network to start from, or None for a random start of one without a Sapiens encoder."""
    import torch

    from ...errors import UserError
    from ...model.checkpoint import load_encoder, load_model
    from ...model.config import preset
    from ...model.lca import LCA
    from ..network.state import state_path

    if args.weights:
        network = load_model(args.weights, args.encoder, args.features)
        if network.config.name != config.model:
            raise UserError(
                f"{args.weights} holds a network of the kind {network.config.name}, and the configuration is"
                f" for {config.model}.",
                "Give the one that belongs to the other.",
            )
        return network
    if config.stage == "posttrain" and not state_path(args.out).is_file():
        raise UserError("Post-training starts from a trained network.", "Give one with --from.")
    if preset(config.model).encoder == "starter":
        return None
    torch.manual_seed(config.seed)
    model = LCA(preset(config.model))
    load_encoder(model, args.encoder, args.features)
    return model
