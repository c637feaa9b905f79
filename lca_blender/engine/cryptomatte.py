# SPDX-License-Identifier: GPL-3.0-or-later
"""Cryptomatte: for every pixel the objects that cover it and how much (Friedman & Jones 2015, specification
1.2.0). Names are hashed as Cycles hashes them."""

import json

import bpy
import numpy as np


def murmur3(text: str) -> int:
    """MurmurHash3_x86_32 of UTF-8 with seed 0 (Austin Appleby, public domain)."""
    data, mask, state = text.encode(), 0xFFFFFFFF, 0

    def mixed(word: int) -> int:
        word = word * 0xCC9E2D51 & mask
        return ((word << 15 | word >> 17) & mask) * 0x1B873593 & mask

    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        state ^= mixed(int.from_bytes(data[at : at + 4], "little"))
        state = ((state << 13 | state >> 19) & mask) * 5 + 0xE6546B64 & mask
    state ^= mixed(int.from_bytes(data[whole:], "little")) if len(data) > whole else 0
    state ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = (state ^ state >> shift) * factor & mask
    return state ^ state >> 16


def matte_bits(name: str) -> int:
    """The hash whose bits are a finite float: an exponent of 0 or 255 is changed by one bit."""
    bits = murmur3(name)
    return bits ^ (1 << 23) if bits >> 23 & 255 in (0, 255) else bits


def matte_id(name: str) -> np.float32:
    """The number that stands for a name in the picture."""
    return np.uint32(matte_bits(name)).view(np.float32)


def names_of(obj: bpy.types.Object) -> dict[str, str]:
    """What an avatar object is called in each kind of matte; its asset is the topmost of its parents."""
    asset = obj
    while asset.parent is not None:
        asset = asset.parent
    material = obj.active_material.name if obj.active_material else "None"
    return {"CryptoObject": obj.name, "CryptoMaterial": material, "CryptoAsset": asset.name}


def mattes(
    names: list[str], people: np.ndarray, cover: np.ndarray, below: list[np.ndarray] | None, count: int
) -> list[np.ndarray]:
    """`count` pictures [H,W,4] of two ranks each (id, coverage), the largest coverage first.

    people [H,W,A] is the coverage of A avatars with these names, cover [H,W,1] that of all together; below:
    the same pictures of what lies behind them.
    """
    height, width = cover.shape[:2]
    ids = np.broadcast_to(np.array([matte_id(name) for name in names], np.float32), people.shape)
    shares = people
    if below:
        ranks = np.concatenate(below, -1)
        ids = np.concatenate([ids, ranks[..., 0::2]], -1)
        shares = np.concatenate([shares, ranks[..., 1::2] * (1 - cover)], -1)
    room = max(0, 2 * count - shares.shape[-1])
    ids, shares = (np.pad(one, ((0, 0), (0, 0), (0, room))) for one in (ids, shares))
    order = np.argsort(-shares, axis=-1, kind="stable")[..., : 2 * count]
    shares = np.take_along_axis(shares, order, -1)
    ids = np.where(shares > 0, np.take_along_axis(ids, order, -1), 0)
    pairs = np.stack([ids, shares], -1).astype(np.float32)
    return list(np.ascontiguousarray(pairs.reshape(height, width, count, 4).transpose(2, 0, 1, 3)))


def manifest(layer: str, kind: str, names: list[str]) -> dict[str, str]:
    """The metadata of an EXR file by which other programs find the mattes."""
    title = f"{layer}.{kind}"
    key = f"cryptomatte/{murmur3(title):08x}"[:19]
    listed = json.dumps({name: f"{matte_bits(name):08x}" for name in names}, separators=(",", ":"))
    return {
        f"{key}/name": title,
        f"{key}/hash": "MurmurHash3_32",
        f"{key}/conversion": "uint32_to_float32",
        f"{key}/manifest": listed,
    }
