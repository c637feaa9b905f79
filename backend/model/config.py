# SPDX-License-Identifier: GPL-3.0-or-later
"""Every number of the network, in one frozen record that a checkpoint carries."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from ..decoder import SLOPE
from ..errors import UserError


class ConfigError(UserError):
    """A configuration that cannot describe a network."""


LATER = {
    "dual_branch": True,
    "expression_codes": False,
}  # what older files were made with


@dataclass(frozen=True)
class ModelConfig:
    """The LCA network. "(open)" marks a value that the paper does not state: a documented choice of ours."""

    name: str = "starter"

    # Photos: height, width in pixels.
    body_size: tuple[int, int] = (128, 96)  # (open)
    face_size: tuple[int, int] = (128, 96)  # (open)
    encoder: str = "starter"  # "starter", "sapiens" or "sapiens2"
    encoder_width: int = 192  # channels of the encoder's features; 1536 for Sapiens-1B
    encoder_layers: int = 0  # transformer layers inside the encoder (Sapiens-1B: 40)
    encoder_heads: int = 6
    patch: int = 16

    # Transformer.
    width: int = 192
    layers: int = 3
    heads: int = 3  # (open)
    mlp_ratio: float = 4.0  # (open)
    activation: str = "silu"  # (open) of the transformer's feed-forward parts: "gelu" or "silu"
    qk_norm: bool = True  # (open) RMS normalisation of queries and keys
    register_tokens: int = 4
    dual_branch: bool = True  # face photos meet the face's tokens apart; else all photos meet all tokens
    rope_base: float = 100.0  # (open)
    expression_codes: bool = False  # has an encoder of its own that reads them from photos of faces
    gate_init: float = 1.0  # (open) 0 is AdaLN-Zero's start; 1 starts as a plain residual block
    global_width: int = 64  # (open) width of the global feature

    # Geometry tokens.
    fourier_bands: int = 8  # (open) 8 bands, both waves, and xyz: 51 numbers
    tokens: int = 2048  # at creation
    training_tokens: tuple[int, int] = (192, 1024)  # range of counts seen in training
    face_fraction: float = 0.5
    gaussians_per_token: int = 32

    # Decoders.
    decoder_width: int = 128
    decoder_layers: int = 4
    joints: int = 58
    expression_width: int = 128
    gaze_width: int = 6  # (open) two unit vectors

    # Gaussians.
    child_pattern: str = "sunflower"  # (open) or "point": all children start on their anchor
    scale_mode: str = (
        "spacing"  # (open) sigma = exp(x) * scale_init * child spacing; "absolute": exp(x) metres
    )
    scale_init: float = 0.62  # of the child spacing, or metres when absolute
    scale_normal: float = 0.5  # (open) along the surface normal, relative to the tangents
    scale_max: float = 0.15  # (open) metres
    opacity_init: float = 0.8  # (open)
    max_offset: float = 1.0  # (open) metres: offsets lie within half of it
    delta_color: float = 0.3  # (open) units of the pose decoder's outputs
    delta_mean: float = 0.1  # (open) metres
    delta_rotation: float = 0.3  # (open)
    delta_scale: float = 0.3  # (open) of the log scale

    # Beyond the paper: what a small model without captured data needs. All off in `paper`.
    masked_photos: bool = True  # background replaced by grey, the matte as fourth channel
    pixel_values: bool = True  # a last attention whose values are raw photo pixels
    pixel_heads: int = 4
    pixel_blocks: int = 4  # blocks along a patch's side: the pixels an attention value holds
    sampled_pixels: bool = True  # photo colours at the Gaussians' places on the template
    match_radius_body: float = 0.06  # metres
    match_radius_face: float = 0.03
    density_input: bool = True  # log density of the anchors as token input

    def __post_init__(self):
        for name in ("body_size", "face_size", "training_tokens"):
            object.__setattr__(self, name, tuple(int(x) for x in getattr(self, name)))
        if self.width % self.heads or (self.width // self.heads) % 4:
            raise ConfigError(
                f"Width {self.width} does not split into {self.heads} heads of a multiple of 4."
            )
        for size in (self.body_size, self.face_size):
            if len(size) != 2 or size[0] % self.patch or size[1] % self.patch:
                raise ConfigError(
                    f"A photo size of {size} is no multiple of the patch of {self.patch} pixels."
                )
        if self.pixel_values and (self.width % self.pixel_heads or self.patch % self.pixel_blocks):
            raise ConfigError("Width must split into the pixel heads, and the patch into the pixel blocks.")
        if self.child_pattern not in ("sunflower", "point"):
            raise ConfigError(f"There is no child pattern called {self.child_pattern!r}.")
        if self.scale_mode not in ("spacing", "absolute"):
            raise ConfigError(f"There is no scale mode called {self.scale_mode!r}.")
        if self.encoder not in ("starter", "sapiens", "sapiens2"):
            raise ConfigError(f"There is no encoder called {self.encoder!r}.")
        if self.activation not in ("gelu", "silu"):
            raise ConfigError(f"There is no activation called {self.activation!r}.")
        if self.decoder_layers < 2:
            raise ConfigError("A decoder needs at least two layers.")

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
            odd = sorted(set(values) ^ known) if isinstance(values, dict) else "no dictionary"
            raise ConfigError(f"The model's configuration does not fit this version (differs in: {odd}).")
        return ModelConfig(**values)

    def with_(self, **changes) -> ModelConfig:
        """A copy with some fields changed."""
        return replace(self, **changes)


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
