# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca create`."""

from pathlib import Path

from ..errors import UserError
from . import add_network, say


def add(subparsers) -> None:
    p = subparsers.add_parser("create", help="create an avatar file from photos")
    p.add_argument("photos", nargs="+", type=Path)
    p.add_argument("--out", type=Path, required=True)
    add_network(p)
    p.add_argument("--device", default="cpu", help="torch device of the network (default: cpu)")
    p.add_argument("--tokens", type=int)
    p.add_argument("--name", default="Avatar")
    p.add_argument("--consent", default="", help="a note on the photographed person's consent")
    p.add_argument("--report", type=Path, metavar="DIR", help="write a report on every photo, with pictures")
    p.add_argument(
        "--person",
        action="append",
        default=[],
        metavar="[PHOTO=]N",
        help="the person to use in photos of several "
        "people, counted from the left from 1; in all photos or in one (can be given several times)",
    )
    p.set_defaults(run=run)


def run(args) -> None:
    from ..from_photos import avatar_from_photos

    def progress(fraction: float, message: str = "") -> None:
        say(f"{100 * fraction:3.0f} %  {message}")

    avatar = avatar_from_photos(
        args.photos, args.out, args.model, device=args.device, progress=progress, encoder=args.encoder,
        tokens=args.tokens, name=args.name, consent=args.consent, people=_people(args.person),
        report_folder=args.report,
    )  # fmt: skip
    for warning in avatar.header["warnings"]:
        say(warning)
    print(f"{args.out}: {len(avatar)} Gaussians")


def _people(given: list[str]) -> dict[str, int]:
    """ "2" -> {"": 2}; "group.jpg=3" -> {"group.jpg": 3}. `UserError` for anything else."""
    chosen = {}
    for text in given:
        name, _, number = text.rpartition("=")
        if not (number.isascii() and number.isdecimal() and int(number) > 0):
            raise UserError(
                f"--person {text!r} is not valid.", "Give N or PHOTO=N, N counted from the left from 1."
            )
        chosen[Path(name).name if name else ""] = int(number)
    return chosen
