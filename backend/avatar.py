# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar: the content of an `.lca` file, and the way from a pose to splats."""

import hashlib
import json
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from .avatar_file import (
    AvatarFileError,
    check_table,
    check_values,
    dtype_of,
    expected,
    read_avatar,
    table_of,
    write_avatar,
)
from .body.expression import CODE_SIZE, apply_face_joints, arkit_from_code, expression_code
from .body.skeleton import JOINT_NAMES
from .decoder import signal_features
from .drive_cpu import PackedAvatar
from .drive_torch import AvatarOnDevice
from .gaussians import Gaussians

__all__ = ["Avatar", "AvatarFileError", "Signal"]

_NOT_TENSORS = ("joint_names", "decoder", "thumbnails", "header")


@dataclass(frozen=True)
class Signal:
    """What drives an avatar: transforms [J,4,4], expression [52] (ARKit, 0..1), gaze [2,2] (radians).

    transforms are skinning matrices, canonical -> posed, with jaw and eyes where the rig alone puts them;
    gaze is (yaw to the subject's left, pitch up) of the left and the right eye. The expression turns the jaw
    and moves the template's face; the pose decoder sees `code` [128] or, where it is None, the expression's.
    """

    transforms: Tensor
    expression: Tensor
    gaze: Tensor
    code: Tensor | None = None

    @classmethod
    def from_code(cls, transforms: Tensor, code: Tensor, gaze: Tensor) -> "Signal":
        """A signal whose face is an expression code [128]: the decoder sees it as it is, jaw and template
        follow the ARKit values, in 0..1, that it expresses."""
        return cls(transforms, arkit_from_code(code).clamp(0, 1), gaze, code)

    def features(self, parents=None) -> Tensor:
        """The numbers [S] that the pose decoder sees; parents [J]: the template's where None."""
        code = expression_code(self.expression) if self.code is None else self.code
        return signal_features(self.transforms, code, self.gaze, parents)


