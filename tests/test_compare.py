"""Any two artifacts: two formats, two releases."""

import json
import shutil

import pytest
import tiny

from lightsam_exporters.formats import options_of
from lightsam_exporters.pipeline import ExportRequest, export

QUICK = ("--suite", "quick")


def test_two_formats(exports_of, lightsam):
    onnx, coreml = exports_of("onnx", "float32"), exports_of("coreml", "float16")
    paths = onnx.folder, coreml.folder
    done = lightsam("parity", *paths, *QUICK)
    assert done.status == 0, done.stdout + done.stderr
    assert "coreml-float16, judged by" in " ".join(done.stdout.split())
    assert "Gates: 50 dB" in done.stdout  # that of the coarser
    assert done.stdout.count("pass") == 5
    # the other way about, too: a static reference and a dynamic candidate
    assert lightsam("parity", *reversed(paths), *QUICK).status == 0
    assert lightsam("parity", *paths, *QUICK, "--gate", "psnr_db=90").status == 1


def test_two_releases(exported, own_export, lightsam, tmp_path):
    done = lightsam("parity", exported, own_export, *QUICK)
    assert done.status == 0, done.stdout + done.stderr
    assert done.stdout.count("exact") >= 2 * 5  # every export of both; the same files give the same bits
    done = lightsam("parity", exported, own_export, *QUICK, "--precision", "float32")
    assert done.stdout.count("judged by") == 1 + 1


def test_a_release_with_other_weights_differs(exported, tmp_path, tiny_model, lightsam):
    import torch

    state = {name: tensor * 1.01 for name, tensor in tiny_model.state_dict().items()}
    torch.save(state, tmp_path / "next.pt")
    request = ExportRequest(
        tiny.NAME, "coreml", options_of("coreml", precision="float32"), tmp_path, weights=str(tmp_path / "next.pt")
    )
    folder, _ = export(request)
    done = lightsam("parity", exported, folder, *QUICK, "--report", tmp_path / "report.json")
    assert done.status == 1
    (entry,) = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["exports"]
    assert (entry["name"], entry["passed"]) == ("coreml-float32", False)


def test_what_cannot_be_compared_is_told(exports_of, lightsam, tmp_path):
    onnx, tflite, coreai = (exports_of(name, "float32") for name in ("onnx", "tflite", "coreai"))
    done = lightsam("parity", coreai.model_folder, onnx.folder, *QUICK)
    assert done.status == 2
    assert "tiny_sam at 192 and tiny_sam at 128 are two models" in done.stderr
    exports_of("onnx", "float16"), exports_of("tflite", "float16")
    done = lightsam("parity", onnx.model_folder, tflite.model_folder, *QUICK)
    assert done.status == 2
    assert "have no export in common: name one of each" in done.stderr
    for option in (("--bisect",), ("--weights", "x.pt"), ("--baseline", "m.json")):
        done = lightsam("parity", onnx.folder, tflite.folder, *QUICK, *option)
        assert done.status == 2
        assert f"{option[0]} is for judging against PyTorch" in done.stderr
    copy = shutil.copytree(onnx.model_folder, tmp_path / "copy")
    (copy / "onnx-float32" / "decoder.onnx").unlink()
    done = lightsam("parity", onnx.model_folder, copy, *QUICK, "--precision", "float32")
    assert done.status == 1
    assert "decoder.onnx" in done.stderr
    assert lightsam("parity", onnx.model_folder, tmp_path / "nowhere").status == 1


@pytest.mark.parametrize("name", ["coreml-int8", "nothing"])
def test_an_export_that_is_not_there_is_told(exported, lightsam, name):
    done = lightsam("parity", exported / name, exported, *QUICK)
    assert done.status == 2
    assert f"holds no export {name}; it holds: coreml-float16, coreml-float32" in done.stderr
