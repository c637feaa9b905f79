# SPDX-License-Identifier: GPL-3.0-or-later
"""Erased splats: the Gaussians that an object leaves out of its avatar, by its property `Object.lca.erased`.

That text is the avatar's hash and a bit for each Gaussian, compressed. It goes with the object through undo,
copies, overrides and files; the avatar's file stays as it is. Functions take original objects.
"""

import base64
import binascii
import zlib

import bpy
import numpy as np

from .avatar_data import load_avatar

# By the object's session_uid: its avatar's hash and `erased`, and the avatar without that.
_shown: dict[int, tuple[tuple[str, str], object]] = {}


def erased(obj: bpy.types.Object, avatar) -> np.ndarray:
    """[N] bool: the Gaussians of its avatar that an object leaves out; none where the text is of another
    avatar, or damaged."""
    owner, _, text = obj.lca.erased.partition(" ")
    size = -(-len(avatar) // 8)
    try:
        bits = zlib.decompressobj().decompress(base64.b64decode(text), size) if owner == avatar.hash else b""
    except (binascii.Error, zlib.error):
        bits = b""
    if len(bits) != size:
        return np.zeros(len(avatar), bool)
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=len(avatar)).astype(bool)


def set_erased(obj: bpy.types.Object, avatar, gone: np.ndarray) -> None:
    """Leaves out the Gaussians gone [N] bool, and no other."""
    bits = base64.b64encode(zlib.compress(np.packbits(gone).tobytes())).decode()
    obj.lca.erased = f"{avatar.hash} {bits}" if gone.any() else ""


def carry_over(obj: bpy.types.Object, avatar) -> None:
    """What is erased of its avatar stays erased in `avatar`, where that is the same one in another shape."""
    owner, _, bits = obj.lca.erased.partition(" ")
    made_of = avatar.header.get("made_of")
    if bits and isinstance(made_of, dict) and made_of.get("avatar") == owner:
        obj.lca.erased = f"{avatar.hash} {bits}"


def shown_avatar(obj: bpy.types.Object):
    """The avatar of an object without what is erased; equal ones are one. Raises `UserError` as
    `load_avatar`."""
    avatar = load_avatar(obj)
    if not obj.lca.erased:
        return avatar
    key, uid = (avatar.hash, obj.lca.erased), obj.session_uid
    if uid not in _shown or _shown[uid][0] != key:
        gone = erased(obj, avatar)
        known = dict(_shown.values())
        _shown[uid] = key, known.get(key) or (avatar.take(~gone) if gone.any() else avatar)
    return _shown[uid][1]


def forget_shown() -> None:
    """Drops the kept avatars; only memory is gained."""
    _shown.clear()
