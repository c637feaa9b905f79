# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of a picture beside another one, float32 [H,W,3] in 0..1 over the same grey."""

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch.nn.functional import interpolate

from ...imaging.crops import Box
from ...likeness.photo import FittedPhoto
from ..network.efficientnet import perceptual_distance
from .identity import crop_of_head

LONGEST = 512  # pixels at which pictures are compared by features: larger ones are made smaller


def psnr(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    """Decibels on the pixels of a mask [H,W]; NaN where it is empty."""
    return float(-10 * np.log10(max(np.square(image - target)[mask].mean(), 1e-10))) if mask.any() else np.nan


def sharpness(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    """Gradient energy of the image over the target's, on the pixels of a mask [H,W]."""
    energy = [sum(np.square(g)[mask].sum() for g in np.gradient(a.mean(-1))) for a in (image, target)]
    return float(energy[0] / max(energy[1], 1e-9))


def similarity(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[H,W,3]: Wang's SSIM (2004; Gaussian window of 1.5 pixels) about every pixel."""
    return structural_similarity(
        image, target, channel_axis=-1, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )[1]  # fmt: skip


def person_measures(image: np.ndarray, target: np.ndarray, photo: FittedPhoto) -> dict[str, float]:
    """psnr_body and sharpness_body on the pixels of the photo's matte; psnr_face and sharpness_face on those
    about the face, where the photo shows one.
    """
    person = photo.seen.matte > 0.5
    regions = {"body": person}
    if photo.seen.face is not None:
        regions["face"] = person & crop_of_head(photo.seen.face, person.shape)
    measured = {"psnr": psnr, "sharpness": sharpness}
    return {
        f"{name}_{region}": measure(image, target, mask)
        for region, mask in regions.items()
        for name, measure in measured.items()
    }


def box_measures(image: np.ndarray, target: np.ndarray, person: np.ndarray) -> dict[str, float]:
    """psnr, ssim and perceptual over the bounding box of a mask [H,W], the grey about the person included."""
    box = Box.of_mask(person)
    part = slice(box.top, box.bottom), slice(box.left, box.right)
    image, target = image[part], target[part]
    return {
        "psnr": psnr(image, target, np.ones(image.shape[:2], bool)),
        "ssim": float(similarity(image, target).mean()),
        "perceptual": features_apart(image, target),
    }


@torch.no_grad()
def features_apart(image: np.ndarray, target: np.ndarray) -> float:
    """`perceptual_distance`, of pictures made smaller where their longer side has over 512 pixels."""
    pair = torch.from_numpy(np.stack([image, target]).astype(np.float32)).movedim(-1, 1)
    scale = LONGEST / max(image.shape[:2])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in image.shape[:2]]
        pair = interpolate(pair, size, mode="bilinear", antialias=True)
    a, b = pair.movedim(1, -1).split(1)
    return float(perceptual_distance(a, b))


def mean_of(rows: list[dict], key: str) -> float | None:
    """The mean over the rows that have a finite value, of three digits; None where none has."""
    values = [row[key] for row in rows if key in row and np.isfinite(row[key])]
    return round(float(np.mean(values)), 3) if values else None
