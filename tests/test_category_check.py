"""Category ids that mean other things are refused; how a name is spelled makes no difference."""

from __future__ import annotations

import re

import pytest

from streamer.category_check import check_categories
from streamer.errors import SourceError

KNOWN = ("", "person", "giant_panda", "class_3")


@pytest.mark.parametrize(
    "categories", [{}, {1: "person"}, {1: "Person", 2: "giant panda"}, {2: "Giant-Panda", 3: "ox"}]
)
def test_categories_that_agree(categories: dict[int, str]) -> None:
    check_categories("a.json", categories, KNOWN, "leave it out")


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ({1: "airplane", 2: "bear", 3: "ox"}, "a.json: category 1 is 'airplane', but 'person' in "
         "the weights, and 1 more differ; leave it out"),
        ({1: "person", 4: "ox"}, "a.json: category 4 ('ox') is none of the weights' 3; leave it "
         "out"),
        ({0: "person"}, "category 0 ('person') is none of"),
        ({4: "a\nb"}, "category 4 ('a\\nb') is none of"),
        ({4: "x" * 3000}, f"a.json: category 4 ('{'x' * 49}) is none of"),
        ({1: "x" * 3000}, f"category 1 is '{'x' * 49}, but 'person' in"),
    ],
)  # fmt: skip
def test_categories_that_differ(categories: dict[int, str], message: str) -> None:
    with pytest.raises(SourceError, match=re.escape(message)):
        check_categories("a.json", categories, KNOWN, "leave it out")
