# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic people as tar shards with ground truth, in the layout of `docs/data_format.md`.

One sample a person, keys as WebDataset reads them; `<sample>` is the seed, `<view>` counts from 000:
    <sample>.<view>.png | .jpg   the frame, sRGB: PNG from the studio, JPEG from the wild
    <sample>.<view>.mask.png     the person's matte, 8 bits; what something hides is 0
    <sample>.<view>.covered.png  where there are such: 255 where something stands before the person
    <sample>.<view>.map.npz      `points` [H, W, 3] float16 metres: the template's point of a pixel, or 0
    <sample>.<view>.<pass>.png   on request, see `PASSES`
    <sample>.json                cameras, template fits, expression, gaze, the person and the light
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from ...body.arkit import ARKIT_NAMES
from ...body.template import load_template
from ...errors import UserError
from ...files import replacing
from .dataset import regime_of
from .photograph import photograph, studio_backdrop
from .regimes import shots
from .render import View, render_posed
from .shard_files import make_files

VERSION = 1
SHARD = 16
PASSES = {
    "normal": "unit normal in the world, creases included, 8 bits: 0.5 + 0.5 n",
    "albedo": "sRGB without light",
    "specular": "highlights and reflections alone, encoded as the frame is",
    "shadow": "share of the key light that arrives",
    "occlusion": "share of the environment that arrives",
    "depth": "millimetres along the view axis, 16 bits, 0 nothing",
}


def _encoded(pixels: np.ndarray, kind: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def _pass(view: View, name: str) -> bytes:
    values = getattr(view, name)
    if name == "normal":
        seen = view.rgba[..., 3:] > 0
        values = np.where(seen, np.rint((values.astype(np.float32) * 0.5 + 0.5) * 255), 0).astype(np.uint8)
    elif name == "depth":
        values = np.clip(np.rint(values * 1000), 0, 65535).astype(np.uint16)
    return _encoded(np.ascontiguousarray(values), "PNG", compress_level=4)


def _points(template_map: np.ndarray, hidden: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, points=np.where(hidden[..., None], 0, template_map).astype(np.float16))
    return file.getvalue()


def make_sample(
    seed: int, regime: str, height: int, width: int, body_views: int, face_views: int, passes=(), clean=()
) -> dict[str, bytes]:
    """All files of one person, name -> bytes; the same arguments give the same bytes.

    regime "studio", "wild", "mixed", or "both": in turns by the seed. passes: names out of `PASSES`.
    clean: numbers of views that are PNG without blur, noise, compression and things before the person.
    """
    from .person import sample_person

    regime = regime_of(seed, regime)
    person = sample_person(seed)
    rng = np.random.default_rng([seed, 1])
    backdrop = studio_backdrop(np.random.default_rng([seed, 2]))
    name, files, views = f"{seed:08d}", {}, []
    for number, shot in enumerate(shots(person, rng, regime, height, width, body_views, face_views)):
        view = render_posed(person, shot.posed, shot.camera, shot.light, extras=bool(passes))
        picture = photograph(rng, view.rgba, regime, seed, backdrop, number not in clean)
        key = f"{name}.{number:03d}"
        if regime == "wild" and number not in clean:
            files[f"{key}.jpg"] = _encoded(picture.rgb, "JPEG", quality=92)
        else:
            files[f"{key}.png"] = _encoded(picture.rgb, "PNG", compress_level=4)
        visible = np.where(picture.covered, 0, picture.matte).astype(np.uint8)
        files[f"{key}.mask.png"] = _encoded(visible, "PNG", compress_level=4)
        if picture.covered.any():
            files[f"{key}.covered.png"] = _encoded(picture.covered.astype(np.uint8) * 255, "PNG")
        files[f"{key}.map.npz"] = _points(view.template_map, picture.covered)
        for each in passes:
            files[f"{key}.{each}.png"] = _pass(view, each)
        views.append(_view_facts(f"{number:03d}", shot))
    files[f"{name}.json"] = json.dumps(
        _facts(person, seed, regime, height, width, shot.light, views)
    ).encode()
    return files


def _numbers(values, digits: int = 6):
    return np.round(np.asarray(values, np.float64), digits).tolist()


def _view_facts(name: str, shot) -> dict:
    return {
        "view": name,
        "is_face": bool(shot.is_face),
        "instant": int(shot.instant),
        "viewmat": _numbers(shot.camera.viewmat),
        "K": _numbers(shot.camera.K, 4),
        "transforms": _numbers(shot.posed.transforms[:, :3]),
        "expression": _numbers(shot.expression),
        "gaze": _numbers(shot.gaze),
    }


def _facts(person, seed, regime, height, width, light, views) -> dict:
    template = load_template()
    return {
        "version": VERSION,
        "seed": seed,
        "regime": regime,
        "domain": "synthetic",
        "height": height,
        "width": width,
        "joint_names": list(template.joint_names),
        "joint_heads": _numbers(person.joint_heads),
        "shape_names": list(template.shape_names),
        "shape": _numbers(person.betas),
        "expression_names": list(ARKIT_NAMES),
        "person": {k: list(v) if isinstance(v, tuple) else v for k, v in person.description.items()},
        "light": {
            "sh": _numbers(light.sh),
            "key_direction": _numbers(light.key_direction),
            "key": _numbers(light.key),
            "wrap": float(light.wrap),
            "shadow": float(light.shadow),
            "exposure": float(light.exposure),
        },
        "views": views,
    }


def _write_tar(job: tuple[str, list[int], dict]) -> tuple[str, int]:
    path, seeds, options = job
    with replacing(path) as partial, tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
        for seed in seeds:
            for name, data in make_sample(seed, **options).items():
                member = tarfile.TarInfo(name)  # no times, no owners: equal bytes on every run
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path, len(seeds)


def write_synth(
    out, people: int, seed: int = 0, regime: str = "both", views: int = 10, size: int = 256, workers: int = 1,
    passes=(), progress=print, shard: int = SHARD, clean=(),
) -> int:  # fmt: skip
    """Writes `people` samples of seeds from `seed` on into tar shards in the folder `out`; returns how many
    were made. Shards that are there already stay as they are.

    views: of each person, two fifths of them of the head; size: height of a picture in pixels, 3 : 4.
    clean: see `make_sample`.
    Errors: UserError for a pass or a number that makes no sense, before anything is written.
    """
    unknown = [name for name in passes if name not in PASSES]
    if unknown:
        raise UserError(f"There is no pass {unknown[0]!r}.", f"Please choose among {', '.join(PASSES)}.")
    if people < 1 or views < 1 or size < 16 or seed < 0:
        raise UserError("There must be at least one person, one view and 16 pixels, and no seed below 0.")
    face_views = views * 2 // 5
    options = {
        "regime": regime, "height": size, "width": round(size * 0.75), "body_views": views - face_views,
        "face_views": face_views, "passes": tuple(passes), "clean": tuple(clean),
    }  # fmt: skip
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    seeds = list(range(seed, seed + people))
    groups = [seeds[i : i + shard] for i in range(0, people, shard)]
    jobs = [(str(out / f"people-{group[0]:08d}-{len(group):03d}.tar"), group, options) for group in groups]
    return make_files(jobs, _write_tar, workers, progress)
