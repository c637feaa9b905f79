# SPDX-License-Identifier: GPL-3.0-or-later
"""Our shading beside Cycles: held-out synthetic people with their true surface and materials, under Blender's
studio environments and lamps, pixel by pixel."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from ...errors import UserError
from ...lighting.environment_file import load_environment
from ...lighting.lights import Area, Lights, Point, Spot, Sun
from ...lighting.materials import Gloss
from ...lighting.shading import FINAL, INTERACTIVE, LitAvatar, Quality
from ...lighting.visibility import Proxy, Shell
from ...raster import Camera
from ...raster.mesh_faces import rasterize_mesh
from ...srgb import encoded_of
from ..people import poses
from ..people.cameras import body_extent, frame
from ..people.lights import direction
from ..people.person import sample_person
from ..people.render import pose_person
from ..people.shading import srgb_to_linear

SIZE = (480, 640)
PEOPLE = ((1_000_011, "standing"), (1_000_003, "crossed_arms"), (1_000_022, "sit"))
# Lamps in Cycles: type, settings, where it stands and what it shines at.
LIGHTS = {
    "interior": {"hdri": "interior.exr", "turn": 0.6},
    "courtyard": {"hdri": "courtyard.exr", "turn": 2.0},
    "sunset": {"hdri": "sunset.exr", "turn": -1.2},
    "sun": {
        "type": "SUN",
        "settings": {"energy": 3.0, "angle": math.radians(5)},
        "at": (0.55, -0.62, 1.56),
        "aim": (0, 0, 1),
    },
    "point": {
        "type": "POINT",
        "settings": {"energy": 150.0, "shadow_soft_size": 0.1},
        "at": (1.0, -1.3, 1.9),
        "aim": (0, 0, 1),
    },
    "area": {
        "type": "AREA",
        "settings": {"energy": 100.0, "size": 1.0},
        "at": (-1.3, -1.4, 1.9),
        "aim": (0, 0, 1),
    },
    "spot": {
        "type": "SPOT",
        "settings": {
            "energy": 400.0,
            "shadow_soft_size": 0.05,
            "spot_size": math.radians(34),
            "spot_blend": 0.3,
        },
        "at": (0.9, -2.2, 2.4),
        "aim": (0, 0, 1.05),
    },
}
SUPERSAMPLES, CELLS = 2, 0.02
EXPOSED = 0.8  # that the 99th percentile of the reference's luminance becomes
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


QUALITIES = {"true_materials": FINAL, "interactive": INTERACTIVE}


def evaluate_light(folder: Path, lights=tuple(LIGHTS), people=PEOPLE, say=print, sheets=None) -> dict:
    """PSNR in dB, mean and worst, of what final frames and the 3D view show beside Cycles, with true surface
    and materials. References are kept in `folder`, pictures written to `sheets`. `UserError` without bpy."""
    cases = []
    folder.mkdir(parents=True, exist_ok=True)
    for seed, pose in people:
        scene = _scene(seed, pose)
        lit = _lit(scene)
        for name in lights:
            truth = _reference(scene, LIGHTS[name], folder)
            pictures = {q: _picture(scene, lit, _lights(LIGHTS[name]), QUALITIES[q]) for q in QUALITIES}
            values = {quality: round(psnr(image, truth), 2) for quality, image in pictures.items()}
            cases.append({"seed": seed, "pose": pose, "light": name, **values})
            say(" ".join(map(str, cases[-1].values())))
            if sheets:
                _write_sheet(sheets / f"{seed}-{name}.png", truth, pictures["true_materials"])
    result = {}
    for quality in QUALITIES:
        values = [case[quality] for case in cases]
        result |= {f"{quality}_psnr": round(float(np.mean(values)), 2), f"{quality}_worst": min(values)}
    return {**result, "cases": cases}


def _write_sheet(file: Path, truth: np.ndarray, picture: np.ndarray) -> None:
    """Cycles, ours, and five times the difference."""
    gain = _gain(truth)
    both = [_encoded(gain * image[..., :3]) for image in (truth, picture)]
    difference = 5 * np.abs(both[0] - both[1]) * (truth[..., 3:] > 0.999)
    row = np.concatenate([*both, difference.clip(0, 1)], 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((row * 255 + 0.5).astype(np.uint8)).save(file)


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """dB of sRGB values on pixels that the person fills; truth [H,W,4]."""
    inside, gain = truth[..., 3] > 0.999, _gain(truth)
    ours, theirs = (_encoded(gain * image[inside][:, :3]) for image in (picture, truth))
    return float(-10 * np.log10(np.mean((ours - theirs) ** 2)))


def _gain(truth: np.ndarray) -> float:
    """What exposes a reference: its 99th percentile of luminance becomes EXPOSED."""
    inside = truth[..., 3] > 0.999
    return EXPOSED / max(np.percentile(truth[inside][:, :3] @ LUMINANCE, 99), 1e-9)


def _encoded(linear: np.ndarray) -> np.ndarray:
    return encoded_of(np.clip(linear, 0, 1))


def _scene(seed: int, pose: str) -> dict:
    """A posed person as one mesh whose vertices have one material each, and the camera."""
    person, rng = sample_person(seed), np.random.default_rng(seed)
    chosen = getattr(poses, pose)(rng)
    posed = pose_person(person, chosen.rotations, root=chosen.root)
    corner = person.faces.astype(np.int64) * len(person.materials) + person.face_material[:, None]
    kinds, faces = np.unique(corner, return_inverse=True)
    vertex, material = np.divmod(kinds, len(person.materials))
    albedo, gloss = np.zeros((len(kinds), 3), np.float32), np.zeros((len(kinds), 2), np.float32)
    for number in np.unique(material):
        rows = np.flatnonzero(material == number)
        rest, normals = (np.ascontiguousarray(a[vertex[rows]]) for a in (person.rest_points, posed.normals))
        surface = person.materials[number].shade(rest.astype(np.float32), normals.astype(np.float32))
        albedo[rows] = srgb_to_linear(surface.albedo)
        gloss[rows, 0], gloss[rows, 1] = surface.roughness, surface.specular
    points = body_extent(posed.transforms, "body")
    camera = frame(points, points.mean(0) + 3.6 * direction(20, 5.0), *SIZE, 0.9)
    return {
        "points": posed.points[vertex],
        "normals": posed.normals[vertex],
        "faces": faces.reshape(-1, 3).astype(np.int32),
        "albedo": albedo,
        "gloss": gloss,
        "viewmat": camera.viewmat,
        "K": camera.K,
        "size": np.array(SIZE),
    }


def _lit(scene: dict):
    """The surface as Gaussians: its vertices, whose triangles cast shadows, then the pixels' samples; their
    albedo [n,3]; the samples' pixels [m]."""
    faces, count = scene["faces"], len(scene["points"])
    seen = rasterize_mesh(scene["points"], faces, scene["viewmat"], scene["K"], *SIZE, SUPERSAMPLES)
    rows = np.flatnonzero(seen.face.ravel() >= 0)
    corners = faces[seen.face.ravel()[rows]]
    second, third = seen.bary.reshape(-1, 2)[rows].T
    weights = np.stack([1 - second - third, second, third], 1)[:, :, None]
    at = lambda v: np.concatenate([v, (v[corners] * weights).sum(1)]).astype(np.float32)  # noqa: E731
    means, normals, gloss = at(scene["points"]), at(scene["normals"]), at(scene["gloss"])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    pairs, material = np.unique((gloss / CELLS * 0.4).round().astype(int), axis=0, return_inverse=True)
    roughness, specular = np.clip(pairs.T * CELLS / 0.4, 0.05, 1).tolist()
    solid = np.arange(len(means)) < count
    shell = Shell.between(np.arange(count), scene["points"], faces)
    proxy = Proxy.around(shell, means, normals, solid, np.full(len(means), CELLS, np.float32))
    proxy = replace(proxy, inset=np.zeros_like(proxy.inset))
    surface = SimpleNamespace(
        proxy=proxy,
        material=material.ravel().astype(np.uint8),
        gloss=Gloss(tuple(roughness), tuple(specular), (0.02,) * len(pairs)),
    )
    return LitAvatar(surface, means, normals), at(scene["albedo"]), rows


