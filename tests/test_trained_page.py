"""The page with trained weights at 1024: what a visitor sees is what Python's ONNX Runtime answers."""

import numpy as np
import pytest
from browsing import Page, agree, chromium, photograph
from command import run_command
from skimage import data

from lightsam.metrics import mask_iou
from lightsam_exporters.browser.server import SiteServer
from lightsam_exporters.loading import load_predictor

pytestmark = pytest.mark.trained


def test_a_visitor_of_mobile_sam(trained, tmp_path):
    export = trained.export("onnx", "float32")
    site = tmp_path / "site"
    done = run_command("bundle", export.folder, "--for", "web", "--output", site)
    assert done.status == 0, done.stderr
    image = photograph(tmp_path / "coffee.png", data.coffee)
    predictor = load_predictor(export.folder)
    with SiteServer(site) as served, chromium() as browser:
        page = Page(browser, served.url)
        page.open(image)
        found = page.answered(lambda: page.click(0.2, 0.5))
        expected = agree(found, predictor, image)
        assert expected.iou_predictions[expected.best] > 0.9  # the saucer
        page.shot("mobile_sam")
        boxed = page.answered(lambda: page.drag((0.1, 0.1), (0.8, 0.9)))
        agree(boxed, predictor, image)
        refined = page.answered(lambda: page.get("refine").click())
        agree(refined, predictor, image)
        assert page.complaints == []
        shown = refined["lowResMasks"][refined["chosen"]] > 0
        assert mask_iou(shown.ravel(), np.ravel(boxed["lowResMasks"][boxed["chosen"]] > 0)) > 0.5
        page.close()
