# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos -> avatar file, the whole way: what the operator and the command line call."""

from collections.abc import Callable, Iterable
from pathlib import Path

from .files import require_writable
from .jobs import Cancelled


def avatar_from_photos(
    photos: Iterable[str | Path],
    path: str | Path,
    model: str | Path = "starter",
    estimator: str | Path | None = None,
    device: str = "cpu",
    progress: Callable[..., None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    encoder: str | Path | None = None,
    **kind,
):
    """Makes the person of the photos and writes the avatar to `path`; returns the `Avatar` as read back.

    `model` is a preset with bundled weights or a checkpoint, `encoder` a Sapiens checkpoint for models that
    need one, `estimator` a correspondence network's file (the bundled one when None); `kind`: tokens, name
    and consent as `create_avatar` takes them. What the photos did not show is in the avatar's warnings.
    Raises UserError, or `Cancelled` when `cancelled()` became true; `path` then is as it was.
    """
    from .avatar import Avatar
    from .imaging.correspondence import load_estimator
    from .imaging.estimator_file import BUNDLED
    from .imaging.views import prepare_views
    from .model.checkpoint import load_model
    from .model.create import create_avatar

    report = progress or (lambda fraction, message="": None)
    stopped = cancelled or (lambda: False)
    require_writable(path)
    report(0.0, "Loading the model")
    network = load_model(model, encoder).to(device)
    eyes = load_estimator(Path(estimator) if estimator else BUNDLED)
    views = prepare_views(photos, eyes, network.config, _part(report, 0.05, 0.55), stopped)
    avatar = create_avatar(views, network, progress=_part(report, 0.55, 0.97), cancelled=stopped, **kind)
    if stopped():
        raise Cancelled
    report(0.97, "Writing the avatar")
    avatar.save(path)
    return Avatar.load(path)


def _part(report: Callable[..., None], start: float, end: float) -> Callable[..., None]:
    """The same progress, mapped to a part of the whole."""
    return lambda fraction, message="": report(start + (end - start) * fraction, message)
