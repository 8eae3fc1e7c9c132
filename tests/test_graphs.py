"""Every rewrite of the table computes what the faithful graph does, on small models and on trained weights."""

from copy import deepcopy

import pytest
import tiny
import trained as weights

from lightsam import load_model
from lightsam.metrics import psnr_db
from lightsam.stages import STAGE_NAMES, split
from lightsam_exporters.formats import FORMATS, options_of
from lightsam_exporters.graphs import FORMS, rewritten
from lightsam_exporters.parity.suite import load_suite

REWRITES = [(form, rewrite.__name__) for form, rewrites in FORMS.items() for rewrite in rewrites]
MODELS = [card.name for card in tiny.CARDS]
LEAST_DB = 120
"""In float32, where nothing but the order of sums differs."""


@pytest.fixture(scope="module")
def stages():
    return {name: split(load_model(name, weights="seeded").sam) for name in MODELS}


def others(form, names):
    return {rewrite.__name__ for rewrite in FORMS[form]} - set(names)


def assert_equal(expected, found):
    assert expected.keys() == found.keys()
    for name in expected:
        assert psnr_db(expected[name], found[name]) > LEAST_DB, name


def test_the_table_is_of_formats_and_names_no_rewrite_twice():
    assert set(FORMS) <= set(FORMATS)
    assert len(set(REWRITES)) == len(REWRITES)


@pytest.mark.parametrize(("form", "name"), REWRITES)
def test_a_rewrite_changes_a_graph_and_not_what_it_computes(stages, form, name):
    """Alone where it does something alone, and behind those that come before it."""
    position = [rewrite.__name__ for rewrite in FORMS[form]].index(name)
    before, rewrite = FORMS[form][:position], FORMS[form][position]
    changed = 0
    for stage in (stage for model in stages.values() for stage in model):
        inputs = stage.sample_inputs(seed=1)
        expected = rewritten(stage, "faithful").run(inputs)
        for others_before in ((), tuple(one.__name__ for one in before)):
            start = rewritten(stage, form, without=others(form, others_before))
            if rewrite(deepcopy(start.module)) is not None:
                changed += 1
                assert_equal(expected, rewritten(stage, form, without=others(form, (*others_before, name))).run(inputs))
    assert changed, "a rewrite of nothing that a small model has is not tested: give one of tests/tiny.py that part"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_computes_what_the_faithful_graph_does(stages, form, model):
    for stage in stages[model]:
        inputs = stage.sample_inputs(seed=2)
        whole = rewritten(stage, form)
        assert_equal(rewritten(stage, "faithful").run(inputs), whole.run(inputs))
        whole.check()


def test_the_stage_stays_as_it_is(stages):
    stage = stages[tiny.NAME].encoder
    names = [name for name, _ in stage.module.named_modules()]
    for form in FORMS:
        rewritten(stage, form)
    assert [name for name, _ in stage.module.named_modules()] == names


@pytest.mark.trained
@pytest.mark.parametrize("stage_name", STAGE_NAMES)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_computes_what_the_faithful_graph_does_with_trained_weights(trained, form, stage_name):
    loaded = load_model(weights.MODEL, weights=weights.WEIGHTS)
    stage = split(loaded.sam)[stage_name]
    image = trained.reference.reference_images(load_suite("quick"), options_of("onnx", precision="float32"))[0]
    faithful, whole = rewritten(stage, "faithful"), rewritten(stage, form)
    for inputs in image.stage_inputs(stage_name, 8):
        assert_equal(faithful.run(inputs), whole.run(inputs))
