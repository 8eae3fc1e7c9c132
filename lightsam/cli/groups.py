"""Commands that are groups, too."""

from typing import Any

from typer.core import TyperGroup

RUN = "run"


class RunByDefault(TyperGroup):
    """``lightsam benchmark DIR`` is ``lightsam benchmark run DIR``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [RUN, *args]
        return list(super().parse_args(ctx, args))
