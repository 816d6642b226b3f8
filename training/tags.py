"""The tags of a clip, as they stand in one field of a CSV file."""

from collections import Counter
from collections.abc import Iterable

SEPARATOR = "|"


def parse_tags(field: str) -> tuple[str, ...]:
    """``" wave | smile"`` -> ``("smile", "wave")``, sorted; an empty field is no tag at all.

    Raises: ValueError: a tag is there twice, or nothing stands beside a separator.
    """
    if not field.strip():
        return ()
    tags = [tag.strip() for tag in field.split(SEPARATOR)]
    if "" in tags:
        raise ValueError(f"a tag of {field.strip()!r} is empty; write tags as wave|smile, or nothing for a clip without any")
    twice = [tag for tag, count in Counter(tags).items() if count > 1]
    if twice:
        raise ValueError(f"the tag {twice[0]!r} is there twice")
    return tuple(sorted(tags))


def joined(tags: Iterable[str]) -> str:
    """As one field."""
    return SEPARATOR.join(tags)
