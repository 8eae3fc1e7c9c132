"""JSON that lightsam wrote, read back into its dataclasses: every key and every type is checked.

By msgspec (https://jcristharf.com/msgspec/), which takes plain dataclasses, names the place of what is wrong and gives
their JSON Schema.
"""

from pathlib import Path
from typing import Any, TypeVar

from lightsam.errors import ContractError

T = TypeVar("T")


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file.

    Args:
        what: what it should be, for the message: "a benchmark record".

    Raises:
        ContractError: if it is missing or no JSON.
    """
    import msgspec

    try:
        return msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise ContractError(f"{path} cannot be read as {what} ({error})") from error


def convert(content: Any, cls: type[T], origin: Path, what: str) -> T:
    """JSON as a dataclass.

    Raises:
        ContractError: naming the first key that is missing or of another type, by its place.
    """
    import msgspec

    try:
        return msgspec.convert(content, cls)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ContractError(f"{origin} is damaged or not {what}: {error}") from error
