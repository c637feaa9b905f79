# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of the network, stored in its checkpoint."""

from __future__ import annotations

from dataclasses import Field, asdict, dataclass, field, fields, replace

from ..decoder import SLOPE
from ..errors import UserError


class ConfigError(UserError):
    """A configuration that cannot describe a network."""


LATER = {
    "dual_branch": True,
    "expression_codes": False,
}  # what older files were made with
MAX_NAME = 100  # characters
MAX_HEAD = 512  # channels of one head of attention


def within(default, low, high):
    """A field with a number, or a tuple of numbers, from `low` to `high`; whole ones where the default is."""
    return field(default=default, metadata={"range": (low, high)})


def one_of(*choices: str):
    """A field with one of some words, the first by default."""
    return field(default=choices[0], metadata={"choices": choices})


@dataclass(frozen=True)
class ModelConfig:
    """The LCA network. "(open)" marks a value that the paper does not state: a documented choice of ours.

    Values are checked against their fields' ranges, which bound what a file can ask for: `ConfigError`.
    """

    name: str = "starter"

    # Photos: height, width in pixels.
    body_size: tuple[int, int] = within((128, 96), 8, 2048)  # (open)
    face_size: tuple[int, int] = within((128, 96), 8, 2048)  # (open)
    encoder: str = one_of("starter", "sapiens", "sapiens2")
    encoder_width: int = within(192, 1, 8192)  # channels of the encoder's features; 1536 for Sapiens-1B
    encoder_layers: int = within(0, 0, 64)  # transformer layers inside the encoder (Sapiens-1B: 40)
    encoder_heads: int = within(6, 1, 256)
    patch: int = within(16, 8, 64)

    # Transformer.
    width: int = within(192, 4, 8192)
    layers: int = within(3, 1, 64)
    heads: int = within(3, 1, 256)  # (open)
    mlp_ratio: float = within(4.0, 0.5, 16)  # (open)
    activation: str = one_of("silu", "gelu")  # (open) of the transformer's feed-forward parts
    qk_norm: bool = True  # (open) RMS normalisation of queries and keys
    register_tokens: int = within(4, 0, 1024)
    dual_branch: bool = True  # face photos meet the face's tokens apart; else all photos meet all tokens
    rope_base: float = within(100.0, 1, 1e6)  # (open)
    expression_codes: bool = False  # has an encoder of its own that reads them from photos of faces
    gate_init: float = within(1.0, 0, 1)  # (open) 0 is AdaLN-Zero's start; 1 starts as a plain residual block
    global_width: int = within(64, 1, 8192)  # (open) width of the global feature

    # Geometry tokens.
    fourier_bands: int = within(8, 1, 32)  # (open) 8 bands, both waves, and xyz: 51 numbers
    tokens: int = within(2048, 1, 1 << 17)  # at creation
    training_tokens: tuple[int, int] = within((192, 1024), 1, 1 << 17)  # range of counts seen in training
    face_fraction: float = within(0.5, 0, 1)
    gaussians_per_token: int = within(32, 1, 256)

    # Decoders.
    decoder_width: int = within(128, 1, 4096)
    decoder_layers: int = within(4, 2, 10)
    joints: int = within(58, 1, 256)
    expression_width: int = within(128, 1, 4096)
    gaze_width: int = within(6, 1, 64)  # (open) two unit vectors

    # Gaussians.
    child_pattern: str = one_of("sunflower", "point")  # (open) point: all children start on their anchor
    # (open) spacing: sigma = exp(x) * scale_init * child spacing; absolute: exp(x) metres
    scale_mode: str = one_of("spacing", "absolute")
    scale_init: float = within(0.62, 1e-6, 10)  # of the child spacing, or metres when absolute
    scale_normal: float = within(0.5, 1e-3, 10)  # (open) along the surface normal, relative to the tangents
    scale_max: float = within(0.15, 1e-4, 10)  # (open) metres
    opacity_init: float = within(0.8, 1e-4, 0.9999)  # (open)
    max_offset: float = within(1.0, 0, 10)  # (open) metres: offsets lie within half of it
    delta_color: float = within(0.3, 0, 10)  # (open) units of the pose decoder's outputs
    delta_mean: float = within(0.1, 0, 10)  # (open) metres
    delta_rotation: float = within(0.3, 0, 10)  # (open)
    delta_scale: float = within(0.3, 0, 10)  # (open) of the log scale

    # Beyond the paper: what a small model without captured data needs. All off in `paper`.
    masked_photos: bool = True  # background replaced by grey, the matte as fourth channel
    pixel_values: bool = True  # a last attention whose values are raw photo pixels
    pixel_heads: int = within(4, 1, 256)
    pixel_blocks: int = within(4, 1, 64)  # blocks along a patch's side: the pixels an attention value holds
    sampled_pixels: bool = True  # photo colours at the Gaussians' places on the template
    match_radius_body: float = within(0.06, 1e-4, 10)  # metres
    match_radius_face: float = within(0.03, 1e-4, 10)
    density_input: bool = True  # log density of the anchors as token input

    def __post_init__(self):
        for f in fields(self):
            if isinstance(getattr(self, f.name), list):  # as JSON has it
                object.__setattr__(self, f.name, tuple(getattr(self, f.name)))
            if told := _misfit(f, getattr(self, f.name)):
                raise ConfigError(f"The network's {f.name} must be {told}.")
        if self.width % (4 * self.heads) or self.width > MAX_HEAD * self.heads:
            raise ConfigError(
                f"The network's width {self.width} does not split into {self.heads} heads of a multiple of 4"
                f" that is at most {MAX_HEAD}."
            )
        if self.encoder_width % self.encoder_heads:
            raise ConfigError(
                f"The encoder's width {self.encoder_width} does not split into {self.encoder_heads} heads."
            )
        for size in (self.body_size, self.face_size):
            if size[0] % self.patch or size[1] % self.patch:
                raise ConfigError(
                    f"A photo size of {size} is no multiple of the patch of {self.patch} pixels."
                )
        if self.pixel_values and (self.width % self.pixel_heads or self.patch % self.pixel_blocks):
            raise ConfigError("Width must split into the pixel heads, and the patch into the pixel blocks.")
        if self.training_tokens[0] > self.training_tokens[1]:
            raise ConfigError("The network's training_tokens must be a range, the larger number last.")

    @property
    def image_channels(self) -> int:
        """Channels of a photo as the encoder sees it."""
        return 4 if self.masked_photos else 3

    @property
    def signal_width(self) -> int:
        """Length of the driving signal: (J-1) axis-angle rotations, expression code, gaze vectors."""
        return (self.joints - 1) * 3 + self.expression_width + self.gaze_width

    @property
    def code_place(self) -> slice:
        """Where the expression code stands in the driving signal."""
        first = (self.joints - 1) * 3
        return slice(first, first + self.expression_width)

    @property
    def delta_units(self) -> tuple[float, ...]:
        """The 13 units of the pose decoder's outputs: colour 3, mean 3, quaternion 4, log scale 3."""
        return (
            (self.delta_color,) * 3
            + (self.delta_mean,) * 3
            + (self.delta_rotation,) * 4
            + (self.delta_scale,) * 3
        )

    @property
    def token_inputs(self) -> int:
        """Numbers an anchor enters the network with."""
        sampled = 4 * self.gaussians_per_token + 1 if self.sampled_pixels else 0
        return 3 + 6 * self.fourier_bands + int(self.density_input) + sampled

    def to_json(self) -> dict:
        """Plain values for a checkpoint's header."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict) -> ModelConfig:
        """Inverse of `to_json`; unknown or missing fields are an error, but for those of `LATER` and the
        slope of the decoders' leaky ReLU, which older files state."""
        known = {f.name for f in fields(ModelConfig)}
        values = {**LATER, **values} if isinstance(values, dict) else values
        slope = values.pop("decoder_slope", SLOPE) if isinstance(values, dict) else SLOPE
        if slope != SLOPE:
            raise ConfigError(
                f"The model's decoders use a leaky ReLU of slope {slope!r:.20}; avatars play with {SLOPE}.",
                "Train the model again with this version.",
            )
        if not isinstance(values, dict) or set(values) != known:
            odd = sorted(set(values) ^ known)[0] if isinstance(values, dict) else "no dictionary"
            raise ConfigError(f"The model's configuration does not fit this version (first: {odd[:60]!r}).")
        return ModelConfig(**values)

    def with_(self, **changes) -> ModelConfig:
        """A copy with some fields changed."""
        return replace(self, **changes)


