# SPDX-License-Identifier: GPL-3.0-or-later
"""From joint rotations to skinning matrices and back to the features the pose decoder sees.

Functions take numpy arrays or torch tensors and return the same kind.
"""

import numpy as np
import torch

from ..quaternions import matrix_to_quaternion, with_positive_w
from .skeleton import INDEX, NEXT


def _tensor(value, like=None):
    if isinstance(value, torch.Tensor):
        return value
    device = like.device if isinstance(like, torch.Tensor) else None
    return torch.tensor(np.asarray(value), dtype=torch.float32, device=device)


def _same_kind(result, source):
    return result if isinstance(source, torch.Tensor) else result.numpy()


def _linear(columns: list[dict[int, float]], rows: int) -> torch.Tensor:
    """[rows, columns]: what each column adds up, row -> factor."""
    out = torch.zeros(rows, len(columns))
    for column, parts in enumerate(columns):
        for row, factor in parts.items():
            out[row, column] = factor
    return out


def _mapped(values: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """values @ matrix, without the threads of a matrix library, which spin for a while when they are done."""
    return (values[..., None] * matrix.to(values)).sum(-2)


_LIMB_BONES = [
    (INDEX[f"{a}.{side}"], INDEX[f"{b}.{side}"])
    for side in "LR"
    for a, b in (("upper_arm", "forearm"), ("forearm", "hand"), ("thigh", "shin"), ("shin", "foot"))
]
# r -> the matrix of the cross product with r, row by row
_CROSS = _linear([{}, {2: -1}, {1: 1}, {2: 1}, {}, {0: -1}, {1: -1}, {0: 1}, {}], 3)


def rotation_matrices(axis_angle):
    """Axis-angle [..., 3] in radians -> rotation matrices [..., 3, 3] (Rodrigues)."""
    r = _tensor(axis_angle)
    square = (r * r).sum(-1)[..., None, None]
    small = square < 1e-6
    angle = torch.sqrt(torch.where(small, torch.ones_like(square), square))
    sine = torch.where(small, 1 - square / 6, torch.sin(angle) / angle)
    cosine = torch.where(small, 0.5 - square / 24, (1 - torch.cos(angle)) / angle**2)
    k = _mapped(r, _CROSS).unflatten(-1, (3, 3))
    eye = torch.eye(3, dtype=r.dtype, device=r.device)
    return _same_kind(eye + sine * k + cosine * (k @ k), axis_angle)


def axis_angles(matrices):
    """Rotation matrices [..., 3, 3] -> axis-angle [..., 3] with angle in [0, pi], by way of the
    quaternion."""
    q = with_positive_w(matrix_to_quaternion(_tensor(matrices)))
    vector = q[..., 1:]
    length = vector.norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(length, q[..., :1])
    factor = torch.where(length < 1e-6, 2 * torch.ones_like(length), angle / length.clamp_min(1e-12))
    return _same_kind(vector * factor, matrices)


def skeleton_size(heads) -> float:
    """Metres: the bones of arms and legs and the trunk's height, of joint heads [J, 3], added up; as
    `binding` tells a rig's size.
    """
    heads = np.asarray(heads, np.float64)
    middle = lambda joint: (heads[INDEX[f"{joint}.L"]] + heads[INDEX[f"{joint}.R"]]) / 2  # noqa: E731
    bones = sum(np.linalg.norm(heads[b] - heads[a]) for a, b in _LIMB_BONES)
    return float(bones + np.linalg.norm(middle("upper_arm") - middle("thigh")))


def head_size(heads) -> float:
    """Metres from the head joint to the middle of the eyes, of joint heads [J, 3]. As photos tell it, 3 %
    off the head's size beside 8 % of the height alone (14 synthetic people, four photos).
    """
    eyes = heads[[INDEX["eye.L"], INDEX["eye.R"]]].mean(0)
    return float(np.linalg.norm(np.asarray(eyes - heads[INDEX["head"]], np.float64)))


def bone_stretch(heads, new_heads):
    """Symmetric 3x3 matrices [J, 3, 3] that scale every bone of `heads` to its length in `new_heads`.

    Across, all bones are scaled by the ratio of the skeletons' sizes, as a rig is bound; along itself each
    by its own, up to the next joint of its chain; a finger's last bone takes the ratio of the one before;
    head, jaw and eyes scale evenly with `head_size`.
    """
    heads, new_heads = np.asarray(heads, np.float64), np.asarray(new_heads, np.float64)
    across = skeleton_size(new_heads) / skeleton_size(heads)
    out = np.tile(across * np.eye(3), (len(heads), 1, 1))
    size = head_size(new_heads) / head_size(heads)
    size = np.clip(size, 0.8, 1.25) if np.isfinite(size) else 1.0
    for name in ("head", "jaw", "eye.L", "eye.R"):
        out[INDEX[name]] = size * np.eye(3)
    for name, following in NEXT.items():
        a, b = INDEX[name], INDEX[following]
        bone = heads[b] - heads[a]
        length = np.linalg.norm(bone)
        ratio = np.linalg.norm(new_heads[b] - new_heads[a]) / length
        along = (ratio - across) * np.outer(bone, bone) / length**2
        out[a] += along
        if following[:-3].isalpha() and following[-3] == "3":
            out[b] += along
    return out.astype(np.float32)


def joint_transforms(template, rotations, root_translation=0, joint_heads=None):
    """Skinning matrices G [J, 4, 4], canonical -> posed; identity at the zero pose.

    rotations [J, 3] axis-angle, joint-local, in the canonical frame's axes; root_translation [3] metres moves
    the pelvis. With `joint_heads` [J, 3], the canonical skeleton of one person, G also carries the mean
    template's canonical space to that person: bones are scaled (`bone_stretch`) and start at the person's
    joints. To pose a mesh that is already in the person's own canonical space, pass
    `dataclasses.replace(template, joint_heads=person.joint_heads)` as the template and no `joint_heads`.
    """
    local = _tensor(rotation_matrices(rotations))
    mean = _tensor(template.joint_heads, like=local).to(local)
    if joint_heads is None:
        heads, stretch = mean, None
    else:
        heads = _tensor(joint_heads, like=local).to(local)
        stretch = torch.as_tensor(bone_stretch(template.joint_heads, heads.detach().cpu().numpy())).to(local)
    turn, place = [], []
    for j, parent in enumerate(template.joint_parents):
        if parent < 0:
            turn.append(local[j])
            place.append(heads[j] + _tensor(root_translation, like=local).to(local))
        else:
            turn.append(turn[parent] @ local[j])
            place.append(turn[parent] @ (heads[j] - heads[parent]) + place[parent])
    turn, place = torch.stack(turn), torch.stack(place)
    linear = turn if stretch is None else turn @ stretch
    return _same_kind(_affine(linear, place - (linear @ mean[..., None])[..., 0]), rotations)


def _affine(linear, translation):
    top = torch.cat([linear, translation[..., None]], -1)
    bottom = torch.tensor([0.0, 0, 0, 1], dtype=top.dtype, device=top.device).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], -2)


