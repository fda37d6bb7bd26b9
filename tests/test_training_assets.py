"""Assets in a folder, and what is said where one is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.errors import SourceError
from training.assets import BACKBONE, VIDEO, Assets


def lay(folder: Path, *places: str) -> Assets:
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).touch()
    return Assets(folder)


def test_files_are_found_by_name_and_category(tmp_path: Path) -> None:
    backgrounds = ("backgrounds/b.jpg", "backgrounds/a.jpg")
    sprites = ("sprites/10_monkey/1f412.webp", "sprites/02_panda/b.webp", "sprites/02_panda/a.webp")
    assets = lay(tmp_path, VIDEO, BACKBONE, *backgrounds, *sprites)
    assert assets.video == tmp_path / "video" / "vtest.avi"
    assert assets.backbone == tmp_path / "weights" / "mobilenet_v2_features_imagenet.pt"
    assert [path.name for path in assets.backgrounds()] == ["a.jpg", "b.jpg"]
    found = {number: [path.name for path in paths] for number, paths in assets.sprites().items()}
    assert found == {2: ["a.webp", "b.webp"], 10: ["1f412.webp"]}


def test_categories_are_in_order_of_their_ids_however_written(tmp_path: Path) -> None:
    assets = lay(tmp_path, "sprites/010_x/a.webp", "sprites/9_y/a.webp", "sprites/20/a.webp")
    assert list(assets.sprites()) == [9, 10, 20]


def test_drawings_may_be_missing_but_not_a_categorys(tmp_path: Path) -> None:
    assets = lay(tmp_path, "sprites/07_ape/a.webp")
    assert assets.drawings() == {}
    lay(tmp_path, "drawings/07_ape/b.svg", "drawings/07_ape/a.svg")
    assert [path.name for path in assets.drawings()[7]] == ["a.svg", "b.svg"]
    (tmp_path / "drawings" / "08_dog").mkdir()
    with pytest.raises(SourceError, match=r"drawings/08_dog/\*\.svg is missing"):
        assets.drawings()


def test_files_beside_the_assets_are_left_alone(tmp_path: Path) -> None:
    assets = lay(tmp_path, "sprites/01_person/a.webp", "sprites/README", "sprites/.cache/a")
    lay(tmp_path, "backgrounds/a.jpg", "backgrounds/a.jpg.part", "sprites/01_person/a.txt")
    assert assets.sprites() == {1: [tmp_path / "sprites" / "01_person" / "a.webp"]}
    assert assets.backgrounds() == [tmp_path / "backgrounds" / "a.jpg"]


def test_what_is_missing_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    assets = Assets(str(tmp_path))
    command = f"is missing; to fetch it: python -m training.fetch {tmp_path}$"
    with pytest.raises(SourceError, match=rf"vtest\.avi {command}"):
        _ = assets.video
    with pytest.raises(SourceError, match=rf"weights/mobilenet_v2_features_imagenet\.pt {command}"):
        _ = assets.backbone
    with pytest.raises(SourceError, match=rf"backgrounds/\*\.jpg {command}"):
        assets.backgrounds()
    with pytest.raises(SourceError, match=rf"sprites/.* {command}"):
        assets.sprites()
    (tmp_path / "sprites" / "07_ape").mkdir(parents=True)
    with pytest.raises(SourceError, match=rf"sprites/07_ape/\*\.webp {command}"):
        assets.sprites()


@pytest.mark.parametrize("name", ["ape", "00_background", "41_robot", "-1_ape", "²_ape"])
def test_a_folder_of_sprites_has_a_category_id(tmp_path: Path, name: str) -> None:
    assets = lay(tmp_path, f"sprites/{name}/a.webp")
    with pytest.raises(SourceError, match=f"sprites/{name}: expected NN_NAME"):
        assets.sprites()


def test_a_category_has_one_folder(tmp_path: Path) -> None:
    assets = lay(tmp_path, "sprites/07_ape/a.webp", "sprites/7_gorilla/a.webp")
    with pytest.raises(SourceError, match="7_gorilla: category 7 has another folder too"):
        assets.sprites()