def _misfit(f: Field, value) -> str:
    """What a field's value must be, empty where it is that."""
    if isinstance(f.default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if choices := f.metadata.get("choices"):
        return "" if isinstance(value, str) and value in choices else f"one of {', '.join(choices)}"
    if isinstance(f.default, str):
        return (
            "" if isinstance(value, str) and len(value) <= MAX_NAME else f"a text of up to {MAX_NAME} letters"
        )
    low, high = f.metadata["range"]
    several = isinstance(f.default, tuple)
    first, numbers = (f.default[0], value) if several else (f.default, (value,))
    kinds = (int,) if isinstance(first, int) else (int, float)
    holds = isinstance(numbers, tuple) and len(numbers) == (len(f.default) if several else 1)
    if holds and all(type(number) in kinds and low <= number <= high for number in numbers):
        return ""
    whole = "whole " if kinds == (int,) else ""
    return f"{'two' if several else 'a'} {whole}number{'s' if several else ''} from {low} to {high}"


STARTER = ModelConfig()

SMALL = ModelConfig(
    name="small",
    body_size=(256, 192),
    face_size=(256, 192),
    encoder_width=384,
    encoder_layers=2,
    width=384,
    layers=6,
    heads=6,
    global_width=128,
    tokens=2048,
    training_tokens=(512, 2048),
)

PAPER = ModelConfig(
    name="paper",
    body_size=(1024, 768),
    face_size=(1024, 768),
    encoder="sapiens",
    encoder_width=1536,
    encoder_layers=40,
    encoder_heads=24,
    width=1024,
    layers=8,
    heads=16,
    activation="gelu",
    gate_init=0.0,
    global_width=1024,
    tokens=8192,
    training_tokens=(8192, 8192),
    gaussians_per_token=8,
    child_pattern="point",
    scale_mode="absolute",
    scale_init=0.0067,
    scale_normal=1.0,
    scale_max=0.05,
    opacity_init=0.1,
    expression_codes=True,
    masked_photos=False,
    pixel_values=False,
    sampled_pixels=False,
    density_input=False,
)

PRESETS = {c.name: c for c in (STARTER, SMALL, PAPER)}


def preset(name: str) -> ModelConfig:
    """The configuration called `name`: starter, small or paper."""
    if name not in PRESETS:
        raise ConfigError(
            f"There is no model preset called {name!r}.", f"Choose one of: {', '.join(PRESETS)}."
        )
    return PRESETS[name]