def _cofactors(m):
    """det(m) times the transposed inverse of matrices [..., 3, 3].

    Written out: a batched LAPACK call waits for torch's threads, for tens of milliseconds on a busy machine.
    """
    return torch.linalg.cross(m.roll(-1, -2), m.roll(-2, -2))


def rotation_part(linear, steps=6):
    """The rotation of R S with S symmetric positive (polar decomposition, Higham's Newton iteration)."""
    det = (linear[..., 0, :] * _cofactors(linear)[..., 0, :]).sum(-1)
    size = linear.abs().amax((-2, -1))
    flat = det.abs() <= 1e-6 * size**3  # scaled to nothing, as riggers hide a limb: no rotation to speak of
    unit = torch.where(flat, torch.ones_like(det), det.abs()).pow(1 / 3)  # centimetres converge like metres
    r = torch.where(flat[..., None, None], torch.eye(3).to(linear), linear / unit[..., None, None])
    for _ in range(steps):
        cofactors, before = _cofactors(r), r
        r = 0.5 * (r + cofactors / (r[..., 0, :] * cofactors[..., 0, :]).sum(-1)[..., None, None])
        if r.device.type == "cpu" and not r.requires_grad and (r - before).abs().max() < 1e-6:
            break  # rigid bones: there at once; on a graphics card, asking would wait for it
    return r


def pose_features(transforms, parents=None):
    """Skinning matrices [..., J, 4, 4] -> local axis-angle [..., J-1, 3], each joint relative to its parent.

    The pelvis is left out. Stretch by a person's bone lengths is removed first.
    """
    from .skeleton import joint_parents

    parents = joint_parents() if parents is None else parents
    turn = rotation_part(_tensor(transforms)[..., :3, :3])
    above = turn[..., torch.as_tensor(np.array(parents[1:]), dtype=torch.long), :, :]
    return _same_kind(axis_angles(above.transpose(-1, -2) @ turn[..., 1:, :, :]), transforms)
