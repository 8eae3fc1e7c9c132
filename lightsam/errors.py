"""What can go wrong, as a small tree.

    LightSamError
      UsageError                 the caller asked for something that does not exist or cannot be
        PromptError              a point, box or mask that cannot be answered
        ImageError               an image that cannot be read
        DatasetError             ground truth that masks cannot be measured against
        LicenseError             weights whose license must be accepted first
        ArtifactExistsError      an artifact is there and nobody said that it may be replaced
      CheckpointError            a checkpoint is missing, damaged, or another model's
        CheckpointUnavailableError   one that cannot be reached, so that another source may be tried
      PackageError               a package of the npm registry that is damaged, or another than it should be
        PackageUnavailableError  one that cannot be reached
      ContractError              a stage's specs do not describe its module, or a file does not meet the contract
      FormatUnavailableError     the packages that a format needs are not installed
      ExportError                a converter or the disk refused
      ParityError                a converted file does not answer as PyTorch does
      BenchmarkError             something could not be timed, or became slower
      EvaluationError            masks became worse than a margin allows, or a shard was not evaluated
      LintError                  a file breaks a rule of a device

Each message says what was asked, what was found and what to do; ``exit_status`` is what the command returns.
"""


class LightSamError(Exception):
    """Base of every error that lightsam raises on purpose."""

    exit_status = 1


class UsageError(LightSamError, ValueError):
    """The request itself is wrong; nothing was tried."""

    exit_status = 2


class PromptError(UsageError):
    """A prompt that the decoder cannot answer."""


class ImageError(UsageError):
    """An image that cannot be read."""


class DatasetError(UsageError):
    """Ground truth that is missing, broken, or does not fit its images."""


class LicenseError(UsageError):
    """Weights that are not for every use, and nobody said that this use is one."""


class ArtifactExistsError(UsageError):
    """An export would replace an artifact without having been told to."""


class CheckpointError(LightSamError, ValueError):
    """A checkpoint that cannot be had, or does not fit the model."""


class CheckpointUnavailableError(CheckpointError):
    """A checkpoint that cannot be reached now and here: no network, no npm, a server that does not have it."""


class PackageError(LightSamError, RuntimeError):
    """A package of the npm registry that cannot be had, or is another than it should be."""


class PackageUnavailableError(PackageError):
    """A package that cannot be reached now and here: no network, no npm, a registry that does not have it."""


class ContractError(LightSamError, ValueError):
    """A module or a file that does not meet the stage contract."""


class FormatUnavailableError(LightSamError, ImportError):
    """A format whose packages are not installed."""

    @classmethod
    def for_extra(cls, extra: str, missing: str | None) -> "FormatUnavailableError":
        """Name the missing package and the command that installs it, for the way this copy was installed."""
        from lightsam.installation import install_command

        return cls(f"{extra} needs the package {missing!r}, which is not installed: {install_command(extra)}")


class ExportError(LightSamError, RuntimeError):
    """A converter failed, or its result could not be written."""


class ParityError(LightSamError, RuntimeError):
    """A candidate that cannot be compared, or that differs from the reference."""


class BenchmarkError(LightSamError, RuntimeError):
    """What should have been timed was not, became slower, or a point of a sweep failed."""


class EvaluationError(LightSamError, RuntimeError):
    """Masks that are worse, beyond noise, by more than was allowed; or a shard of an evaluation that failed."""


class LintError(LightSamError, RuntimeError):
    """A file that a device will not run as it should, by its rules."""


def in_words(error: BaseException) -> str:
    """What went wrong in one line; of an error that is not lightsam's own with its type, which often says more."""
    words = " ".join(str(error).split())
    return words if isinstance(error, LightSamError) else f"{type(error).__name__}: {words}"