@dataclass(frozen=True, eq=False)
class Avatar:
    """One person as Gaussians. Tensors are stored in the file's types and converted to them.

    joint_parents [J] int32 (-1: root), joint_heads and joint_tails [J,3]: the skeleton of the canonical pose.
    means [N,3] float32 metres, canonical pose; float16: offsets [N,3] offsets of the means from the template,
    quats [N,4], scales [N,3] metres, opacities [N], colors [N,3] sRGB, skin_weights [N,k], expression_basis
    [52,M,3] the template's displacement for each ARKit value, of the Gaussians expression_rows [M] int32 (of
    all N in order where None); skin_indices [N,k] uint8. token_bias [T,D] float32: the pose decoder's first
    layer, its token part and bias. decoder, float32: signal_weight [D,S], hidden<i>_weight [D,D] and
    hidden<i>_bias [D], last_weight [13 K, D], last_bias, and delta_scale [13], the units of the changes
    (colour 3, mean 3, quaternion 4, log scale 3). A Gaussian takes its changes from a token, token [N] int32,
    and one of the decoder's K slots, slot [N] uint8; where these are None, token t owns the K Gaussians from
    t K on. confidence [N] uint8: 255 where a photo shows the Gaussian, 0 where none does; None where that is
    not known. For the scene's light, each None where the file has none: albedo [N,3] sRGB, which the decoder
    changes as it changes colours; normals [N,3] unit, canonical pose; material [N] uint8 numbers of
    `lighting.materials.CLASSES`. thumbnails: uint8 [h,w,3]. header, JSON values: name; model {name, version};
    photos, the sha256 of each source photo (of a film: of the pixels of each frame); consent; created (ISO
    8601); warnings, what the photos do not show.
    """

    joint_names: tuple[str, ...]
    joint_parents: Tensor
    joint_heads: Tensor
    joint_tails: Tensor
    means: Tensor
    offsets: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    skin_indices: Tensor
    skin_weights: Tensor
    expression_basis: Tensor
    token_bias: Tensor
    decoder: dict[str, Tensor]
    thumbnails: tuple[Tensor, ...] = ()
    header: dict = field(default_factory=dict)
    expression_rows: Tensor | None = None
    token: Tensor | None = None
    slot: Tensor | None = None
    albedo: Tensor | None = None
    normals: Tensor | None = None
    material: Tensor | None = None
    confidence: Tensor | None = None

    def __post_init__(self):
        def own(name, value):
            if value is None:
                return None
            tensor = value if isinstance(value, Tensor) else torch.tensor(value)
            return tensor.detach().to("cpu", dtype_of(name)).contiguous()

        for name in (f.name for f in fields(self) if f.name not in _NOT_TENSORS):
            object.__setattr__(self, name, own(name, getattr(self, name)))
        decoder = {name: own(f"decoder.{name}", value) for name, value in self.decoder.items()}
        object.__setattr__(self, "decoder", decoder)
        pictures = tuple(own(f"thumbnails.{i}", value) for i, value in enumerate(self.thumbnails))
        object.__setattr__(self, "thumbnails", pictures)
        object.__setattr__(self, "joint_names", tuple(self.joint_names))

    def __len__(self) -> int:
        return len(self.means)

    @property
    def template_version(self) -> int:
        """The version of the template that the avatar was made with; avatars that do not say are of the
        first."""
        return self.header.get("template", 1)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by their names in the file."""
        own = (f.name for f in fields(self) if f.name not in _NOT_TENSORS)
        named = {name: getattr(self, name) for name in own if getattr(self, name) is not None}
        named.update({f"decoder.{name}": tensor for name, tensor in self.decoder.items()})
        named.update({f"thumbnails.{i}": tensor for i, tensor in enumerate(self.thumbnails)})
        return named

    def sources(self) -> tuple[Tensor, Tensor]:
        """token and slot [N] that each Gaussian takes its changes from."""
        if self.token is not None:
            return self.token, self.slot
        slots = len(self) // len(self.token_bias)
        number = torch.arange(len(self))
        return number // slots, number % slots

    def take(self, rows) -> "Avatar":
        """The avatar of some of its Gaussians, as they are: rows, indices [n], each once, or bool [N]."""
        rows = torch.arange(len(self))[torch.as_tensor(rows)]
        names = [name for name, tensor in self.tensors().items() if expected(name)[1][0] == "N"]
        token, slot = self.sources()
        sources = {"token": token[rows], "slot": slot[rows]}
        moved = torch.arange(len(self)) if self.expression_rows is None else self.expression_rows.long()
        number = torch.full((len(self),), -1)
        number[rows] = torch.arange(len(rows))
        kept = torch.nonzero(number[moved] >= 0)[:, 0]
        basis, moved = self.expression_basis[:, kept], number[moved[kept]]
        if not len(kept):  # a file has no empty tensors
            basis, moved = basis.new_zeros(len(basis), 1, 3), torch.zeros(1)
        own = {name: getattr(self, name)[rows] for name in names} | sources
        return replace(self, **own, expression_basis=basis, expression_rows=moved)

    @cached_property
    def hash(self) -> str:
        """sha256 over joint names, the template's version and all tensors but the thumbnails: equal hash,
        equal splats."""
        digest = hashlib.sha256(json.dumps(self.joint_names).encode())
        if self.template_version > 1:
            digest.update(f"template {self.template_version}".encode())
        for name, tensor in sorted(self.tensors().items()):
            if not name.startswith("thumbnails."):
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def verify(self) -> None:
        """Raises AvatarFileError, which names the first tensor of wrong shape, type or value."""
        tensors = self.tensors()
        check_table(table_of(tensors))
        check_values(tensors, self.joint_names)
        if self.joint_names != JOINT_NAMES:
            raise AvatarFileError("The avatar's skeleton is not that of the built-in body.")

    def save(self, path: str | Path) -> None:
        """Writes the avatar atomically. AvatarFileError where its content is invalid or the file cannot be
        written."""
        self.verify()
        write_avatar(path, self.tensors(), {**self.header, "joint_names": list(self.joint_names)})

    @classmethod
    def load(cls, path: str | Path) -> "Avatar":
        """Reads and checks an avatar file. AvatarFileError says what is wrong with it."""
        tensors, header = read_avatar(path)
        names = header.pop("joint_names")
        plain = {name: tensor for name, tensor in tensors.items() if "." not in name}
        decoder = {n.removeprefix("decoder."): t for n, t in tensors.items() if n.startswith("decoder.")}
        count = sum(name.startswith("thumbnails.") for name in tensors)
        pictures = tuple(tensors[f"thumbnails.{i}"] for i in range(count))
        if tuple(names) != JOINT_NAMES:
            raise AvatarFileError(
                f"{Path(path).name} cannot be used. Its skeleton is not that of the built-in body."
            )
        return cls(joint_names=names, decoder=decoder, thumbnails=pictures, header=header, **plain)

    @torch.no_grad()
    def drive(
        self, signal: Signal, world: Tensor | None = None, device: str | torch.device = "cpu"
    ) -> Gaussians:
        """The splats of a pose, an expression and a gaze; sRGB, float32, on `device`.

        They lie in the space that the transforms lead to, or where the affine matrix `world` [4,4] carries
        them from there. Jaw and eyes are rotated (`apply_face_joints`); pose, expression code and gaze go
        through the decoder, whose changes and the expression basis apply in the canonical pose; then the
        splats are skinned. What the decoder sees and opacities do not depend on `world`. Equal signals give
        equal splats, on the CPU bit for bit. For another device the avatar's tensors are copied there once.
        ValueError for a signal or matrix of the wrong shape or with NaN or infinity.
        """
        signal = self._checked(signal)
        features = signal.features(self.joint_parents.numpy())
        inputs = (features, signal.expression, self._joints(signal, world))
        if torch.device(device).type == "cpu":
            return self._packed.drive(*(tensor.numpy() for tensor in inputs))
        return self._on_device(str(device)).drive(*inputs)

    def joints(self, signal: Signal, world: Tensor | None = None) -> Tensor:
        """Skinning matrices [J,4,4] of a signal, canonical to posed, with jaw and eyes turned by the face; by
        `world` where given. ValueError as `drive`."""
        return self._joints(self._checked(signal), world)

    def _joints(self, signal: Signal, world: Tensor | None) -> Tensor:
        face = (signal.expression, signal.gaze, self.joint_heads, self.template_version)
        transforms = apply_face_joints(signal.transforms, *face)
        if world is None:
            return transforms
        # A blend of W G_j is W times the blend of G_j: the splats need not be moved once more.
        return _checked("World matrix", world, (4, 4)) @ transforms

    @cached_property
    def _packed(self) -> PackedAvatar:
        return PackedAvatar(self)

    def _on_device(self, device: str) -> AvatarOnDevice:
        if device not in self._devices:
            self._devices[device] = AvatarOnDevice(self, device)
        return self._devices[device]

    @cached_property
    def _devices(self) -> dict[str, AvatarOnDevice]:
        return {}

    def _checked(self, signal: Signal) -> Signal:
        shapes = {"transforms": (len(self.joint_names), 4, 4), "expression": (52,), "gaze": (2, 2)}
        if signal.code is not None:
            shapes["code"] = (CODE_SIZE,)
        made = {k: _checked(f"Signal {k}", getattr(signal, k), shape) for k, shape in shapes.items()}
        return Signal(**made)


def _checked(name: str, value, shape: tuple[int, ...]) -> Tensor:
    tensor = torch.as_tensor(value).detach().to("cpu", torch.float32)
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must have shape {list(shape)}, not {list(tensor.shape)}.")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} contains NaN or infinity.")
    return tensor
