"""The options of ``lightsam export`` that come from the formats: each format's own `Options` are turned into flags."""

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from lightsam.errors import UsageError

if TYPE_CHECKING:
    from lightsam_exporters.formats.options import Described, Options

_PANEL = "What the files are like"


class ExportCommand(TyperCommand):
    """The command with the formats' options, which are made when it is run or its help is shown, and not before."""

    @cached_property
    def _of_formats(self) -> list[Any]:
        from lightsam_exporters.formats import FORMATS, describe_format

        owners: dict[str, list[str]] = {}
        described: dict[str, Described] = {}
        precisions: dict[str, list[str]] = {}
        for name in FORMATS:
            one = describe_format(name)
            precisions.setdefault(", ".join(one.options.precisions()), []).append(name)
            for option in one.options.described():
                owners.setdefault(option.name, []).append(one.title)
                described[option.name] = option
        words = "; ".join(f"{' and '.join(names)}: {choices}" for choices, names in precisions.items())
        parameters = [_parameter("precision", str, f"The first is the default. {words}.", None)]
        for name, option in described.items():
            text = f"{', '.join(owners[name])}: {option.help}"
            parameters.append(_parameter(name, option.type, text, option.default))

        def taking() -> None:
            """A function as typer reads one: by its signature."""

        taking.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        taking.__annotations__ = {one.name: one.annotation for one in parameters}
        app = typer.Typer(add_completion=False)
        app.command()(taking)
        return list(typer.main.get_command(app).params)

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters of the function, then those of the formats."""
        own = super().get_params(ctx)
        return [*own[:-1], *self._of_formats, *own[-1:]]  # --help stays the last


def _keep(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> None:
    """Leave an option that was given for `options_for`."""
    if value is not None:
        ctx.ensure_object(dict)[param.name] = value


def _parameter(name: str, kind: type, text: str, default: Any) -> inspect.Parameter:
    """An option without a default of its own: what was not given is left to the format."""
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        callback=_keep,
        expose_value=False,
        help=text if default is None or kind is bool else f"{text} {default} by default.",
        show_default=False,
        rich_help_panel=_PANEL,
    )
    annotation = Annotated[kind | None, option]  # type: ignore[valid-type]  # mypy takes no type from a value
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def options_for(names: Sequence[str], given: dict[str, Any]) -> "list[Options]":
    """What is asked of each of these formats.

    Args:
        names: of formats.
        given: values by the name of their option; each concerns at least one of the formats.

    Raises:
        UsageError: for a format that does not exist, a value that it does not allow, or an option that changes nothing.
    """
    from lightsam_exporters.formats import describe_format, options_of

    known = {name: {"precision", *(one.name for one in describe_format(name).options.described())} for name in names}
    for option in given:
        if not any(option in there for there in known.values()):
            raise UsageError(f"--{option.replace('_', '-')} changes nothing in {', '.join(names)}: leave it out")
    return [options_of(name, {key: value for key, value in given.items() if key in known[name]}) for name in names]
