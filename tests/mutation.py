"""Damage to files, drawn from a seed: a value that is gone or of another kind, and bytes that are gone or others."""

import copy
import random
from collections.abc import Iterator
from typing import Any

OTHER_KINDS = (None, True, -1, 0.5, "", "text", [], [1], {}, {"key": "value"}, "../../etc/passwd", 10**30)


def places(content: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of every value inside."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutations(content: Any, count: int, seed: int = 0) -> Iterator[tuple[str, Any]]:
    """``count`` damaged copies, each with what was done to it."""
    rng = random.Random(seed)
    paths = list(places(content))
    for _ in range(count):
        damaged = copy.deepcopy(content)
        *above, last = path = rng.choice(paths)
        inner = damaged
        for key in above:
            inner = inner[key]
        if rng.random() < 0.5:
            del inner[last]
            yield f"{path} deleted", damaged
        else:
            inner[last] = rng.choice(OTHER_KINDS)
            yield f"{path} = {inner[last]!r}", damaged


def damaged_bytes(content: bytes, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """``count`` copies of a file that is cut off, lacks a piece, or has a byte changed."""
    rng = random.Random(seed)
    for _ in range(count):
        place, length = rng.randrange(len(content)), rng.randrange(1, 40)
        match rng.randrange(3):
            case 0:
                yield f"cut off at {place}", content[:place]
            case 1:
                yield f"without {length} bytes at {place}", content[:place] + content[place + length :]
            case _:
                other = bytes([rng.randrange(256)])
                yield f"byte {place} = {other!r}", content[:place] + other + content[place + 1 :]
