"""A validator of the JSON Schema keywords that lightsam's schemas use; any other keyword is an error of its own."""

from collections.abc import Iterator
from typing import Any

KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
WORDS = ("title", "description", "default", "$schema", "$defs", "type")
"""Keywords that demand nothing, and the one that is looked at first."""


def errors(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with a value, each with its place; none if it is valid."""
    return list(_errors(schema, value, "$", schema["$defs"]))


def _errors(schema: dict[str, Any], value: Any, place: str, definitions: dict[str, Any]) -> Iterator[str]:
    kind = schema.get("type")
    if kind and (not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{place} is no {kind}"
        return  # the other keywords are of values of this kind
    for keyword, wanted in schema.items():
        match keyword:
            case "$ref":
                yield from _errors(definitions[wanted.removeprefix("#/$defs/")], value, place, definitions)
            case "anyOf":
                found = [list(_errors(one, value, place, definitions)) for one in wanted]
                if all(found):
                    yield found[0][0]
            case "const":
                if value != wanted:
                    yield f"{place} is not {wanted}"
            case "enum":
                if value not in wanted:
                    yield f"{place} is none of {wanted}"
            case "minimum":
                if value < wanted:
                    yield f"{place} is below {wanted}"
            case "maximum":
                if value > wanted:
                    yield f"{place} is above {wanted}"
            case "minItems":
                if len(value) < wanted:
                    yield f"{place} has fewer than {wanted}"
            case "maxItems":
                if len(value) > wanted:
                    yield f"{place} has more than {wanted}"
            case "required":
                yield from (f"{place} lacks {key}" for key in wanted if key not in value)
            case "properties":
                for key in wanted.keys() & value.keys():
                    yield from _errors(wanted[key], value[key], f"{place}.{key}", definitions)
            case "additionalProperties":
                for key in value.keys() - schema.get("properties", {}).keys():
                    if wanted is False:
                        yield f"{place} has the unknown key {key}"
                    else:
                        yield from _errors(wanted, value[key], f"{place}.{key}", definitions)
            case "prefixItems":
                for index, (one, inner) in enumerate(zip(wanted, value, strict=False)):
                    yield from _errors(one, inner, f"{place}[{index}]", definitions)
            case "items":
                for index, inner in enumerate(value if wanted else ()):
                    yield from _errors(wanted, inner, f"{place}[{index}]", definitions)
            case _:
                assert keyword in WORDS, f"the validator does not know {keyword}"
