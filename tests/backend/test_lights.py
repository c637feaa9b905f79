# SPDX-License-Identifier: GPL-3.0-or-later
"""Lights and environment maps: numbers that physics gives, and files from strangers."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.lighting.environment import Environment, cleaned, split, uniform_directions
from lca_blender.backend.lighting.environment_file import EnvironmentFileError, load_environment
from lca_blender.backend.lighting.harmonics import basis, irradiance
from lca_blender.backend.lighting.lights import Area, Lights, Point, Spot, Sun, incoming, lamp_samples
from lca_blender.backend.lighting.materials import CLASSES, CLOTH, EYE, reflected_share
from lca_blender.backend.lighting.reference import reference_colors
from PIL import Image

WHITE = (1.0, 1.0, 1.0)
UP = (0.0, 0.0, 1.0)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def received(lamp, points, normals, samples=1):
    """Irradiance of surfaces."""
    total = 0
    for at in lamp_samples(lamp, samples):
        towards, power = incoming(lamp, at, points, 1 / samples)
        total = total + math.pi * power * np.maximum((normals * towards).sum(1), 0)
    return total


def test_a_sun_of_one_watt_gives_one_watt_per_square_metre_times_the_cosine():
    normals = unit(np.array([[0.0, 0, 1], [1, 0, 1], [1, 0, 0], [0, 0, -1]]))
    assert received(Sun(WHITE, UP), np.zeros((4, 3)), normals) == pytest.approx([1, math.sqrt(0.5), 0, 0])


def test_a_point_lamps_power_goes_through_every_sphere_around_it():
    directions = uniform_directions(500)
    for radius in (0.5, 3.0):
        flux = received(Point(WHITE, (1, 2, 3)), (1, 2, 3) + radius * directions, -directions)
        assert flux.mean() * 4 * math.pi * radius**2 == pytest.approx(1 / math.pi * math.pi)


def test_a_spot_is_a_point_lamp_within_its_cone():
    lamp = Spot(WHITE, (0, 0, 0), (0, 0, -1), math.radians(60), 0.5)
    angles = np.radians([0, 10, 29.9, 30.1, 90])
    points = 2 * np.stack([np.sin(angles), 0 * angles, -np.cos(angles)], 1)
    found = received(lamp, points, -points / 2) / received(Point(WHITE, (0, 0, 0)), points, -points / 2)
    assert found[:2] == pytest.approx(1)
    assert 0 < found[2] < 0.001
    assert not found[3:].any()


@pytest.mark.parametrize("ellipse", [False, True])
def test_an_area_lamps_power_goes_into_the_half_space_before_it(ellipse):
    lamp = Area(WHITE, (0, 0, 0), (0, 0, 1), ((0.4, 0, 0), (0, 0.2, 0)), ellipse)
    around = uniform_directions(4000)
    flux = received(lamp, 5 * around, -around, 64)
    assert flux.mean() * 4 * math.pi * 25 == pytest.approx(1, rel=0.01)
    assert not flux[around[:, 2] < -0.1].any()


def test_less_spread_keeps_an_area_lamps_power_and_narrows_it():
    wide, narrow = (
        Area(WHITE, (0, 0, 0), (0, 0, 1), ((0.01, 0, 0), (0, 0.01, 0)), spread=angle)
        for angle in (math.pi, math.radians(60))
    )
    around = uniform_directions(20000)
    assert received(narrow, around, -around).mean() * 4 * math.pi == pytest.approx(1, rel=0.02)
    assert not received(narrow, around, -around)[around[:, 2] < math.cos(math.radians(31))].any()
    ahead = np.array([[0, 0, 1.0]])
    assert received(narrow, ahead, -ahead) > 3 * received(wide, ahead, -ahead)


@pytest.mark.parametrize(
    "lamp",
    [
        Point(WHITE, (0, 0, 1), 0.2),
        Spot(WHITE, (0, 0, 1), (0, 0, -1), 1.0, 0.0, 0.2),
        Area(WHITE, (0, 0, 1), (0, 0, -1), ((0.4, 0, 0), (0, 0.4, 0))),
        Area(WHITE, (0, 0, 1), (0, 0, -1), ((0.4, 0, 0), (0, 0.4, 0)), True),
    ],
)
def test_samples_of_a_lamp_lie_on_it(lamp):
    points = lamp_samples(lamp, 200)
    assert points[:, 2] == pytest.approx(1)
    assert np.abs(points[:, :2]).max() == pytest.approx(0.2, abs=0.02)
    assert np.abs(points.mean(0) - (0, 0, 1)).max() < 0.01
    assert lamp_samples(lamp, 1)[0] == pytest.approx((0, 0, 1))


def test_a_lamp_inside_a_surface_or_of_no_size_gives_a_finite_light():
    zero = Area(WHITE, (0, 0, 0), UP, ((0, 0, 0), (0, 0, 0)))
    for lamp in (zero, Point(WHITE, (0, 0, 0)), Spot(WHITE, (0, 0, 0), UP, 0.0)):
        assert np.isfinite(received(lamp, np.zeros((1, 3)), np.array([[0, 0, 1.0]]))).all()


def test_no_light_is_known_as_such():
    assert Lights().dark
    assert Lights((1, 1, 1), Environment(np.zeros((4, 8, 3)))).dark
    assert Lights(lamps=(Point((0, 0, 0), UP),)).dark
    assert not Lights((0.1, 0, 0)).dark


@pytest.mark.parametrize("shape", [(1, 1), (2, 4), (7, 9), (64, 128), (300, 1000)])
def test_solid_angles_of_a_map_of_any_size_are_those_of_the_sphere(shape):
    lights = Environment(np.ones((*shape, 3))).directional()
    assert lights.weights.sum(0) == pytest.approx(4 * math.pi)
    assert np.abs(lights.weights.T @ lights.directions).max() < 0.01


def test_the_map_is_turned_as_blender_turns_it():
    pixels = np.zeros((64, 128, 3))
    pixels[:4], pixels[30:34, 62:66], pixels[30:34, 94:98] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    found = Environment(pixels).radiance(np.array([[0, 0, 1.0], [1, 0, 0], [0, -1, 0], [0, 1, 0]]))
    assert found.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    quarter = np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]])
    assert Environment(pixels, quarter).radiance(np.array([[0, -1.0, 0]])).tolist() == [[0, 1, 0]]


def test_harmonics_give_lamberts_irradiance_under_a_smooth_sky():
    directions = uniform_directions(20000)
    sky = 1 + 0.5 * directions[:, 2] + 0.3 * directions[:, 0] * directions[:, 1]
    coefficients = (basis(directions) * sky[:, None]).sum(0)[:, None] * 4 * math.pi / len(directions)
    normals = uniform_directions(50)
    found = irradiance(np.repeat(coefficients, 3, 1), normals)[:, 1]
    truth = (np.maximum(normals @ directions.T, 0) * sky).mean(1) * 4
    assert found == pytest.approx(truth, abs=0.003)


def test_harmonics_of_a_map_are_orthonormal():
    lights = Environment(np.ones((64, 128, 3))).directional()
    values = basis(lights.directions)
    assert (values.T * lights.solid_angles) @ values == pytest.approx(np.eye(9), abs=2e-3)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 8))
@settings(max_examples=20, deadline=None)
def test_a_map_in_few_lights_has_all_its_light(seed, size, peaks):
    random = np.random.default_rng(seed)
    environment = Environment(random.exponential(size=(size, 2 * size, 3)) ** 3)
    directions, weights = split(environment, uniform_directions(32), peaks)
    if peaks:
        assert weights.sum(0) == pytest.approx(environment.directional().weights.sum(0), rel=1e-5)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_grey_sphere_in_an_even_world_is_as_bright_as_its_albedo():
    normals = uniform_directions(100)
    albedo, cloth = np.full((100, 3), 0.5), np.full(100, CLOTH)
    eye = np.array([0, -50.0, 0])
    facing = normals[:, 1] < -0.2
    found = reference_colors(normals, normals, albedo, cloth, Lights((1, 1, 1)), eye)[facing]
    share = reflected_share(-normals[facing, 1], cloth[facing])[:, None]
    assert found == pytest.approx(0.5 * (1 - share) + share * np.ones(3), rel=0.02)
    assert (reflected_share(np.linspace(0.05, 1, 9), np.full(9, EYE)) < 1).all()


def test_the_reflected_share_is_fresnels_head_on():
    """A smooth surface seen head on reflects F0, 0.08 times its specular."""
    smooth = np.array([CLASSES.index("glass")])
    assert reflected_share(np.ones(1), smooth) == pytest.approx(0.04, abs=0.002)


def exr(width, height, window=None):
    """An uncompressed float OpenEXR picture: header and one scan line a block."""
    window = window or (0, 0, width - 1, height - 1)
    attribute = lambda name, kind, value: (  # noqa: E731
        name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
    )
    channels = b"".join(c + b"\0" + struct.pack("<iiii", 2, 0, 1, 1) for c in (b"B", b"G", b"R")) + b"\0"
    header = b"\x76\x2f\x31\x01" + struct.pack("<i", 2)
    header += attribute(b"channels", b"chlist", channels)
    header += attribute(b"compression", b"compression", b"\0")
    for name in (b"dataWindow", b"displayWindow"):
        header += attribute(name, b"box2i", struct.pack("<4i", *window))
    header += attribute(b"lineOrder", b"lineOrder", b"\0") + attribute(
        b"pixelAspectRatio", b"float", struct.pack("<f", 1)
    )
    header += attribute(b"screenWindowCenter", b"v2f", struct.pack("<2f", 0, 0))
    header += attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1)) + b"\0"
    return header


def write_exr(path, pixels):
    height, width = pixels.shape[:2]
    header = exr(width, height)
    lines = [
        struct.pack("<ii", y, 12 * width) + row[:, ::-1].T.astype("<f4").tobytes()
        for y, row in enumerate(pixels)
    ]
    starts = len(header) + 8 * height + np.arange(height) * (8 + 12 * width)
    path.write_bytes(header + starts.astype("<u8").tobytes() + b"".join(lines))
    return path


def write_hdr(path, pixels):
    """A Radiance picture of flat, not compressed, pixels."""
    mantissa, exponent = np.frexp(pixels.max(-1))
    scale = np.where(pixels.max(-1) > 0, mantissa * 256 / np.maximum(pixels.max(-1), 1e-32), 0)
    rgbe = np.concatenate([pixels * scale[..., None], exponent[..., None] + 128], -1).astype(np.uint8)
    size = f"-Y {pixels.shape[0]} +X {pixels.shape[1]}\n"
    path.write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n" + size.encode() + rgbe.tobytes())
    return path


def picture(height=8, width=16):
    return np.random.default_rng(3).uniform(0, 20, (height, width, 3)).astype(np.float32)


def test_exr_and_hdr_pictures_are_read_as_they_are(tmp_path):
    made, remarks = load_environment(write_exr(tmp_path / "a.exr", picture()))
    assert np.array_equal(made.pixels, picture())
    assert remarks == []
    made, remarks = load_environment(write_hdr(tmp_path / "a.hdr", picture()))
    assert made.pixels == pytest.approx(picture(), abs=0.13)
    assert remarks == []


def test_an_8_bit_picture_is_linearised_and_said(tmp_path):
    Image.new("RGB", (16, 8), (188, 188, 188)).save(tmp_path / "a.png")
    made, remarks = load_environment(tmp_path / "a.png")
    assert made.pixels == pytest.approx(0.503, abs=0.002)
    assert "no HDR" in remarks[0]


def test_impossible_values_become_black_and_are_counted(tmp_path):
    pixels = picture()
    pixels[0, 0, 0], pixels[1, 2, 1], pixels[3, 3, 2] = np.nan, np.inf, -5
    made, remarks = load_environment(write_exr(tmp_path / "a.exr", pixels))
    assert np.isfinite(made.pixels).all()
    assert made.pixels.min() == 0
    assert "3 pixels" in remarks[0]


def test_other_shapes_are_stretched_and_one_pixel_is_an_even_light(tmp_path):
    _, remarks = load_environment(write_exr(tmp_path / "a.exr", picture(8, 9)))
    assert "9 x 8" in remarks[0]
    made, remarks = load_environment(write_exr(tmp_path / "b.exr", picture(1, 1)))
    assert remarks == []
    assert irradiance(made.harmonics(), uniform_directions(9)) == pytest.approx(
        np.tile(picture(1, 1)[0], (9, 1)), rel=0.01
    )


@pytest.mark.parametrize("name", ["a.exr", "a.hdr"])
@pytest.mark.parametrize("keep", [5, 200, 0.5])
def test_truncated_files_are_refused_or_give_finite_light(tmp_path, name, keep):
    path = (write_exr if name == "a.exr" else write_hdr)(tmp_path / name, picture(64, 128))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    try:
        made, _ = load_environment(path)
    except EnvironmentFileError:
        return
    assert np.isfinite(made.pixels).all()


def test_claimed_sizes_are_bounded_before_decoding(tmp_path):
    (tmp_path / "a.exr").write_bytes(exr(60000, 30000) + bytes(1000))
    (tmp_path / "b.hdr").write_bytes(b"#?RADIANCE\n\n-Y 900000 +X 900000\n" + bytes(1000))
    (tmp_path / "c.exr").write_bytes(exr(4, 2, (0, 0, -9, 5)))
    for name in ("a.exr", "b.hdr", "c.exr"):
        with pytest.raises(EnvironmentFileError, match=name):
            load_environment(tmp_path / name)


def test_other_files_are_refused_with_their_name(tmp_path):
    (tmp_path / "a.exr").write_text("no picture")
    for name in ("a.exr", "missing.exr"):
        with pytest.raises(EnvironmentFileError, match=name):
            load_environment(tmp_path / name)


@given(st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_bytes_after_a_header_never_do_more_than_be_refused(tmp_path_factory, tail):
    path = tmp_path_factory.getbasetemp() / "fuzz.exr"
    path.write_bytes(exr(8, 4) + tail)
    try:
        made, _ = load_environment(path)
    except EnvironmentFileError:
        return
    assert np.isfinite(made.pixels).all()
    assert made.pixels.min() >= 0


def test_cleaning_keeps_what_is_light():
    pixels, remarks = cleaned(picture())
    assert np.array_equal(pixels, picture())
    assert remarks == []
