# SPDX-License-Identifier: GPL-3.0-or-later
"""The expressions and the mouth shapes of speech that come with the extension, in ARKit's units."""

from ..body.arkit import ARKIT_NAMES
from .channels import MOUTH, Face, neutral


def both(**values: float) -> Face:
    """`mouthSmile=0.8` -> mouthSmileLeft and mouthSmileRight; names without sides stay."""
    found = {}
    for name, value in values.items():
        found.update({name: value} if name in ARKIT_NAMES else {f"{name}Left": value, f"{name}Right": value})
    return found


EXPRESSIONS = {
    "SMILE": ("Smile", both(mouthSmile=0.75, cheekSquint=0.45, eyeSquint=0.3, mouthDimple=0.2)),
    "LAUGH": (
        "Laugh",
        both(
            mouthSmile=0.95,
            jawOpen=0.4,
            cheekSquint=0.7,
            eyeSquint=0.5,
            mouthUpperUp=0.35,
            mouthLowerDown=0.3,
        ),
    ),
    "SURPRISE": (
        "Surprise",
        both(jawOpen=0.5, eyeWide=0.9, browInnerUp=0.9, browOuterUp=0.9, mouthFunnel=0.25),
    ),
    "ANGER": ("Anger", both(browDown=0.95, eyeSquint=0.4, noseSneer=0.6, mouthPress=0.6, mouthFrown=0.35)),
    "SADNESS": ("Sadness", both(browInnerUp=0.85, mouthFrown=0.75, mouthShrugLower=0.45, eyeBlink=0.2)),
    "FEAR": ("Fear", both(eyeWide=0.8, browInnerUp=1.0, mouthStretch=0.6, jawOpen=0.2)),
    "DISGUST": (
        "Disgust",
        both(noseSneer=0.95, mouthUpperUp=0.6, browDown=0.5, mouthFrown=0.3, cheekSquint=0.4),
    ),
    "KISS": ("Kiss", both(mouthPucker=0.95, eyeBlink=0.25)),
    "BLINK": ("Eyes Closed", both(eyeBlink=1.0)),
    "WINK": (
        "Wink",
        {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.6, "mouthSmileLeft": 0.55, "mouthSmileRight": 0.2},
    ),
}

# The 15 visemes by their usual names, each with sounds it stands for. The weights are this project's own:
# a lip closed for PP, the lower lip under the teeth for FF, the tongue out for TH, jaw and lips for vowels.
VISEMES = {
    "sil": ("silence", {}),
    "PP": ("p, b, m", both(mouthPress=0.5, mouthRollLower=0.4, mouthRollUpper=0.35, mouthPucker=0.1)),
    "FF": ("f, v", both(jawOpen=0.08, mouthRollLower=0.7, mouthUpperUp=0.3, mouthShrugUpper=0.1)),
    "TH": ("th", both(jawOpen=0.2, tongueOut=0.6, mouthLowerDown=0.25, mouthUpperUp=0.15)),
    "DD": ("t, d", both(jawOpen=0.15, mouthLowerDown=0.3, mouthUpperUp=0.15, mouthStretch=0.1)),
    "kk": ("k, g", both(jawOpen=0.22, mouthLowerDown=0.25, mouthUpperUp=0.2, mouthStretch=0.15)),
    "CH": ("ch, j, sh", both(jawOpen=0.1, mouthFunnel=0.65, mouthPucker=0.2, mouthLowerDown=0.15)),
    "SS": ("s, z", both(jawOpen=0.05, mouthStretch=0.35, mouthSmile=0.15, mouthLowerDown=0.3)),
    "nn": ("n, l", both(jawOpen=0.16, mouthLowerDown=0.2, mouthUpperUp=0.1, mouthStretch=0.1)),
    "RR": ("r", both(jawOpen=0.14, mouthFunnel=0.45, mouthPucker=0.35)),
    "aa": ("a as in car", both(jawOpen=0.6, mouthLowerDown=0.3, mouthUpperUp=0.2)),
    "E": ("e as in bed", both(jawOpen=0.32, mouthStretch=0.3, mouthSmile=0.2, mouthLowerDown=0.25)),
    "I": ("i as in tip", both(jawOpen=0.18, mouthSmile=0.45, mouthStretch=0.3, mouthLowerDown=0.25)),
    "O": ("o as in toe", both(jawOpen=0.4, mouthFunnel=0.55, mouthPucker=0.3)),
    "U": ("u as in book", both(jawOpen=0.16, mouthPucker=0.8, mouthFunnel=0.3)),
}


def expression(name: str) -> Face:
    """All 52 units of an expression of that name."""
    return neutral(ARKIT_NAMES) | EXPRESSIONS[name][1]


def viseme(name: str, weight: float = 1.0) -> Face:
    """The units of mouth and jaw for a viseme of that name, others than these left alone."""
    return neutral(MOUTH) | {unit: value * weight for unit, value in VISEMES[name][1].items()}
