# SPDX-License-Identifier: GPL-3.0-or-later
"""From photos to an avatar file: what the operator and the command line call."""

from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from .files import require_writable
from .jobs import Cancelled

LEAST = 5000  # Gaussians, of a budget


def avatar_from_photos(
    photos: Iterable[str | Path],
    path: str | Path,
    model: str | Path = "starter",
    device: str = "cpu",
    progress: Callable[..., None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    encoder: str | Path | None = None,
    people: Mapping[str, int] | None = None,
    report_folder: str | Path | None = None,
    frames: int | None = None,
    poses: Mapping | None = None,
    refine: bool = True,
    first: Callable[[object], None] | None = None,
    budget: int | None = None,
    **kind,
):
    """Creates the avatar of the person in the photos and films and writes it to `path`; returns it as read
    back.

    `model` is a preset with bundled weights or a checkpoint, `encoder` a Sapiens checkpoint for models that
    need one; people and poses: which person to use, and poses that are given, as `read_photos` takes them;
    report_folder: where a report on every photo, with pictures, is written (`imaging.report`); frames: how
    many of the films are used at most, 16 if not given (`imaging.loading`); refine: brings the avatar closer
    to the photos by gradients, which takes longer than all else; first: called with the avatar before it is
    refined, when it is written to `path`; budget: the most Gaussians that are laid for the photos' pixels,
    beside those of the body, at least `LEAST`; as many as the photos need where None; `kind`: tokens, name
    and consent as `create_avatar` takes them.
    What the photos do not show is in the avatar's warnings. Raises UserError, or `Cancelled` when
    `cancelled()` became true; `path` is then unchanged, or holds what `first` was called with.
    """
    from .avatar import Avatar
    from .imaging.correspondence import Estimator
    from .imaging.reading import read_photos
    from .imaging.report import photo_reports, write_report
    from .model.checkpoint import load_model

    report = progress or (lambda fraction, message="": None)
    stopped = cancelled or (lambda: False)
    require_writable(path)
    report(0.0, "Loading the model")
    network = load_model(model, encoder).to(device)
    read = 0.2 if refine else 0.5
    part = _part(report, 0.05, read)
    reading = read_photos(photos, Estimator(device), people, part, stopped, frames, poses)
    if report_folder is not None:
        write_report(photo_reports(reading), list(reading.remarks), Path(report_folder))

    def written(avatar):
        if stopped():
            raise Cancelled
        avatar.save(path)
        return Avatar.load(path)

    show = None if first is None else lambda avatar: first(written(avatar))
    making = _part(report, read, 0.97)
    made = avatar_from_reading(
        reading, network, making, stopped, refine=refine, first=show, budget=budget, **kind
    )
    report(0.97, "Writing the avatar")
    return written(made.avatar)


class Made(NamedTuple):
    """avatar, and the `FittedPhoto`s that it was made of, with the fits that it ended with."""

    avatar: object
    photos: list


def avatar_from_reading(
    reading,
    network,
    progress=None,
    cancelled=None,
    tokens=None,
    anchors=None,
    refine=False,
    first=None,
    budget=None,
    **kind,
) -> Made:
    """The avatar of the person in a `Reading`: on the person's surface, in the photos' colours, the network's
    where no photo shows them. refine, first, budget: as above, but nothing is written. anchors:
    `place_anchors(network.config, tokens, attributes=False)`, to be shared by many calls; `kind`: name and
    consent.
    """
    from .imaging.views import network_views
    from .likeness.assemble import assembled, photos_in_agreement
    from .likeness.photo import FittedPhoto
    from .likeness.refine import refined
    from .likeness.worse import is_worse
    from .model.create import infer_person, place_anchors, with_thumbnail

    report = progress or (lambda fraction, message="": None)
    views = network_views(reading, network.config)
    anchors = anchors or place_anchors(network.config, tokens, attributes=False)
    network_part = 0.2 if refine else 0.6
    person = infer_person(views, network, anchors, _part(report, 0.0, network_part), cancelled, **kind)
    if cancelled is not None and cancelled():
        raise Cancelled
    pairs = zip(reading.found, reading.photos, strict=True)
    photos = [FittedPhoto.of(found.seen, found.fit, photo.name) for found, photo in pairs]
    report(network_part, "Laying the photos on the body")
    draft = assembled(photos, person, budget=budget)
    made = Made(with_thumbnail(draft.avatar), photos)
    if not refine:
        return made
    if first is not None:
        first(made.avatar)
    begin, device = 0.3, _drawing_device(network)
    if len(photos) > 1:
        begin = 0.6
        report(0.3, "Bringing the photos into agreement")
        photos, surface = photos_in_agreement(photos, person, _part(report, 0.3, begin), device)
        draft = assembled(photos, person, surface, budget)
    report(begin, "Refining the avatar")
    avatar = refined(*draft, photos, _part(report, begin, 1.0), device)
    return made if is_worse(made.avatar, avatar) else Made(with_thumbnail(avatar), photos)


def _drawing_device(network) -> str:
    """Where pictures are drawn: with the network on a CUDA device, if gsplat is installed there."""
    device = next(network.parameters()).device
    return str(device) if device.type == "cuda" and find_spec("gsplat") else "cpu"


def _part(report: Callable[..., None], start: float, end: float) -> Callable[..., None]:
    """Maps progress to the part start..end of the whole."""
    return lambda fraction, message="": report(start + (end - start) * fraction, message)
