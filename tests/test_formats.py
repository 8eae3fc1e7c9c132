"""What holds for every format: the matrix, one answer from all of them, several in one run."""

import functools
import re
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from agreement import FLIPPED_SHARE, assert_close, assert_same_masks
from PIL import Image
from skimage import data
from torch import nn

from lightsam import Predictor, Prompt, load_model
from lightsam.errors import ContractError, UsageError
from lightsam.installation import install_command
from lightsam.models import MODELS
from lightsam.stages import split
from lightsam_exporters import facts
from lightsam_exporters.formats import FORMATS, coreml, describe_format, find_format, onnx, options_of
from lightsam_exporters.formats.mil.program import read_program
from lightsam_exporters.formats.running import check_pair
from lightsam_exporters.graphs import FORMS
from lightsam_exporters.loading import load_predictor
from lightsam_exporters.manifest import read
from lightsam_exporters.parity.suite import load_suite
from lightsam_exporters.pipeline import ExportRequest, export_each

MATRIX = [
    (name, precision)
    for name in FORMATS
    for precision in find_format(name).options.precisions()
    if precision not in find_format(name).options.compressed  # each has tests of its own
]
STATIC = [name for name in FORMATS if not find_format(name).dynamic_prompts]


@pytest.mark.parametrize(("format_name", "precision"), MATRIX)
@pytest.mark.parametrize("card", tiny.CARDS, ids=lambda card: card.name)
def test_every_architecture_in_every_format_and_precision(matrix_of, card, format_name, precision):
    """A model is one file, a format is another: the rest comes by itself."""
    entry = matrix_of(card.name, format_name, precision)
    parity = entry.facts.parity
    assert parity.passed is True
    found = set(entry.facts.files)
    assert found >= set(tiny.tested_stages(card.name))
    stages = split(card.skeleton(tiny.SIZE))
    cases = [case for case in load_suite("quick").images[0].cases if case.for_model(stages.rules.prompts)]
    # Every prompt that the model takes, of the decoder alone and behind the encoder.
    of_decoder = 2 * len(cases) * len(stages.decoder.outputs) if len(found) == 2 else 0
    assert len(parity.measurements) == len(stages.encoder.outputs) + of_decoder
    assert entry.changed_files() == []


@pytest.mark.parametrize("card", tiny.CARDS, ids=lambda card: card.name)
def test_core_ml_has_no_tensor_above_rank_five(matrix_of, card):
    entry = matrix_of(card.name, "coreml", "float16")
    for stage in entry.facts.files:
        function = read_program(entry.path(stage)).function
        assert max(len(output.shape) for op in function.operations for output in op.outputs) <= 5


IMAGES = {"coffee": data.coffee, "chelsea": data.chelsea, "astronaut": data.astronaut}


def prompts_about(image) -> list[Prompt]:
    width, height = image.size
    middle, corner = (width / 2, height / 2), (width / 5, height / 4)
    box = (width / 4, height / 4, 3 * width / 4, 3 * height / 4)
    return [
        Prompt(points=[middle]),
        Prompt(points=[middle, corner], labels=[1, 0]),
        Prompt(box=box),
        Prompt(points=[corner], labels=[0], box=box),
    ]


@functools.cache
def reference_at(image_size: int) -> Predictor:
    return Predictor.from_model(load_model(tiny.NAME, weights="seeded", image_size=image_size))


def differing_pixels(reference: Predictor, files: Predictor, image: Image.Image) -> tuple[int, int]:
    """How many mask pixels the files answer otherwise, and of how many: all masks, at the image's own size.

    A pixel may differ only where PyTorch's own logit is zero to float32's rounding.
    """
    encodings = reference.encode(image), files.encode(image)
    compared = differing = 0
    for prompt in prompts_about(image):
        for multimask in (False, True):
            expected = reference.predict(encodings[0], prompt, multimask=multimask)
            found = files.predict(encodings[1], prompt, multimask=multimask)
            assert 0.02 < expected.masks.mean() < 0.99
            assert found.best == expected.best
            assert_close(found.low_res_masks, expected.low_res_masks)
            differing += assert_same_masks(found.masks, expected, encodings[0].frame)
            compared += expected.masks.size
    return differing, compared


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("name", IMAGES)
def test_masks_are_pytorchs_to_the_pixel(exports_of, name, format_name):
    """The same photograph and prompts at float32, through every format."""
    entry = exports_of(format_name, "float32")
    files = load_predictor(entry.model_folder, format_name=format_name, precision="float32")
    differing, compared = differing_pixels(
        reference_at(files.rules.preprocess.image_size), files, Image.fromarray(IMAGES[name]())
    )
    assert compared > 2e6
    assert differing <= FLIPPED_SHARE * compared


