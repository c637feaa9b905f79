# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca create`."""

from pathlib import Path

from . import add_network, say


def add(subparsers) -> None:
    p = subparsers.add_parser("create", help="photos to an avatar file")
    p.add_argument("photos", nargs="+", type=Path)
    p.add_argument("--out", type=Path, required=True)
    add_network(p)
    p.add_argument("--device", default="cpu", help="torch device of the network (default: cpu)")
    p.add_argument("--tokens", type=int)
    p.add_argument("--name", default="Avatar")
    p.add_argument("--consent", default="", help="a note on the photographed person's consent")
    p.set_defaults(run=run)


def run(args) -> None:
    from ..from_photos import avatar_from_photos

    def progress(fraction: float, message: str = "") -> None:
        say(f"{100 * fraction:3.0f} %  {message}")

    avatar = avatar_from_photos(
        args.photos, args.out, args.model, device=args.device, progress=progress, encoder=args.encoder,
        tokens=args.tokens, name=args.name, consent=args.consent,
    )  # fmt: skip
    for warning in avatar.header["warnings"]:
        say(warning)
    print(f"{args.out}: {len(avatar)} Gaussians")
