"""Whether weights and annotations mean the same by their category ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamer.errors import SourceError


def check_categories(
    what: str, categories: Mapping[int, str], known: Sequence[str], remedy: str
) -> None:
    """See that annotations use no category id that the weights know as something else.

    Case, and whether words are joined by spaces, hyphens or underscores, make no difference.

    Args:
        what: The annotations, for the message.
        categories: Names by category id, of the annotations.
        known: Names by category id, of the weights; ``class_N`` stands for one without a name.
        remedy: What to do if they differ, for the message.

    Raises:
        SourceError: They differ; the message has the first difference.
    """
    different = []
    for category_id, name in categories.items():
        if not 1 <= category_id < len(known):
            others = f"the weights' {len(known) - 1}"
            different.append(f"{category_id} ({name!r:.50}) is none of {others}")
            continue
        own = known[category_id]
        if own != f"class_{category_id}" and folded(own) != folded(name):
            different.append(f"{category_id} is {name!r:.50}, but {own!r:.50} in the weights")
    if different:
        more = f", and {len(different) - 1} more differ" if len(different) > 1 else ""
        raise SourceError(f"{what}: category {different[0]}{more}; {remedy}")


def folded(name: str) -> str:
    """What is left of a name without what makes no difference."""
    return name.casefold().replace("-", "_").replace(" ", "_")
