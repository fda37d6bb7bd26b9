"""The sizes that make one VisTR differ from another."""

from __future__ import annotations

from dataclasses import dataclass, fields

BACKBONE_CHANNELS = {
    "resnet18": (64, 128, 256, 512),
    "resnet34": (64, 128, 256, 512),
    "resnet50": (256, 512, 1024, 2048),
    "resnet101": (256, 512, 1024, 2048),
    "mobilenet_v2": (24, 32, 96, 320),
}
"""Known backbones, with their channels at strides 4, 8, 16 and 32."""

MIN_SHORT_SIDE, MAX_SHORT_SIDE = 32, 4320
"""Allowed shorter sides of the input in pixels: a token of the last stage, and 8K video."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What has to be known to build the network; the defaults are the published VisTR's.

    Attributes:
        backbone: A key of `BACKBONE_CHANNELS`.
        hidden_dim: Width D of the transformer; a multiple of 48, which the position encoding (3
            axes, sine and cosine) and the mask head (halved four times) need.
        heads: Attention heads, a divisor of `hidden_dim`.
        ffn_dim: Inner width of the transformer's feed-forward layers.
        encoder_layers: Layers of the transformer encoder.
        decoder_layers: Layers of the transformer decoder.
        num_classes: Columns of the class head without the last one, no-object: the dummy id 0, then
            the category ids.
        frames: Frames T in a window.
        slots: Instance slots K; the queries are T·K.
        dilation: Whether the last backbone stage is dilated instead of strided (DC5).
        deformable: Whether the mask head's last convolution moves its taps. On a CPU that costs
            more than the rest of the heads together.
        short_side: Shorter side of the input in pixels.

    Raises:
        ValueError: A value is impossible or unknown.

    Source: VisTR (Wang et al., CVPR 2021) and its public code at 445c9e4.
    """

    backbone: str = "resnet50"
    hidden_dim: int = 384
    heads: int = 8
    ffn_dim: int = 2048
    encoder_layers: int = 6
    decoder_layers: int = 6
    num_classes: int = 41
    frames: int = 36
    slots: int = 10
    dilation: bool = False
    deformable: bool = True
    short_side: int = 300

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONE_CHANNELS:
            known = ", ".join(BACKBONE_CHANNELS)
            raise ValueError(f"backbone is {self.backbone!r}; known: {known}")
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is int and value < 1:
                raise ValueError(f"{field.name} is {value}; expected at least 1")
        if not MIN_SHORT_SIDE <= self.short_side <= MAX_SHORT_SIDE:
            allowed = f"from {MIN_SHORT_SIDE} to {MAX_SHORT_SIDE}"
            raise ValueError(f"short_side is {self.short_side}; expected {allowed}")
        if self.hidden_dim % 48 or self.hidden_dim % self.heads:
            raise ValueError(
                f"hidden_dim is {self.hidden_dim}; expected a multiple of 48 and of the "
                f"{self.heads} heads"
            )
        if self.dilation and self.backbone not in ("resnet50", "resnet101"):
            raise ValueError(f"dilation is on; only resnet50 and resnet101, not {self.backbone}")

    @property
    def backbone_channels(self) -> tuple[int, int, int, int]:
        """Channels of the backbone's levels at strides 4, 8, 16 and 32."""
        return BACKBONE_CHANNELS[self.backbone]

    @property
    def queries(self) -> int:
        """Rows of the query embedding: T·K, frame-major."""
        return self.frames * self.slots


RESNET50 = Architecture()
"""The published ``vistr_r50.pth``."""

RESNET101 = Architecture(backbone="resnet101")
"""The published ``vistr_r101.pth``."""

LIGHT = Architecture(
    backbone="mobilenet_v2",
    hidden_dim=192,
    ffn_dim=768,
    encoder_layers=3,
    decoder_layers=4,
    deformable=False,
    short_side=160,
)
"""The default weights' architecture, except for their short side: about a tenth of `RESNET50`'s
parameters."""
