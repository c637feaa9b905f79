# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimator's looking round, exactly: on pictures whose colours say where their pixels lie."""

import numpy as np
import pytest
import torch
from lca_blender.backend.body.template import load_template
from lca_blender.backend.imaging.correspondence import Estimator, NoPersonError
from lca_blender.backend.imaging.network import CorrespondenceNetwork, NetworkConfig, mean_of_mirrored
from lca_blender.backend.imaging.sides import forwardness
from scipy import ndimage
from torch import nn
from torch.nn import functional


class ColourReader(nn.Module):
    """Reads blue as "person", red as x (-1..1 m), green as z (0..2 m): the right answer for `painted`."""

    config = NetworkConfig()

    def forward(self, pictures):
        small = functional.avg_pool2d(pictures, 2)
        red, green, blue = small[:, 0], small[:, 1], small[:, 2]
        x, y, z = (red * 2 - 1)[:, None], torch.zeros_like(red)[:, None], (green * 2)[:, None]
        return {
            "matte": (blue - 0.75)[:, None] * 60,
            "points": torch.cat([x, y, z], 1),
            "log_error": torch.full_like(x, -4),
            "left": x * 100,
            "front": torch.ones_like(x),
            "across": x.abs(),
            "depth": torch.cat([y, y], 1),
            "height": z,
        }


def reader(**options):
    """Colours do not know that they were mirrored."""
    return Estimator(ColourReader(), mirrored=False, **options)


def estimate(rgb, alpha=None, **options):
    """As the network says: a board is no body."""
    estimator = reader(**options)
    return estimator.explain([estimator.see(rgb, alpha)], fitted=False)[0]


def painted(height, width, left, top, tall, from_z=0.0):
    """A board `tall` pixels high, 0.6 m wide, from `from_z` to 1.7 m, cut by the picture's border."""
    scale = tall / (1.7 - from_z)  # pixels a metre
    y, x = np.mgrid[:height, :width] + 0.5
    px, pz = (x - left) / scale - 0.3, 1.7 - (y - top) / scale
    inside = (np.abs(px) < 0.3) & (pz > from_z) & (pz < 1.7)
    rgb = np.zeros((height, width, 3), np.float32)
    rgb[...] = (0.5, 0.5, 0.1)
    rgb[inside] = np.stack([(px + 1) / 2, pz / 2, np.ones_like(px)], axis=-1)[inside]
    points = np.stack([px, np.zeros_like(px), pz], axis=-1)
    return rgb, inside, points


CASES = {
    "fills the picture": (640, 480, 130, 40, 560, 0.0),
    "small in a large picture": (1200, 1600, 1100, 700, 180, 0.0),
    "in a panorama": (300, 2000, 1500, 60, 200, 0.0),
    "in a tall strip": (1600, 260, 60, 900, 220, 0.0),
    "cut below": (500, 500, 120, 60, 1000, 0.0),
    "a small file": (96, 72, 24, 10, 70, 0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_points_and_matte_come_back_in_place(case):
    rgb, inside, points = painted(*CASES[case])
    found = estimate(rgb)
    seen = found.matte > 0.5
    assert (seen & inside).sum() / (seen | inside).sum() > 0.95
    step = 1.7 / CASES[case][4]  # metres a pixel
    # The reader mixes colours over a few pixels of its input: away from the border its answer is exact.
    margin = 2 + found.box.height // 24
    solid = ndimage.binary_erosion(inside, iterations=margin)
    difference = (found.points - points)[solid]
    assert np.abs(difference).max() < 0.006 + 1.1 * step
    assert np.abs(difference.mean(axis=0)).max() < 0.002 + 0.3 * step
    assert (found.confidence[~seen] < 0.5).all()
    assert found.confidence[solid].mean() > 0.8
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    assert abs(found.box.top - rows[0]) <= 3
    assert abs(found.box.left - columns[0]) <= 3
    assert abs(found.box.right - columns[-1] - 1) <= 3
    assert not found.others


def test_the_head_is_looked_at_again():
    rgb, inside, points = painted(*CASES["fills the picture"])
    found = estimate(rgb, head_height=1.5)
    head = inside & (points[..., 2] > 1.5)
    rows, columns = np.flatnonzero(head.any(1)), np.flatnonzero(head.any(0))
    assert found.head.top <= rows[0]
    assert found.head.bottom >= rows[-1]
    assert found.head.left <= columns[0]
    assert found.head.right >= columns[-1]
    assert found.head.height < 0.8 * found.box.height


def test_no_person_and_two_persons():
    with pytest.raises(NoPersonError, match=r"wall\.png shows no person"):
        reader().estimate(np.full((300, 200, 3), 0.4, np.float32), name="wall.png")
    first, inside, _ = painted(600, 800, 100, 50, 500)
    second, other, _ = painted(600, 800, 500, 100, 450)
    both = np.where(other[..., None], second, first)
    found = estimate(both)
    assert found.others
    assert found.matte[inside].mean() > 0.95
    assert found.matte[other].mean() < 0.05


@pytest.mark.parametrize("gap", [6, 12, 30])
def test_a_neighbour_close_by_stays_out(gap):
    first, inside, _ = painted(600, 800, 250, 50, 500)
    edge = np.flatnonzero(inside.any(0))[-1]
    second, other, _ = painted(600, 800, edge + gap, 100, 450)
    both = np.where(other[..., None], second, first)
    head = reader().see(both).head
    columns = head.box.left + (np.flatnonzero((head.probability > 0.5).any(0)) + 0.5) * head.step[0]
    assert head.box.right > edge + gap
    assert columns.max() < edge + gap
    found = estimate(both)
    assert found.others
    assert found.matte[inside].mean() > 0.95
    assert found.matte[other].mean() < 0.05
    assert found.box.right <= edge + gap


def test_a_bar_does_not_make_two_of_one():
    rgb, inside, _ = painted(600, 450, 225, 50, 500)
    rgb[290:296] = (0.5, 0.5, 0.1)
    inside[290:296] = False
    found = estimate(rgb)
    assert not found.others
    assert found.matte[inside].mean() > 0.95


def test_a_file_with_its_own_matte_is_believed():
    rgb, inside, _ = painted(*CASES["fills the picture"])
    alpha = inside.astype(np.float32)
    alpha[:300] = 0
    found = estimate(rgb, alpha)
    assert found.matte[:295].max() == 0
    assert found.matte[320:][inside[320:]].mean() > 0.95


def test_a_mirrored_picture_mirrors_the_answer():
    torch.manual_seed(0)
    config = NetworkConfig(token_layers=1)
    network = CorrespondenceNetwork(config).eval()
    pictures = torch.rand(2, 3, 64, 48)
    with torch.no_grad():
        said, mirrored = network(pictures), network(pictures.flip(-1))
    one, other = mean_of_mirrored(said, mirrored), mean_of_mirrored(mirrored, said)
    assert torch.allclose(one["matte"], other["matte"].flip(-1), atol=1e-6)
    sign = torch.tensor([-1.0, 1, 1]).view(1, 3, 1, 1)
    clear = one["left"].abs() > 1e-5
    apart = (one["points"] - other["points"].flip(-1) * sign).abs() * clear
    assert apart.max() < 1e-5


def test_front_and_back():
    template = load_template()
    outer = (template.part == 0) & (np.abs(template.normals[:, 1]) > 0.5)
    forward = forwardness(torch.from_numpy(np.array(template.vertices[outer])))
    assert ((forward > 0).numpy() == (template.normals[outer, 1] < 0)).mean() > 0.95
