# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the person in one photo: orientation, matte, and landmarks of body, face and hands."""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import UserError
from .landmarks.face import Face, find_face
from .landmarks.hands import Hand, find_hand
from .landmarks.people import SURE, Person, find_people
from .landmarks.pose import INDEX, NAMES, Pose
from .matting import matte_of

TURN_FROM = np.radians(60)  # a photo whose person is tilted by more is rotated
ALIKE = 0.4  # of the chosen person's prominence, from which another person is reported
LEGS = ("left_hip", "left_knee", "left_ankle", "left_heel", "left_foot")


class NoPersonError(UserError):
    """No person was found in a photo."""


@dataclass(frozen=True)
class Sighting:
    """One photo of H x W pixels with one person.

    rgb float32 [H,W,3] sRGB in 0..1, turned so that the person is upright; matte float32 [H,W], the person's
    coverage; pose, face (or None) and hands ("left", "right"; None where not seen): landmarks in pixels of
    `rgb`; turns: quarter turns, counter-clockwise, from the photo as given to `rgb`; people: all that were
    found, from left to right, and `chosen`, which of them this is; sure: detected with high confidence;
    cut_out: the matte is the user's own.
    """

    rgb: np.ndarray
    matte: np.ndarray
    pose: Pose
    face: Face | None
    hands: dict[str, Hand | None]
    turns: int = 0
    people: tuple[Person, ...] = ()
    chosen: int = 0
    sure: bool = True
    cut_out: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return self.matte.shape

    def swapped(self, part: str) -> "Sighting":
        """The same with left and right exchanged: of the "body", as if it faced away, or of the "legs"."""
        order = np.arange(len(NAMES))
        for name in NAMES:
            if "left" in name and (part == "body" or name in LEGS):
                pair = [INDEX[name], INDEX[name.replace("left", "right")]]
                order[pair] = pair[::-1]
        pose, away = self.pose, -1 if part == "body" else 1
        pose = replace(
            pose,
            points=pose.points[order],
            visibility=pose.visibility[order],
            presence=pose.presence[order],
            world=pose.world[order] * (1, 1, away),
        )
        hands = self.hands
        if part == "body":
            hands = {"left": hands.get("right"), "right": hands.get("left")}
        return replace(self, pose=pose, hands=hands)

    def remarks(self, name: str, people: bool = True) -> list[str]:
        """Remarks for the user on how the photo was read, one sentence each; people: also that it shows
        several.
        """
        notes = []
        if self.turns:
            how = {1: "by 90 degrees", 2: "upside down", 3: "by 90 degrees"}[self.turns]
            notes.append(f"{name} was rotated {how}: the person in it is not upright.")
        others = [person for n, person in enumerate(self.people) if n != self.chosen]
        least = ALIKE * self.people[self.chosen].prominence
        if people and any(person.prominence > least for person in others):
            which = f"number {self.chosen + 1} of {len(self.people)} from the left"
            notes.append(f"{name} shows {len(self.people)} people; {which} was used. Another can be chosen.")
        if not self.sure:
            notes.append(f"The person in {name} was detected with low confidence; check the result.")
        return notes


def see(
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    name: str = "The photo",
    person: int | tuple[float, float] | None = None,
    device: str = "cpu",
) -> Sighting:
    """Finds the person in a photo.

    rgb float32 [H,W,3] sRGB in 0..1; alpha [H,W] in 0..1 or None: where it is given, it is the matte. person:
    which one, counted from the left from 1, or by its place, x and y in shares of the photo's width and
    height; None takes the most prominent. Raises `NoPersonError`.
    """
    image = _eight_bit(rgb, alpha)
    people = find_people(image, device)
    if not people:
        raise _no_person(name)
    turns = round(people[0].angle / (np.pi / 2)) % 4 if abs(people[0].angle) > TURN_FROM else 0
    if turns:  # a body turned clockwise becomes upright by rotating the photo counter-clockwise
        turned = find_people(_turned(image, turns), device)
        if turned and turned[0].quality >= min(people[0].quality, SURE):
            rgb, alpha, image = (None if a is None else _turned(a, turns) for a in (rgb, alpha, image))
            people = turned
        else:  # the first look mistook somebody bent or half hidden
            turns = 0
    listed = sorted(people, key=lambda found: found.place[0])
    chosen = chosen_person(listed, person, name, turns)
    one = listed[chosen]
    return Sighting(
        rgb=rgb,
        matte=_matte(rgb, alpha, one, [other for other in listed if other is not one]),
        pose=one.pose,
        face=find_face(image, one.pose, device),
        hands={side: find_hand(image, one.pose, side, device) for side in ("left", "right")},
        turns=turns,
        people=tuple(listed),
        chosen=chosen,
        sure=one.quality > SURE,
        cut_out=alpha is not None,
    )


def chosen_person(
    people: list[Person], person: int | tuple[float, float] | None, name: str, turns: int = 0
) -> int:
    """The index of the person who is meant, as `see` takes it; turns: those made since a place was noted.

    Raises `NoPersonError` for a number that there is not.
    """
    if person is None:
        return max(range(len(people)), key=lambda n: people[n].prominence)
    if isinstance(person, tuple):
        x, y = person
        for _ in range(turns):
            x, y = y, 1 - x
        return min(range(len(people)), key=lambda n: np.hypot(people[n].place[0] - x, people[n].place[1] - y))
    if not 1 <= person <= len(people):
        raise NoPersonError(
            f"{name} shows {len(people)} people; there is no number {person}.",
            "Choose a number counted from the left.",
        )
    return person - 1


def _eight_bit(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    if alpha is not None:
        rgb = rgb * alpha[..., None] + 0.5 * (1 - alpha[..., None])
    return (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8)


def _turned(picture: np.ndarray, turns: int) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(picture, turns))


def _matte(rgb: np.ndarray, alpha: np.ndarray | None, person: Person, others: list[Person]) -> np.ndarray:
    """The person's coverage without the others: the user's alpha, or the body's mask with the photo's edges.

    Where masks overlap the higher value wins.
    """
    size = rgb.shape[:2]
    own = person.pose.mask_in(*size)
    theirs = np.zeros(size, np.float32)
    for other in others:
        np.maximum(theirs, other.pose.mask_in(*size), out=theirs)
    if alpha is not None:
        return np.where((theirs > 0.5) & (theirs > own), 0, alpha).astype(np.float32)
    return matte_of(rgb, np.minimum(own, 1 - np.where(theirs > own, theirs, 0)))


def _no_person(name: str) -> NoPersonError:
    return NoPersonError(f"{name} shows no person.", "Use a photo in which the person is clearly visible.")
