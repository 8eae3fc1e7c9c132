"""What can be asked of an export: each format has a dataclass, whose fields the command turns into its options.

A field that a user may set is made by `option`, which carries its help and what it may be; a field without one is for
the export itself to fill in.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, ClassVar, NamedTuple, Self

from lightsam.errors import UsageError
from lightsam.stages import POINT_SLOTS, STAGE_NAMES

_KEY = "option"
REWRITTEN, FAITHFUL = "rewritten", "faithful"
"""Which graph is converted: that of the format's devices, or the model's as it is."""
AUTO = "auto"
"""A decoder's precision that nobody asked for."""


class Described(NamedTuple):
    """An option as the command shows it."""

    name: str
    help: str
    type: type
    default: Any
    metavar: str | None

    @property
    def flag(self) -> str:
        """As on the command line."""
        return f"--{self.name.replace('_', '-')}"


class _Rule(NamedTuple):
    help: str
    choices: tuple[str, ...]
    low: float | None
    high: float | None


def option(
    default: Any, help: str, *, choices: tuple[str, ...] = (), low: float | None = None, high: float | None = None
) -> Any:
    """A field that a user may set.

    Args:
        default: what holds when nobody sets it; its type is the option's.
        help: one line, for the command and the docs.
        choices: the only words that it may be.
        low: the smallest number that it may be.
        high: the largest.
    """
    return field(default=default, metadata={_KEY: _Rule(help, choices, low, high)})


def precision(*names: str) -> Any:
    """The field that every format has: what its files compute in; the first is the default."""
    return field(default=names[0], metadata={_KEY: _Rule("", names, None, None)})


def decoder_precision(*names: str) -> Any:
    """The field of a format with compressed precisions: its decoder's own, where the encoder is compressed."""
    help = "Of the decoder of a compressed encoder; auto is float16, of Core AI float32."
    return option(AUTO, help, choices=(AUTO, *names))


def point_slots() -> Any:
    """The field of a format with static shapes: how many points and box corners its decoder takes."""
    return option(POINT_SLOTS, "Prompt slots of a decoder with static shapes.", low=2, high=256)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything that changes what is in a format's files; recorded with each of them.

    Raises:
        UsageError: for a word that is not one of the choices, or a number outside its range.
    """

    beside_compressed: ClassVar[str] = "float16"
    """What a decoder is kept in beside a compressed encoder: it is the smaller and the more sensitive of the two."""
    compressed: ClassVar[tuple[str, ...]] = ()
    """Precisions that store weights in 8 bits or fewer."""
    calibrated: ClassVar[tuple[str, ...]] = ()
    """Precisions for which an export looks at images: at the ranges of their activations, or at their masks."""

    precision: str
    """Of the encoder, and of the decoder unless the encoder is compressed; see `of_stage`."""
    decoder_precision: str = AUTO
    """Of the decoder of a compressed encoder."""
    calibrated_on: str = ""
    """The images that an export looked at, in words; empty if it needed none."""
    point_slots: int | None = None
    """Prompt slots of a decoder with static shapes; None for one that takes any number of points and prompts."""
    with_masks: bool = False
    """Whether the decoder brings the masks to the image's own size, too."""
    graph: str = option(
        REWRITTEN,
        "rewritten (for the format's devices), or faithful (layer by layer as the model has it).",
        choices=(REWRITTEN, FAITHFUL),
    )
    left_out: tuple[str, ...] = ()
    """Rewrites that a rewritten graph goes without, by name: for measuring what each is worth, and in no record."""

    def __post_init__(self) -> None:
        for one in fields(self):
            rule, value = one.metadata.get(_KEY), getattr(self, one.name)
            if rule is None:
                continue
            if rule.choices and value not in rule.choices:
                raise UsageError(f"there is no {one.name} {value!r}; choose from: {', '.join(rule.choices)}")
            if (rule.low is not None and value < rule.low) or (rule.high is not None and value > rule.high):
                raise UsageError(f"{one.name} must lie between {rule.low} and {rule.high}, and is {value}")
        if self.decoder_precision != AUTO and self.precision not in self.compressed:
            raise UsageError(
                f"--decoder-precision is for compressed encoders ({', '.join(self.compressed)}): at --precision "
                f"{self.precision} both stages have it"
            )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The options with these values, by name; the rest at their defaults.

        Raises:
            UsageError: for a name that this format does not have, and as the class does.
        """
        names = [one.name for one in fields(cls) if one.metadata]
        for name in given:
            if name not in names:
                raise UsageError(f"--{name.replace('_', '-')} changes nothing here; there are: {', '.join(names)}")
        return cls(**given)

    @classmethod
    def precisions(cls) -> tuple[str, ...]:
        """What the format can be had in; the first is the default."""
        (one,) = (one for one in fields(cls) if one.name == "precision")
        rule: _Rule = one.metadata[_KEY]
        return rule.choices

    @classmethod
    def described(cls) -> tuple[Described, ...]:
        """Every option that a user may set, the precision aside, which all formats have."""
        found = []
        for one in fields(cls):
            rule = one.metadata.get(_KEY)
            if rule is not None and one.name != "precision":
                assert one.default is not MISSING
                metavar = "|".join(rule.choices) or None
                found.append(Described(one.name, rule.help, type(one.default), one.default, metavar))
        return tuple(found)

    def of_stage(self, stage: str) -> Self:
        """The options of one stage's file: its own precision stands in `precision`."""
        own = self.precision
        if stage == STAGE_NAMES[1] and self.precision in self.compressed:
            own = self.beside_compressed if self.decoder_precision == AUTO else self.decoder_precision
        return replace(self, precision=own, decoder_precision=AUTO)

    def asked(self) -> dict[str, Any]:
        """The values that a user may set, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.metadata}

    def recorded(self) -> dict[str, Any]:
        """The values that say how a file was made, by name, as JSON has them."""
        general = {one.name for one in fields(Options)}
        found = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.metadata or one.name not in general or (one.name == "calibrated_on" and value):
                found[one.name] = list(value) if isinstance(value, tuple) else value
        return found

    def for_model(self, slots: int | None) -> Self:
        """The options as a model leaves them.

        Args:
            slots: prompt slots that the model fixes; None if it fixes none.

        Raises:
            UsageError: if others were asked for.
        """
        if slots is None or self.point_slots is None:
            return self
        if self.point_slots not in (slots, self.of({}).point_slots):
            raise UsageError(f"this model has {slots} prompt slots in every file: leave out --point-slots")
        return replace(self, point_slots=slots)

    def check(self) -> None:
        """Refuse what the packages that are installed cannot do, before any work.

        Raises:
            UsageError: saying what can be chosen.
        """
