# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenEXR files that FFmpeg has written, whole and damaged."""

from contextlib import suppress

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend import exr

PIXELS = np.random.default_rng(5).normal(size=(37, 23, 4)).astype(np.float16).astype(np.float32)


def written(path, compression="zip16", kind="float", pixels=PIXELS):
    """Writes pixels [H,W,4] as FFmpeg does; returns the path."""
    height, width = pixels.shape[:2]
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("exr", options={"compression": compression, "format": kind})
        stream.width, stream.height, stream.pix_fmt = width, height, "gbrapf32le"
        frame = av.VideoFrame(width, height, "gbrapf32le")
        for plane, channel in zip(frame.planes, (1, 2, 0, 3), strict=True):
            rows = np.zeros((height, plane.line_size // 4), np.float32)
            rows[:, :width] = pixels[..., channel]
            plane.update(rows)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("compression", ["none", "zip1", "zip16"])
@pytest.mark.parametrize(("kind", "dtype"), [("float", np.float32), ("half", np.float16)])
def test_pixels_are_those_that_were_written(tmp_path, compression, kind, dtype):
    path = written(tmp_path / "a.exr", compression, kind)
    found = exr.read(path)
    assert exr.check(path) == (23, 37)
    for number, letter in enumerate("RGBA"):
        assert found[letter].dtype == dtype
        assert np.array_equal(found[letter], PIXELS[..., number].astype(dtype))


@given(where=st.floats(0, 1, exclude_max=True))
@settings(max_examples=40, deadline=None)
def test_a_file_that_is_cut_off_is_never_whole(tmp_path_factory, where):
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.exr"
    if not whole.exists():
        written(whole)
    part = folder / "part.exr"
    part.write_bytes(whole.read_bytes()[: int(where * whole.stat().st_size)])
    assert exr.is_cut_off(part)
    with pytest.raises(ValueError, match="OpenEXR"):
        exr.check(part)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_changed_byte_of_the_pixels_is_noticed(tmp_path_factory, seed):
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.exr"
    if not whole.exists():
        written(whole)
    data = bytearray(whole.read_bytes())
    begin, end, _ = exr.parts(bytes(data))[0].chunks[0]
    data[np.random.default_rng(seed).integers(begin + 2, end)] ^= 1 + seed % 255
    (folder / "changed.exr").write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        exr.check(folder / "changed.exr")


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused_in_words(tail):
    for start in (b"", exr.MAGIC, exr.MAGIC + b"\2\0\0\0"):
        with suppress(ValueError):
            assert isinstance(exr.parts(start + tail), list)
