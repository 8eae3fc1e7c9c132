"""What of a bundle runs: the code, what that runs on, and the model, with a check that the model may be handed over."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from lightsam.errors import ContractError, UsageError
from lightsam.files import write_text
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES, split
from lightsam_exporters.artifacts import copy
from lightsam_exporters.loading import Export

from .description import FILE_NAME, ModelDescription, describe
from .platforms import Platform, handed_over


def check(export: Export, platform: Platform, *, allow_untrained: bool) -> None:
    """Refuse what must not reach an app, before any work.

    Args:
        allow_untrained: also take random weights.

    Raises:
        UsageError: for another format than the platform's, tensors that the code does not give, or random weights.
        ContractError: for an export of one stage, rejected, damaged or changed.
        PackageError: if what the code runs on cannot be had from npm.
    """
    facts = export.facts
    if export.format_name != platform.format:
        raise UsageError(f"{platform.title} takes {platform.format} files, not {export.format_name}")
    missing = [name for name in STAGE_NAMES if name not in facts.files]
    if missing:
        raise ContractError(f"{export.folder} holds no {missing[0]}: export it with --stage {missing[0]}")
    if not facts.parity.passed:
        why = facts.parity.failures[:1] or ["nothing was measured"]
        raise ContractError(f"{export.folder} does not answer as PyTorch does ({why[0]}): it is not handed over")
    ids = {file.pairing_id for file in facts.files.values()}
    if len(ids) > 1:
        raise ContractError(f"{export.folder} holds an encoder and a decoder of other weights: export both again")
    changed = export.changed_files()
    if changed:
        raise ContractError(f"{changed[0]}: export it again")
    _check_interface(export)
    if not export.provenance.trained and not allow_untrained:
        raise UsageError(
            f"{export.folder} is of random weights, whose masks mean nothing: export it with --weights official, or "
            "give --allow-untrained to try the hand-off with them"
        )
    platform.needs(export)  # refuses systems that are not known
    platform.brought()  # fetched now where it is not cached: the rest would be in vain without it


def _check_interface(export: Export) -> None:
    """Refuse files that the apps' code does not know how to feed."""
    about = export.provenance
    stages = split(find_model(about.model).skeleton(about.image_size))
    for name, file in export.facts.files.items():
        if {one.name for one in file.inputs} != {one.name for one in stages[name].inputs}:
            raise UsageError(
                f"the {name} of {export.folder} takes {', '.join(one.name for one in file.inputs)}, which the apps' "
                "code does not give: export it without --with-masks"
            )
    if export.format_name == "coreml" and export.facts.files["encoder"].inputs[0].dtype != "image":
        raise UsageError(f"the encoder of {export.folder} takes floats: export it without --image-input tensor")


def put(export: Export, platform: Platform, folder: Path, url: str | None = None) -> ModelDescription:
    """Put the code, what it runs on, and the model into a folder.

    Args:
        folder: is made where it is not there.
        url: where the model files will lie, with ``{path}``; None puts them into the folder.

    Raises:
        PackageError: if what the code runs on cannot be had from npm.
        OSError: if the system refuses.
    """
    about = describe(export, platform, url)
    for source, place in (*handed_over(platform), *platform.brought()):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / place)
    platform.finish(export, folder)
    resources = folder / platform.resources
    resources.mkdir(parents=True, exist_ok=True)
    if url is None:
        for stage in about.stages.values():
            copy(export.folder / stage.path, resources)
    write_text(resources / FILE_NAME, json.dumps(asdict(about), indent=1, allow_nan=False) + "\n")
    return about


def visit_bytes(about: ModelDescription, platform: Platform, folder: Path) -> int | None:
    """What a visitor of a site downloads, the model included, before any compression; None for what is no site."""
    if not platform.visited:
        return None
    page = {path for pattern in platform.visited for path in folder.glob(pattern)}
    return sum(path.stat().st_size for path in page) + sum(stage.size_bytes for stage in about.stages.values())
