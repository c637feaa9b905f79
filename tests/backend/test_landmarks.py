# SPDX-License-Identifier: GPL-3.0-or-later
"""Body, face and hand landmarks against MediaPipe's own answers (mediapipe_reference.py wrote them)."""

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given
from hypothesis import strategies as st
from lca_blender.backend.errors import UserError
from lca_blender.backend.imaging.landmarks import face, pose
from lca_blender.backend.imaging.landmarks.detectors import FACE_FAR, FACE_NEAR, PERSON, detect
from lca_blender.backend.imaging.landmarks.graph import FOLDER, Graph, load_graph
from lca_blender.backend.imaging.landmarks.regions import Region

REFERENCE = json.loads((Path(__file__).parent / "data" / "astronaut_mediapipe.json").read_text())


@pytest.fixture(scope="module")
def astronaut():
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def body(astronaut):
    return pose.read_pose(astronaut, pose.region_of(detect(PERSON, astronaut)[0]))


def apart(points, name):
    """The largest distance in pixels to MediaPipe's points."""
    return np.linalg.norm(points[:, :2] - np.array(REFERENCE[name]), axis=1).max()


def test_body_landmarks_are_mediapipes(body):
    assert apart(body.points, "pose") < 1
    assert np.abs(body.world - np.array(REFERENCE["world"])).max() < 2e-3
    assert np.abs(body.visibility - np.array(REFERENCE["visibility"])).max() < 0.01
    assert body.score > 0.9


def test_the_persons_mask_is_mediapipes(body, astronaut):
    area = (body.mask_in(*astronaut.shape[:2]) > 0.5).sum()
    assert abs(area / REFERENCE["mask_area"] - 1) < 0.002


def test_face_landmarks_are_mediapipes(astronaut, body):
    of_body = face.read_face(astronaut, face.region_from_pose(astronaut, body))
    assert apart(of_body.points, "face_of_body") < 1
    alone = face.read_face(astronaut, face.region_of(detect(FACE_NEAR, astronaut)[0]))
    assert apart(alone.points, "face") < 1


@pytest.mark.parametrize(("detector", "name"), [(FACE_NEAR, "near"), (FACE_FAR, "far")])
def test_face_detectors_are_mediapipes(astronaut, detector, name):
    assert apart(detect(detector, astronaut)[0].points, f"detection_{name}") < 1


def test_the_hand_network_is_tflites(astronaut):
    outputs = load_graph("hand_landmark_full")(astronaut[None, 288:512, 0:224].astype(np.float32) / 255)
    assert np.abs(outputs[0].ravel() - np.array(REFERENCE["hands"]["landmarks"])).max() < 0.05
    assert abs(float(outputs[1].ravel()[0]) - REFERENCE["hands"]["score"]) < 1e-4


def test_a_turned_photo_gives_the_same_body_turned(astronaut, body):
    """A region turned with the photo shows the network the same picture."""
    turned = np.ascontiguousarray(np.rot90(astronaut, -1))  # clockwise: (x, y) -> (H - 1 - y, x)
    last = astronaut.shape[0] - 1
    region = body.region
    again = pose.read_pose(
        turned, region._replace(x=last - region.y, y=region.x, angle=region.angle + np.pi / 2)
    )
    expected = np.stack([last - body.points[:, 1], body.points[:, 0]], 1)
    sure = body.likelihood() > 0.9
    assert np.linalg.norm(again.points[sure, :2] - expected[sure], axis=1).max() < 5


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(4, 90), st.floats(4, 90), st.floats(-3.1, 3.1))
def test_a_region_maps_shares_to_pixels_and_masks_back(x, y, width, height, angle):
    region = Region(x, y, width, height, angle)
    corners = region.to_image(np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]]))
    sides = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    assert np.allclose(sides, [width, height, width])
    assert np.allclose(corners.mean(0), [x, y])
    pasted = region.paste(np.ones((8, 8), np.float32), 60, 60)
    assert pasted.min() >= 0
    assert pasted.max() <= 1 + 1e-5


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.safetensors")), ids=lambda path: path.stem)
def test_every_operation_stays_on_the_networks_device(path):
    """The meta device computes no values, but refuses to meet tensors of another one."""
    graph = Graph(path)
    graph.weights = {number: weight.to("meta") for number, weight in graph.weights.items()}
    outputs = graph.run(torch.zeros(1, 3, *graph.size, device="meta"))
    assert {output.device.type for output in outputs} == {"meta"}


def test_a_missing_or_damaged_network_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no network that finds people"):
        Graph(tmp_path / "pose_detection.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(UserError, match="damaged"):
        Graph(tmp_path / "broken.safetensors")


def test_the_licence_lies_with_the_networks():
    assert "Apache License" in (FOLDER / "LICENSE").read_text()
    assert "The MediaPipe Authors" in (FOLDER / "NOTICE").read_text()
