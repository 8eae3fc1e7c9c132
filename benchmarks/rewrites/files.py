"""The files that are compared: each is made once, and what cannot be made says why."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lightsam.errors import LightSamError
from lightsam.stages import split
from lightsam.weights.checkpoints import LoadedModel
from lightsam_exporters.formats import find_format, options_of
from lightsam_exporters.formats.options import FAITHFUL as FAITHFUL_GRAPH
from lightsam_exporters.formats.options import REWRITTEN
from lightsam_exporters.graphs import FORMS
from lightsam_exporters.provenance import Provenance

from .authors import Authors
from .table import AUTHORS, FAITHFUL, left_out

_PRECISION = "float32"


class Files:
    """Of one model with its weights."""

    def __init__(self, loaded: LoadedModel, folder: Path, authors: Authors, on_step: Callable[[str], None]) -> None:
        """Begin with none.

        Args:
            loaded: the model.
            folder: for the files; it must stay while they are used.
            authors: the authors' code.
            on_step: told of each file that is made.
        """
        self.loaded = loaded
        self.stages = split(loaded.sam)
        self.checkpoint = folder / "weights.pt"
        """The weights, by the authors' own names."""
        torch.save(loaded.sam.state_dict(), self.checkpoint)
        self._folder = folder
        self._authors = authors
        self._on_step = on_step
        self._made: dict[tuple[str, str, str], Path | LightSamError] = {}

    def path(self, stage: str, subject: str, format_name: str) -> Path:
        """The file of a stage.

        Raises:
            LightSamError: if it cannot be made; again, whenever it is asked for.
        """
        key = (stage, subject, format_name)
        if key not in self._made:
            self._on_step(f"{self.loaded.card.name}: the {stage} of {subject}, {format_name}")
            try:
                self._made[key] = self._make(*key)
            except LightSamError as error:
                self._made[key] = error
        found = self._made[key]
        if isinstance(found, LightSamError):
            raise found
        return found

    def _make(self, stage: str, subject: str, format_name: str) -> Path:
        card, size = self.loaded.card, self.loaded.sam.image_size
        if subject == AUTHORS:
            return self._authors.export(card, size, self.checkpoint, self._folder)[stage]
        backend = find_format(format_name)
        path = self._folder / f"{subject.replace(' ', '-')}-{backend.file_name(stage)}"
        provenance = Provenance.of(card, size, self._options(format_name).point_slots, self.loaded.weights)
        backend.export([self.stages[stage]], path, self._options(format_name, subject), provenance)
        return path

    def _options(self, format_name: str, subject: str = "") -> Any:
        graph = FAITHFUL_GRAPH if subject == FAITHFUL else REWRITTEN
        return replace(options_of(format_name, precision=_PRECISION, graph=graph), left_out=left_out(subject))

    def rewrites(self, stage: str, format_name: str) -> list[str]:
        """Names of those that change a stage on its way to a format."""
        form = find_format(format_name).form(self._options(format_name))
        module = self.stages[stage].folded().module
        found = []
        for rewrite in FORMS.get(form, ()):
            changed = rewrite(module)
            if changed is not None:
                module = changed
                found.append(rewrite.__name__)
        return found
