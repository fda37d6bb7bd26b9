"""The arguments of the older clip script, with its spelling, and what they are called here.

That script cut an MP4 into JPEG frames, wrote their list, ran VisTR on every 36 of them and drew
masks. Its command lines do the same job here, in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from streamer.option_check import check

THRESHOLD = 0.8
MASKS_FOLDER = "data/result_masks"
RESULTS = "results.json"
"""The script's own defaults, for command lines that count on them."""

ALIASES = {
    "weights": "--model_path",
    "results": "--save_path",
    "annotations": "--ann_path",
    "window.size": "--num_frames",
    "slots": "--num_ins",
}
"""The script's names for options that do the same, by what they are called here."""

BARE = ("--masks", "--masks_color", "--clean")
"""Switches that may stand alone or be followed by a boolean."""

BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), "true") | dict.fromkeys(
    ("false", "0", "no", "off"), "false"
)


@dataclass(frozen=True)
class ScriptArguments:
    """The arguments of the older clip script that have no single option here."""

    mp4_clip_path: str | None = None
    """The input clip: SOURCE, with the script's threshold of 0.8. Without any result asked for,
    masks go to data/result_masks and results to results.json, as the script's did."""

    img_path: str | None = None
    """Folder to save the raw frames to, 0.jpg, 1.jpg, …: --output frame=FOLDER/."""

    masks_results_path: str | None = None
    """Folder for one mask image per frame, 0.png, 1.png, …: --output binary=FOLDER/."""

    masks_color: bool = False
    """A colour per class in masks_results_path: --output classes=FOLDER/. Without it, masks are
    white on black."""

    clean: bool = False
    """First remove the images of earlier runs from img_path and masks_results_path: just files
    named by a number and .jpg or .png, and nothing anywhere else."""


def spell_booleans(arguments: Sequence[str]) -> list[str]:
    """Append `=true` to every bare switch of `BARE`, so that it does not swallow what follows."""
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
        ConfigError: There are two inputs, or ``clean`` or ``masks_color`` has no folder that it
            belongs to.
    """
    names = [field.name for field in fields(ScriptArguments)]
    asked = _with_results(ScriptArguments(**{name: options.pop(name) for name in names}), options)
    masks_style = "classes" if asked.masks_color else "binary"
    given = {"frame": asked.img_path, masks_style: asked.masks_results_path}
    folders = {style: folder for style, folder in given.items() if folder is not None}
    check(
        not asked.masks_color or masks_style in folders,
        "masks_color",
        asked.masks_color,
        "False without masks_results_path",
    )
    # The script's own folders are not written beside other results: nothing to clean, no mistake.
    check(
        not asked.clean or bool(folders) or asked.mp4_clip_path is not None,
        "clean",
        asked.clean,
        "False without img_path and masks_results_path",
    )
    if asked.mp4_clip_path is not None:
        source = options["input"]
        check(source is None, "mp4_clip_path", asked.mp4_clip_path, f"none beside SOURCE {source}")
        options["input"] = asked.mp4_clip_path
        if options["threshold"] == "auto":
            options["threshold"] = THRESHOLD
    options["output"] = options["output"] + [
        f"{style}={folder.rstrip('/')}/" for style, folder in folders.items()
    ]
    options["cleaned_folders"] = tuple(folders.values()) if asked.clean else ()
    return options


def _with_results(asked: ScriptArguments, options: dict[str, Any]) -> ScriptArguments:
    """The script's own places for results, where a clip is given and nothing says where to."""
    wanted = options["output"] or options["results"] or options["publish"]
    if asked.mp4_clip_path is None or asked.masks_results_path is not None or wanted:
        return asked
    options["results"] = [RESULTS]
    return replace(asked, masks_results_path=MASKS_FOLDER)