def _picture(scene: dict, lit, lights: Lights, quality: Quality) -> np.ndarray:
    avatar, albedo, rows = lit
    camera = Camera(scene["viewmat"], scene["K"], *SIZE)
    colors = avatar.colors(albedo, lights, camera, quality)[-len(rows) :]
    samples = np.zeros((SIZE[0] * SIZE[1] * SUPERSAMPLES**2, 3), np.float32)
    samples[rows] = colors
    grid = samples.reshape(SIZE[1], SUPERSAMPLES, SIZE[0], SUPERSAMPLES, 3)
    return grid.mean((1, 3))


def _lights(light: dict) -> Lights:
    if "hdri" in light:
        environment, _ = load_environment(_bpy_folder() / light["hdri"])
        c, s = math.cos(light["turn"]), math.sin(light["turn"])
        return Lights((1, 1, 1), environment.turned(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])))
    at, aim, given = np.array(light["at"]), np.array(light["aim"]), light["settings"]
    ahead = tuple((aim - at) / np.linalg.norm(aim - at))
    color, place = (given["energy"],) * 3, light["at"]
    if light["type"] == "SUN":
        return Lights(lamps=(Sun(color, tuple(-np.array(ahead)), given["angle"]),))
    if light["type"] == "POINT":
        return Lights(lamps=(Point(color, place, given["shadow_soft_size"]),))
    if light["type"] == "SPOT":
        cone = given["spot_size"], given["spot_blend"], given["shadow_soft_size"]
        return Lights(lamps=(Spot(color, place, ahead, *cone),))
    right = np.cross(ahead, (0, 0, 1))
    right *= given["size"] / np.linalg.norm(right)
    return Lights(lamps=(Area(color, place, ahead, (tuple(right), tuple(np.cross(right, ahead)))),))


def _bpy_folder() -> Path:
    """Blender's studio environments, found without importing bpy."""
    found = importlib.util.find_spec("bpy")
    if found is None:
        raise UserError("Cycles is the judge of light, and bpy is not installed.", "pip install bpy")
    root = Path(found.submodule_search_locations[0])
    folders = [*root.glob("*/datafiles"), *(p / "datafiles" for p in root.parents)]
    return next(f for f in (folder / "studiolights" / "world" for folder in folders) if f.is_dir())


def _reference(scene: dict, light: dict, folder: Path) -> np.ndarray:
    """Cycles' picture [H,W,4], drawn once for equal scenes."""
    script = Path(__file__).parents[3] / "benchmarks" / "light_reference.py"
    if not script.is_file():
        raise UserError("Cycles' pictures need a source checkout.", "Run `lca eval-light` in one.")
    digest = sha256(script.read_bytes() + json.dumps(light).encode())
    for name in sorted(scene):
        digest.update(np.ascontiguousarray(scene[name]).tobytes())
    file = folder / f"cycles-{digest.hexdigest()[:16]}.npy"
    if not file.exists():
        given = folder / "scene.npz"
        np.savez(given, **scene, light=json.dumps(light))
        command = [sys.executable, str(script), str(given), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
        if not file.exists():
            raise UserError(f"Cycles drew nothing: {done.stderr[-300:]}")
    return np.load(file)
