"""JSON and TOML as dataclasses: every key and every type is checked, and each kind of file has a JSON Schema.

By msgspec (https://jcristharf.com/msgspec/), which takes plain dataclasses, names the place of what is wrong and gives
their schema.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from lightsam.errors import ContractError, LightSamError

T = TypeVar("T")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def read_json(path: Path, what: str, error: type[LightSamError] = ContractError) -> Any:
    """The content of a JSON file.

    Args:
        what: what it should be, for the message: "a benchmark record".
        error: raised when it is not.

    Raises:
        LightSamError: if it is missing or no JSON.
    """
    try:
        return parse_json(path.read_bytes(), path, what, error)
    except OSError as problem:
        raise error(f"{path} cannot be read as {what} ({problem})") from problem


def parse_json(content: bytes | str, origin: object, what: str, error: type[LightSamError] = ContractError) -> Any:
    """JSON that was read already, such as one line of a file.

    Args:
        origin: where it comes from, for the message.

    Raises:
        LightSamError: if it is no JSON.
    """
    import msgspec

    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise error(f"{origin} cannot be read as {what} ({problem})") from problem


def convert(content: Any, cls: type[T], origin: object, what: str, error: type[LightSamError] = ContractError) -> T:
    """What a file holds as a dataclass.

    Args:
        origin: where it comes from, for the message.

    Raises:
        LightSamError: naming the first key that is missing or of another type, by its place.
    """
    import msgspec

    try:
        return msgspec.convert(content, cls)
    # A dataclass may refuse a value by itself: that is a ValueError, which msgspec passes on with the place.
    except (msgspec.ValidationError, RecursionError) as problem:
        raise error(f"{origin} is damaged or not {what}: {problem}") from problem


def schema_of(cls: type, what: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a file, with the words that stand behind its fields in the code.

    Args:
        cls: the dataclass that `convert` makes of the file's content.
        what: the kind of file, which becomes the title.
    """
    import msgspec

    content = msgspec.json.schema(cls)
    definitions = content["$defs"]
    for known in _classes(cls, set()):
        meanings = _meanings(known)
        for name, field in definitions[known.__name__]["properties"].items():
            if name in meanings:
                field["description"] = meanings[name]
    top = definitions[cls.__name__]
    if "schema" in top["properties"]:  # the number that readers check before anything else
        top["properties"]["schema"] = {"const": top["properties"]["schema"]["default"]}
        top["required"].append("schema")
    return {"$schema": DIALECT, "title": what, **content}


def _classes(kind: Any, known: set[type]) -> Iterator[type]:
    """A class with fields, and those that its fields are made of."""
    for inner in get_args(kind):
        yield from _classes(inner, known)
    ours = isinstance(kind, type) and kind.__module__.startswith("lightsam") and not issubclass(kind, Enum)
    if ours and kind not in known:
        known.add(kind)
        yield kind
        for hint in get_type_hints(kind).values():
            yield from _classes(hint, known)


def _meanings(cls: type) -> dict[str, str]:
    """The text behind each field of a class."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, behind in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(behind, ast.Expr):
            found[field.target.id] = inspect.cleandoc(ast.literal_eval(behind.value)).replace("\n", " ")
    return found
