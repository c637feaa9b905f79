# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca create`."""

from pathlib import Path

from . import say


def add(subparsers) -> None:
    p = subparsers.add_parser("create", help="photos to an avatar file")
    p.add_argument("photos", nargs="+", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--model", default="starter")
    p.add_argument("--encoder-weights", type=Path, help="a Sapiens checkpoint, for models that need one")
    p.add_argument("--tokens", type=int)
    p.add_argument("--name", default="Avatar")
    p.add_argument("--consent", default="", help="a note on the photographed person's consent")
    p.set_defaults(run=run)


def run(args) -> None:
    from ..imaging.correspondence import load_estimator
    from ..imaging.views import prepare_views
    from ..model.checkpoint import load_model
    from ..model.create import create_avatar

    def progress(fraction: float, message: str = "") -> None:
        say(f"{100 * fraction:3.0f} %  {message}")

    model = load_model(args.model, args.encoder_weights)
    views = prepare_views(args.photos, load_estimator(), model.config, progress)
    avatar = create_avatar(views, model, args.tokens, progress, name=args.name, consent=args.consent)
    avatar.save(args.out)
    for warning in views.warnings:
        say(warning)
    print(f"{args.out}: {len(avatar)} Gaussians")
