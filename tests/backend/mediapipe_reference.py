# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what MediaPipe itself says of a photograph: the numbers that test_landmarks.py compares with.

In an environment of its own (mediapipe wants another numpy than we do):

    pip install mediapipe==0.10.21 scikit-image
    python tests/backend/mediapipe_reference.py tests/backend/data/astronaut_mediapipe.json
"""

import json
import sys

import mediapipe as mp
import numpy as np
import skimage.data
from mediapipe.framework.formats import landmark_pb2


def pixels(landmarks: landmark_pb2.NormalizedLandmarkList, image: np.ndarray) -> list:
    height, width = image.shape[:2]
    return [[round(p.x * width, 3), round(p.y * height, 3)] for p in landmarks.landmark]


def main(path: str) -> None:
    image = skimage.data.astronaut()
    solutions, numbers = mp.solutions, {}
    options = {"static_image_mode": True, "refine_face_landmarks": True, "enable_segmentation": True}
    with solutions.holistic.Holistic(model_complexity=1, **options) as holistic:
        found = holistic.process(image)
    body = found.pose_world_landmarks.landmark
    numbers["pose"] = pixels(found.pose_landmarks, image)
    numbers["visibility"] = [round(p.visibility, 4) for p in found.pose_landmarks.landmark]
    numbers["world"] = [[round(v, 5) for v in (p.x, p.y, p.z)] for p in body]
    numbers["face_of_body"] = pixels(found.face_landmarks, image)
    numbers["mask_area"] = float((found.segmentation_mask > 0.5).sum())
    with solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
        numbers["face"] = pixels(mesh.process(image).multi_face_landmarks[0], image)
    for number, name in enumerate(("near", "far")):
        with solutions.face_detection.FaceDetection(model_selection=number) as detection:
            found = detection.process(image).detections[0]
        height, width = image.shape[:2]
        points = found.location_data.relative_keypoints
        numbers[f"detection_{name}"] = [[round(p.x * width, 3), round(p.y * height, 3)] for p in points]
    numbers["hands"] = hands(image)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(numbers, file)


def hands(image: np.ndarray) -> dict:
    """The hand network's own answer to a square of the photograph, as TFLite runs it (no hand is found there
    by the solutions: both are cut off)."""
    from pathlib import Path

    from ai_edge_litert.interpreter import Interpreter

    folder = Path(mp.__file__).parent / "modules"
    crop = image[288:512, 0:224][None].astype(np.float32) / 255
    interpreter = Interpreter(str(folder / "hand_landmark" / "hand_landmark_full.tflite"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], crop)
    interpreter.invoke()
    outputs = [interpreter.get_tensor(o["index"]).ravel() for o in interpreter.get_output_details()]
    return {"landmarks": np.round(outputs[0], 3).tolist(), "score": float(outputs[1][0])}


if __name__ == "__main__":
    main(sys.argv[1])
