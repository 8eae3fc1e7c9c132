"""Weights come in; what is no checkpoint of the model is refused with one line."""

import zipfile

import pytest
import tiny
import torch
from safetensors.torch import save, save_file

from lightsam import load_model
from lightsam.errors import CheckpointError, UsageError
from lightsam.models import MODELS
from lightsam.weights.state import KeyMismatchError, digest, read_state_dict


@pytest.fixture
def state(tiny_model):
    return {name: tensor.clone() for name, tensor in tiny_model.state_dict().items()}


FORMS = ["plain", "model", "state_dict", "module", "both", "half", "bfloat16", "no counters", "no head", "safetensors"]


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_loads_in_every_usual_form(tmp_path, state, tiny_loaded, form):
    path = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pt")
    prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
    content = {
        "plain": state,
        "model": {"model": state, "epoch": 3},
        "state_dict": {"state_dict": state},
        "module": prefixed,
        "both": {"model": prefixed},
        "half": {name: t.half() if t.is_floating_point() else t for name, t in state.items()},
        "bfloat16": {name: t.bfloat16() if t.is_floating_point() else t for name, t in state.items()},
        "no counters": {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")},
        "no head": {name: t for name, t in state.items() if "head." not in name or "iou" in name},
    }
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save(content[form], path)
    loaded = load_model(tiny.NAME, weights=path)
    assert loaded.weights.name == path.name
    assert loaded.weights.trained
    assert loaded.card is MODELS[tiny.NAME]
    assert not loaded.sam.training
    same = form not in ("half", "bfloat16", "no head")
    assert (loaded.weights.sha256 == tiny_loaded.weights.sha256) == same
    for name, tensor in loaded.sam.state_dict().items():
        assert tensor.dtype in (torch.float32, torch.int64)
        if form == "no head" and name not in content[form]:  # no run uses it
            assert name.startswith(("image_encoder.norm_head.", "image_encoder.head."))
            assert not tensor.any()
            continue
        torch.testing.assert_close(tensor, content.get(form, state).get(name, state[name]).to(tensor.dtype))


def zipped(path, **members: bytes):
    """A zip of files, and beside each the file of metadata that a Mac adds."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
            archive.writestr(f"__MACOSX/._{name.replace('_', '.')}", b"metadata")
    return path


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_checkpoint_loads_from_a_zip(tmp_path, state, tiny_loaded, suffix):
    torch.save({"model": state}, tmp_path / "weights.pt")
    content = save(state) if suffix == "safetensors" else (tmp_path / "weights.pt").read_bytes()
    loaded = load_model(
        tiny.NAME, weights=zipped(tmp_path / "w.zip", **{f"weights_{suffix}": content, "readme_md": b""})
    )
    assert loaded.weights.sha256 == tiny_loaded.weights.sha256


def test_a_zip_that_does_not_hold_one_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds 2 checkpoints \(a\.pt, b\.pth\): unpack it and give one$"):
        read_state_dict(zipped(tmp_path / "two.zip", a_pt=b"", b_pth=b""))
    with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
        read_state_dict(zipped(tmp_path / "none.zip", readme_md=b"no weights"))
    with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
        read_state_dict(zipped(tmp_path / "broken.zip", weights_pt=b"PK no checkpoint"))


def test_the_digest_is_that_of_the_tensors(state):
    before = digest(state)
    assert digest(dict(reversed(state.items()))) == before
    state["mask_decoder.iou_token.weight"][0, 0] += 1e-6
    assert digest(state) != before


def write(path, content: bytes):
    path.write_bytes(content)
    return path


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no checkpoint .*none\.pt"):
        load_model(tiny.NAME, weights=tmp_path / "none.pt")


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"a text file\n", b"PK\x03\x04 not really a zip", bytes(1000)])
def test_what_is_no_checkpoint_is_refused(tmp_path, suffix, content):
    with pytest.raises(CheckpointError, match="damaged or not a"):
        read_state_dict(write(tmp_path / f"weights.{suffix}", content))


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path, state, suffix, share):
    path = tmp_path / f"whole.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, path)
    content = path.read_bytes()
    with pytest.raises(CheckpointError, match="damaged or not a"):
        read_state_dict(write(tmp_path / f"cut.{suffix}", content[: int(share * len(content))]))


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Mischief:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'proof')!r}, 'w')",))

    torch.save({"weight": Mischief()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
        read_state_dict(tmp_path / "evil.pt")
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("content", [torch.zeros(3), {}, {"a": 1}, [1, 2], {"model": {"a": "b"}}])
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_state_dict(tmp_path / "other.pt")


def test_another_models_checkpoint_is_refused(tmp_path, state):
    torch.save(state, tmp_path / "tiny.pt")
    with pytest.raises(KeyMismatchError, match=r"is not a mobile_sam checkpoint; keys: \d+ missing") as caught:
        load_model("mobile_sam", weights=tmp_path / "tiny.pt")
    assert len(caught.value.missing) > 100  # the message counts, the exception has them all
    assert "\n" not in str(caught.value)


def test_every_wrong_key_is_named_at_once(tmp_path, state):
    del state["mask_decoder.iou_token.weight"]
    state["surplus.weight"] = torch.zeros(2)
    state["prompt_encoder.no_mask_embed.weight"] = torch.zeros(1, 128)
    torch.save(state, tmp_path / "odd.pt")
    with pytest.raises(KeyMismatchError) as caught:
        load_model(tiny.NAME, weights=tmp_path / "odd.pt")
    assert str(caught.value).endswith(
        "keys: 1 missing (mask_decoder.iou_token.weight), 1 unexpected (surplus.weight), 1 of another shape "
        "(prompt_encoder.no_mask_embed.weight (1, 128) for (1, 256))"
    )


def test_only_what_no_run_uses_may_be_absent(tmp_path, state):
    del state["image_encoder.neck.1.bias"], state["image_encoder.head.bias"]
    torch.save(state, tmp_path / "odd.pt")
    with pytest.raises(KeyMismatchError) as caught:
        load_model(tiny.NAME, weights=tmp_path / "odd.pt")
    assert caught.value.missing == ["image_encoder.neck.1.bias"]


def test_a_quantized_checkpoint_is_refused(tmp_path, state):
    state["image_encoder.neck.0.weight"] = torch.ones_like(state["image_encoder.neck.0.weight"], dtype=torch.int8)
    torch.save(state, tmp_path / "quantized.pt")
    with pytest.raises(CheckpointError, match=r"1 tensors of whole numbers .*image_encoder\.neck\.0\.weight"):
        load_model(tiny.NAME, weights=tmp_path / "quantized.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_weights_are_refused(tmp_path, state, value):
    state["image_encoder.neck.0.weight"][3, 4] = value
    torch.save(state, tmp_path / "nan.pt")
    with pytest.raises(CheckpointError, match=r"NaN or infinity in 1 tensors, .* image_encoder\.neck\.0\.weight"):
        load_model(tiny.NAME, weights=tmp_path / "nan.pt")


def test_official_weights_that_cannot_be_had_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTSAM_CACHE", str(tmp_path))
    with pytest.raises(
        CheckpointError, match=r"tiny_sam cannot be had from http://127\.0\.0\.1:9/.*: it cannot be reached"
    ):
        load_model(tiny.NAME, weights="official")


def test_auto_falls_back_to_seeded_with_a_warning(tmp_path, monkeypatch, caplog, tiny_loaded):
    monkeypatch.setenv("LIGHTSAM_CACHE", str(tmp_path))
    loaded = load_model(tiny.NAME, weights="auto")
    assert loaded.weights == tiny_loaded.weights
    assert "SEEDED, UNTRAINED" in caplog.text


def test_a_model_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match=f"no model 'sam9'; the models are: {', '.join(MODELS)}"):
        load_model("sam9")


def test_an_image_size_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="does not run at image size 1000; it runs at 1024"):
        load_model("mobile_sam", image_size=1000)
