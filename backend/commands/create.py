# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca create`: from photos, or from a film."""

from pathlib import Path

from ..errors import UserError
from . import add_network, say


def add(subparsers) -> None:
    p = subparsers.add_parser("create", help="create an avatar file from photos or a film")
    p.add_argument(
        "photos", nargs="*", type=Path, help="photos (and films) of one person, or folders of them"
    )
    p.add_argument(
        "--video",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a short film of the person, who turns round: its sharpest frames that differ most "
        "are used as photos (can be given several times, and with photos)",
    )
    p.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help="frames that are used of the films, together (default: 16, less the photos)",
    )
    p.add_argument("--out", type=Path, required=True)
    add_network(p)
    p.add_argument("--draft", action="store_true", help="do not refine the avatar: sooner there, less sharp")
    p.add_argument(
        "--budget",
        type=int,
        metavar="N",
        help="the most Gaussians that are laid for the photos' pixels, beside those of the body "
        "(default: what the photos need, some 80,000 to 110,000)",
    )
    p.add_argument("--device", default="cpu", help="torch device of the network (default: cpu)")
    p.add_argument("--tokens", type=int)
    p.add_argument("--name", default="Avatar")
    p.add_argument("--consent", default="", help="a note on the photographed person's consent")
    p.add_argument("--report", type=Path, metavar="DIR", help="write a report on every photo, with pictures")
    p.add_argument(
        "--person",
        action="append",
        default=[],
        metavar="[FILE=]N",
        help="the person to use in photos and films of several people, counted from the left from 1; in all "
        "or in one of them (can be given several times)",
    )
    p.set_defaults(run=run)


def run(args) -> None:
    from ..from_photos import LEAST, avatar_from_photos
    from ..imaging.accepted import KEEP, files_of
    from ..imaging.movies import require_movie

    photos = files_of([*args.photos, *args.video])
    if not photos:
        raise UserError("No photo and no film was given.", "Name photos, or a film with --video.")
    if args.frames is not None and not 1 <= args.frames <= KEEP:
        raise UserError(f"--frames {args.frames} is not valid.", f"Give 1 to {KEEP}.")
    if args.budget is not None and args.budget < LEAST:
        raise UserError(f"--budget {args.budget} is not valid.", f"Give {LEAST:,} or more.")
    for film in files_of(args.video):
        require_movie(film)

    def progress(fraction: float, message: str = "") -> None:
        if message:
            say(f"{100 * fraction:3.0f} %  {message}")

    avatar = avatar_from_photos(
        photos, args.out, args.model, device=args.device, progress=progress, encoder=args.encoder,
        tokens=args.tokens, name=args.name, consent=args.consent, people=_people(args.person),
        report_folder=args.report, frames=args.frames, refine=not args.draft, budget=args.budget,
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
                f"--person {text!r} is not valid.", "Give N or FILE=N, N counted from the left from 1."
            )
        chosen[Path(name).name if name else ""] = int(number)
    return chosen