@pytest.mark.slow
def test_the_ten_million_pixels_of_the_docs(tmp_path):
    """What the first page of the docs says of MobileSAM at its published size."""
    formats = ("coreml", "onnx", "tflite")
    requests = [
        ExportRequest("mobile_sam", name, options_of(name, precision="float32"), tmp_path, weights="seeded")
        for name in formats
    ]
    folder = export_each(requests)[0].folder
    reference = Predictor.from_model(load_model("mobile_sam", weights="seeded"))
    images = [Image.fromarray(image()) for image in IMAGES.values()]
    for name in formats:
        files = load_predictor(folder, format_name=name, precision="float32")
        counts = [differing_pixels(reference, files, image) for image in images]
        differing, compared = map(sum, zip(*counts, strict=True))
        assert compared > 10e6
        assert differing <= FLIPPED_SHARE * compared, name


@pytest.mark.parametrize("format_name", STATIC)
def test_empty_slots_are_attended_to_by_nobody(exports_of, format_name):
    """What stands in an unused slot changes nothing: not one bit."""
    decoder = exports_of(format_name, "float32").load("decoder")
    side = decoder.provenance.image_size // 16
    rng = np.random.default_rng(0)
    inputs = {
        "image_embeddings": rng.normal(size=(1, 256, side, side)).astype(np.float32),
        "point_coords": rng.uniform(0, 16 * side, (1, 8, 2)).astype(np.float32),
        "point_labels": np.array([[1, -1, -2, -2, -2, -2, -2, -2]], np.float32),
        "mask_input": np.zeros((1, 1, 4 * side, 4 * side), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
    }
    moved = {**inputs, "point_coords": inputs["point_coords"].copy()}
    moved["point_coords"][:, 2:] = rng.uniform(0, 16 * side, (1, 6, 2))
    filled = {**inputs, "point_labels": np.where(inputs["point_labels"] == -2, -1, inputs["point_labels"])}
    first, second, drifted = (decoder(given)["low_res_masks"] for given in (inputs, moved, filled))
    assert np.array_equal(first, second)
    assert not np.allclose(first, drifted, atol=1e-2)  # SAM's own padding label would change the answer


@pytest.mark.parametrize("format_name", FORMATS)
def test_predict_answers_from_any_format(exports_of, lightsam, photograph, tmp_path, format_name):
    folder = exports_of(format_name, "float32").model_folder
    size = read(folder / "manifest.json").image_size
    done = lightsam(
        "predict", photograph, "--artifacts", folder, "--format", format_name, "--precision", "float32",
        "--box", "135,60,480,320", "--output", tmp_path / "found.png",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    reference = reference_at(size)
    encoding = reference.encode(photograph)
    with Image.open(tmp_path / "found.png") as found:
        expected = reference.predict(encoding, Prompt(box=(135, 60, 480, 320)))
        assert_same_masks(np.asarray(found)[None] > 0, expected, encoding.frame)


def test_stages_of_two_formats_pair_when_their_weights_are_the_same(exports_of, tmp_path, tiny_model):
    encoder = exports_of("onnx", "float32").load("encoder")
    check_pair(encoder, exports_of("tflite", "float16").load("decoder"))
    torch.save({n: t * 1.01 for n, t in tiny_model.state_dict().items()}, tmp_path / "other.pt")
    request = ExportRequest(
        tiny.NAME,
        "coreml",
        options_of("coreml", precision="float32"),
        tmp_path,
        ("decoder",),
        weights=str(tmp_path / "other.pt"),
    )
    (outcome,) = export_each([request])
    other = load_decoder(outcome.folder / "coreml-float32" / "decoder.mlpackage")
    with pytest.raises(ContractError, match="not a pair: weights seeded and other"):
        check_pair(encoder, other)


def load_decoder(path):
    from lightsam_exporters.formats.running import RunOptions

    return coreml.FORMAT.load(path, "decoder", RunOptions())


@pytest.fixture
def quick():
    """Exports of the encoder alone, to keep the tests of the command short."""
    return ("--stage", "encoder", "--weights", "seeded")


def rows_of(done) -> list[str]:
    """Of the table that compares the formats."""
    return [line for line in done.stdout.splitlines() if line.startswith("│ ") and "-float" in line]


def test_several_formats_in_one_run(lightsam, tmp_path, quick):
    done = lightsam("export", tiny.NAME, "--to", "coreml,onnx", *quick, "--output", tmp_path)
    assert done.status == 0, done.stderr
    rows = rows_of(done)
    assert [row.split()[1] for row in rows] == ["coreml-float16", "onnx-float16"]
    assert all("pass" in row and "MB" in row for row in rows)
    for name, row in zip(("coreml-float16", "onnx-float16"), rows, strict=True):
        for file in facts.read(tmp_path / tiny.NAME / name).files.values():
            assert f"{file.lint.peak.bytes / 1e6:.1f} MB" in row
    assert len(re.findall(r"lint of the encoder: .*, peak memory \d", done.stdout)) == 2
    assert set(read(tmp_path / tiny.NAME / "manifest.json").exports) == {"coreml-float16", "onnx-float16"}
    assert done.stderr.count("loading") == 2


def test_the_weights_are_loaded_once(tmp_path, monkeypatch):
    from lightsam_exporters.parity import reference

    loaded = []
    monkeypatch.setattr(reference, "load_model", lambda *a, **k: loaded.append(a) or load_model(*a, **k))
    requests = [
        ExportRequest(tiny.NAME, name, options_of(name, precision="float32"), tmp_path, ("encoder",), weights="seeded")
        for name in ("coreml", "onnx")
    ]
    outcomes = export_each(requests)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert len(loaded) == 1


def test_one_that_fails_does_not_keep_the_others_from_running(lightsam, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(onnx.Onnx, "requires", ("no_such_package",))
    done = lightsam("export", tiny.NAME, "--to", "onnx,coreai,coreml", *quick, "--output", tmp_path)
    assert done.status == 1
    assert install_command("onnx") in done.stderr
    assert "coreai keeps both stages in one file" in done.stderr
    assert done.stderr.splitlines()[-1] == "error: 2 of 3 formats failed: onnx, coreai"
    verdicts = {
        line.split()[1]: "pass" in line
        for line in done.stdout.splitlines()
        if line.startswith("│ ") and "-float" in line
    }
    assert verdicts == {"onnx-float16": False, "coreai-float32": False, "coreml-float16": True}
    assert set(read(tmp_path / tiny.NAME / "manifest.json").exports) == {"coreml-float16"}


def test_weights_that_cannot_be_had_are_told_once(lightsam, tmp_path):
    done = lightsam("export", tiny.NAME, "--to", "coreml,onnx", "--weights", "none.pt", "--output", tmp_path)
    assert done.status == 1
    assert done.stderr.splitlines()[-1].startswith("error: there is no checkpoint none.pt")
    assert done.stderr.count("none.pt") <= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--to", "coreml,onnx,coreml"), "the format coreml is there more than once"),
        (("--to", "coreml,tflite", "--with-masks"), "--with-masks changes nothing in coreml, tflite: leave it out"),
        (("--to", "onnx", "--point-slots", "5"), "--point-slots changes nothing in onnx: leave it out"),
        (("--to", "coreml,"), "there is no format ''"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_any_work(lightsam, tmp_path, arguments, message):
    done = lightsam("export", tiny.NAME, *arguments, "--weights", "seeded", "--output", tmp_path)
    assert done.status == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_default_precisions():
    """float16 wherever it can be had."""
    for name in FORMATS:
        there = describe_format(name).options.precisions()
        assert options_of(name).precision == ("float16" if "float16" in there else "float32"), name
    with pytest.raises(UsageError, match="no format"):
        options_of("gguf")


@pytest.mark.parametrize("format_name", FORMATS)
def test_only_the_options_that_change_the_files_are_recorded(exports_of, format_name):
    entry = exports_of(format_name, "float32")
    asked = {one.name for one in find_format(format_name).options.described()}
    of_coreml = {"float32_operations", "activation_ranges", "mixture", "mixture_lost"}
    found_out = of_coreml if format_name == "coreml" else set()
    assert all(set(file.options) == {"precision", *asked, *found_out} for file in entry.facts.files.values())


def test_the_registry_of_the_tests_is_whole():
    assert {card.name for card in tiny.CARDS} <= set(MODELS)


class Rewritten(nn.Module):
    """What the rewrite below makes of a module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


def planted(module):
    """A rewrite of whatever it is given."""
    return Rewritten(module)


@pytest.mark.parametrize("name", FORMATS)
def test_the_graph_that_is_asked_for_is_converted(name, tiny_stages, monkeypatch):
    backend, options = describe_format(name), options_of(name)
    monkeypatch.setitem(FORMS, backend.form(options), (planted,))
    for stage in tiny_stages:

        def is_rewritten(stage=stage, **changes):
            return isinstance(backend.graph(stage, replace(options, **changes)).module, Rewritten)

        assert is_rewritten()
        assert not is_rewritten(graph="faithful")
        assert not is_rewritten(left_out=("planted",))
        assert not isinstance(stage.module, Rewritten)


@pytest.mark.parametrize("name", FORMATS)
def test_the_graph_is_recorded(name):
    assert options_of(name).recorded()["graph"] == "rewritten"
    assert options_of(name, graph="faithful").recorded()["graph"] == "faithful"
    assert "left_out" not in options_of(name).recorded()
    with pytest.raises(UsageError, match="no graph 'plain'; choose from: rewritten, faithful"):
        options_of(name, graph="plain")


def test_executorch_takes_the_form_of_its_delegates_format():
    backend = describe_format("executorch")
    assert backend.form(options_of("executorch")) == "executorch"
    assert backend.form(options_of("executorch", backend="coreml")) == "coreml"
