from __future__ import annotations

from model.categories import YOUTUBE_VIS_2019, default_names


def test_youtube_vis_has_forty_names_in_the_order_of_their_ids() -> None:
    assert default_names(40) == YOUTUBE_VIS_2019
    assert len(set(YOUTUBE_VIS_2019)) == 40
    by_id = ("background", *YOUTUBE_VIS_2019)
    assert [by_id[n] for n in (1, 8, 20, 25, 40)] == [
        *("person", "dog", "bear", "deer", "tennis_racket"),
    ]


def test_other_counts_are_numbered() -> None:
    assert default_names(2) == ("class_1", "class_2")
    assert default_names(0) == ()
