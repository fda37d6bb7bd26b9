"""The arguments of the older clip script, with its spelling, and what they are called here.

That script cut an MP4 into JPEG frames, wrote their list, ran VisTR on every 36 of them and drew
masks. Its command lines do the same job here, in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from streamer.config import WindowConfig
from streamer.errors import ConfigError
from streamer.option_check import check

THRESHOLD = 0.8
MASKS_FOLDER = "data/result_masks"
RESULTS = "results.json"
"""The script's own defaults, for command lines that count on them."""

RENAMED = {
    "mp4_clip_path": "input",
    "model_path": "weights",
    "ann_path": "annotations",
    "num_ins": "slots",
}
"""Fields of `StreamConfig` by the script's names for them."""

BARE = ("--masks", "--masks_color", "--clean")
"""Switches that may stand alone or be followed by a boolean."""

BOOLEANS = {"true": "true", "1": "true", "false": "false", "0": "false"}


@dataclass(frozen=True)
class ScriptArguments:
    """Arguments of the older clip script that have another name here."""

    mp4_clip_path: str | None = None
    """The input clip: SOURCE, with the script's threshold of 0.8. Without any result asked for,
    masks go to data/result_masks and results to results.json, as the script's did."""

    model_path: str | None = None
    """Pretrained weights: --weights."""

    img_path: str | None = None
    """Folder to save the raw frames to, 0.jpg, 1.jpg, …: --output frame=FOLDER/."""

    ann_path: str | None = None
    """Where to save the input.json built from the clip: --annotations."""

    save_path: str | None = None
    """Where to save the results.json: --results."""

    masks_results_path: str | None = None
    """Folder for one mask image per frame, 0.png, 1.png, …: --output binary=FOLDER/."""

    masks_color: bool = False
    """A colour per class in masks_results_path: --output classes=FOLDER/. Without it, masks are
    white on black."""

    clean: bool = False
    """First remove the images of earlier runs from img_path and masks_results_path: just files
    named by a number and .jpg or .png, and nothing anywhere else."""

    num_frames: int | None = None
    """Frames in a window: --window.size."""

    num_ins: int | None = None
    """Instance slots in a window: --slots."""


def spell_booleans(arguments: Sequence[str]) -> list[str]:
    """Give every switch of `BARE` its value, so that none takes what follows for it.

    A switch is followed by a boolean or by something else, which is then not its own.
    """
    spelled: list[str] = []
    for argument in arguments:
        bare = bool(spelled) and spelled[-1] in BARE
        if bare and argument.lower() in BOOLEANS:
            spelled[-1] += "=" + BOOLEANS[argument.lower()]
            continue
        if bare:
            spelled[-1] += "=true"
        name, equals, value = argument.partition("=")
        spoken = BOOLEANS.get(value.lower(), value)
        spelled.append(f"{name}={spoken}" if equals and name in BARE else argument)
    if spelled and spelled[-1] in BARE:
        spelled[-1] += "=true"
    return spelled


def translate(options: dict[str, Any]) -> dict[str, Any]:
    """Fields of `StreamConfig` from the fields of both, those of `ScriptArguments` taken out.

    Raises:
        ConfigError: Something is given under both of its names, a folder has no name, or ``clean``
            has nothing to clean.
    """
    names = [field.name for field in fields(ScriptArguments)]
    asked = _with_results(ScriptArguments(**{name: options.pop(name) for name in names}), options)
    masks_style = "classes" if asked.masks_color else "binary"
    given = {"frame": asked.img_path, masks_style: asked.masks_results_path}
    folders = {style: folder for style, folder in given.items() if folder is not None}
    check("" not in folders.values(), "img_path or masks_results_path", "", "a folder's name")
    check(
        not asked.clean or bool(folders),
        "clean",
        asked.clean,
        "False without img_path and masks_results_path",
    )
    if asked.mp4_clip_path is not None and options["threshold"] == "auto":
        options["threshold"] = THRESHOLD
    for name, other in RENAMED.items():
        options[other] = _either(name, getattr(asked, name), other, options[other])
    window: WindowConfig = options["window"]
    size = _either("num_frames", asked.num_frames, "window.size", window.size)
    options["window"] = replace(window, size=size)
    options["output"] = options["output"] + [
        f"{style}={folder.rstrip('/')}/" for style, folder in folders.items()
    ]
    if asked.save_path is not None:
        options["results"] = [*options["results"], asked.save_path]
    options["cleaned_folders"] = tuple(folders.values()) if asked.clean else ()
    return options


def _with_results(asked: ScriptArguments, options: dict[str, Any]) -> ScriptArguments:
    """The script's own places for results, where a clip is given and nothing says where to."""
    wanted = options["output"] or options["results"] or options["publish"]
    named = (asked.save_path, asked.masks_results_path) != (None, None)
    if asked.mp4_clip_path is None or wanted or named:
        return asked
    return replace(asked, save_path=RESULTS, masks_results_path=MASKS_FOLDER)


def _either(name: str, value: Any, other: str, other_value: Any) -> Any:
    """The value of an option that has two names."""
    if value is not None and other_value is not None and value != other_value:
        raise ConfigError(
            f"{name} is {value!r} and {other} is {other_value!r}; allowed: one of them"
        )
    return other_value if value is None else value
