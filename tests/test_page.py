"""The page that segments, in Chromium: what a person does with it, and its masks beside Python's ONNX Runtime."""

import json
import shutil

import numpy as np
import pytest
from browsing import SOFTWARE_GPU, Page, agree, chromium, model_json, photograph
from command import run_command
from faster_coco_eval import mask as coco
from PIL import Image

from lightsam_exporters.browser import server
from lightsam_exporters.browser.server import SiteServer
from lightsam_exporters.formats.gate import FLOAT16
from lightsam_exporters.loading import load_predictor

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def export(matrix_of):
    return matrix_of("tiny_sam", "onnx", "float32")


@pytest.fixture(scope="module")
def site(export, tmp_path_factory):
    """What a web developer publishes."""
    folder = tmp_path_factory.mktemp("page") / "site"
    done = run_command("bundle", export.folder, "--for", "web", "--output", folder, "--allow-untrained")
    assert done.status == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def url(site):
    with SiteServer(site) as served:
        yield served.url


@pytest.fixture
def page(browser, url):
    one = Page(browser, url)
    yield one
    assert one.complaints == []
    one.close()


@pytest.fixture
def image(tmp_path):
    return photograph(tmp_path / "cat.png")


@pytest.fixture
def encoded(page, image):
    page.open(image)
    assert page.page.evaluate("document.documentElement.dataset.state") == "encoded"
    return page


@pytest.fixture(scope="module")
def predictor(export):
    return load_predictor(export.folder)


def test_a_click_gives_the_masks_of_python(encoded, predictor, image):
    found = encoded.answered(lambda: encoded.click(0.5, 0.4))
    ((x, y),) = found["prompt"]["points"]
    assert (x, y) == pytest.approx((0.5 * 451, 0.4 * 300), abs=2)
    agree(found, predictor, image)
    assert len(found["lowResMasks"]) == 3  # a lone point may mean a part or the whole
    assert found["chosen"] == found["best"]
    assert encoded.get("masks").is_visible()
    assert "Predicted IoU" in encoded.get("message").inner_text()


def test_a_box_and_points_beside_it(encoded, predictor, image):
    found = encoded.answered(lambda: encoded.drag((0.2, 0.2), (0.7, 0.9)))
    assert found["prompt"]["box"] == pytest.approx([0.2 * 451, 60, 0.7 * 451, 270], abs=3)
    agree(found, predictor, image)
    found = encoded.answered(lambda: encoded.click(0.3, 0.3, button="right"))
    assert found["prompt"]["labels"] == [0]
    agree(found, predictor, image)
    found = encoded.answered(lambda: encoded.click(0.5, 0.5))
    assert found["prompt"]["labels"] == [0, 1]
    agree(found, predictor, image)


def test_a_mask_is_refined_by_its_logits(encoded, predictor, image):
    first = encoded.answered(lambda: encoded.click(0.5, 0.4))
    found = encoded.answered(lambda: encoded.get("refine").click())
    np.testing.assert_array_equal(np.float32(found["prompt"]["mask"]), first["lowResMasks"][first["chosen"]])
    agree(found, predictor, image)


def test_undo_goes_back_and_clear_forgets(encoded):
    first = encoded.answered(lambda: encoded.click(0.5, 0.4))
    encoded.answered(lambda: encoded.click(0.2, 0.2))
    encoded.get("undo").click()
    encoded.page.wait_for_function("lightsamDemo.lastPrediction()?.prompt.points.length === 1")
    assert encoded.prediction["prompt"]["points"] == first["prompt"]["points"]
    encoded.get("clear").click()
    encoded.page.wait_for_function("lightsamDemo.lastPrediction() === null")
    assert encoded.get("save-mask").is_disabled()


def test_another_mask_is_chosen_and_downloaded(encoded, predictor, image, tmp_path):
    found = encoded.answered(lambda: encoded.click(0.5, 0.4))
    expected = agree(found, predictor, image)
    other = (found["best"] + 1) % 3
    encoded.get(f"mask-{other}").check(force=True)
    assert encoded.prediction["chosen"] == other
    mask = expected.masks[other]
    written = encoded.download("save-mask", tmp_path)
    assert written.name == "cat-mask.png"
    with Image.open(written) as png:
        assert png.mode == "L"
        assert set(np.unique(png)) <= {0, 255}
        # A logit within rounding of the threshold may fall on either side.
        assert (np.asarray(png).astype(bool) != mask).sum() <= 3
    content = json.loads(encoded.download("save-rle", tmp_path).read_text(encoding="utf-8"))
    with Image.open(written) as png:
        np.testing.assert_array_equal(coco.decode(content["segmentation"]).astype(bool), np.asarray(png) > 0)
    assert content["area"] == coco.area(content["segmentation"])
    assert content["bbox"] == coco.toBbox(content["segmentation"]).tolist()
    with Image.open(encoded.download("save-cutout", tmp_path)) as cut, Image.open(image) as whole:
        assert cut.mode == "RGBA"
        assert list(cut.size) == content["bbox"][2:]
        x, y, width, height = content["bbox"]
        opaque = np.asarray(cut)[..., 3] == 255
        original = np.asarray(whole)[y : y + height, x : x + width]
        np.testing.assert_array_equal(np.asarray(cut)[opaque][:, :3], original[opaque])
        assert opaque.sum() == content["area"]


def test_hovering_shows_what_a_click_would_select(encoded):
    encoded.page.mouse.move(*encoded.place(0.5, 0.5))
    encoded.page.wait_for_selector("#canvas[data-preview=true]")
    assert encoded.prediction is None
    assert encoded.answers == 0


def test_the_keyboard_does_it_all(encoded, predictor, image):
    encoded.get("canvas").focus()
    press = encoded.page.keyboard.press
    press("ArrowLeft")
    found = encoded.answered(lambda: press("Enter"))
    agree(found, predictor, image)
    press("ArrowUp")
    press("ArrowUp")
    found = encoded.answered(lambda: press("b"))
    assert found["prompt"]["labels"] == [1, 0]
    agree(found, predictor, image)
    press("z")
    encoded.page.wait_for_function("lightsamDemo.lastPrediction()?.prompt.points.length === 1")
    press("Escape")
    encoded.page.wait_for_function("lightsamDemo.lastPrediction() === null")


def test_a_photograph_is_turned_upright(page, predictor, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    turned = photograph(tmp_path / "turned.png", exif=exif)
    page.open(turned)
    found = page.answered(lambda: page.click(0.5, 0.4))
    ((x, y),) = found["prompt"]["points"]
    assert (x, y) == pytest.approx((0.5 * 300, 0.4 * 451), abs=2)
    agree(found, predictor, turned)


def test_an_example_is_opened(page):
    page.wait_for("ready")
    page.get("example-coffee").click()
    page.wait_for("encoded")
    assert page.answered(lambda: page.click(0.4, 0.5))["prompt"]["points"]


def test_it_says_what_runs_where_and_how_long_it_took(encoded):
    encoded.answered(lambda: encoded.click(0.5, 0.4))
    said = {name: encoded.get(f"fact-{name}").inner_text() for name in ("model", "weights", "format", "backend")}
    assert "untrained" in said["weights"].lower() or "random" in said["weights"].lower() or "seeded" in said["weights"]
    assert "ONNX" in said["format"]
    assert "float32" in said["format"]
    assert "WASM" in said["backend"]
    assert "thread" in said["backend"]
    for name in ("load", "encode", "decode"):
        assert any(character.isdigit() for character in encoded.get(f"fact-{name}").inner_text())


def test_it_works_offline_after_the_first_visit(browser, site, image):
    with SiteServer(site) as served:
        page = Page(browser, served.url)
        page.open(image)
        page.page.wait_for_function("navigator.serviceWorker.controller !== null")
        page.page.reload()  # everything is now loaded under the service worker's eyes
        page.wait_for("ready")
    page.page.reload()
    page.wait_for("ready")
    page.open(image)
    assert page.answered(lambda: page.click(0.5, 0.5))["ious"]
    page.close()


def test_without_the_headers_the_service_worker_adds_them(browser, site, monkeypatch):
    left_out = {name: value for name, value in server.HEADERS.items() if not name.startswith("Cross-Origin")}
    monkeypatch.setattr(server, "HEADERS", left_out)
    with SiteServer(site) as served:
        page = Page(browser, served.url)
        page.page.wait_for_function("crossOriginIsolated")
        page.wait_for("ready")
        page.close()
        blocked = Page(browser, served.url, service_workers="block")
        blocked.wait_for("ready")
        assert "Cross-Origin-Opener-Policy" in blocked.get("notices").inner_text()
        assert "1 thread" in blocked.get("fact-backend").inner_text()
        blocked.close()


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1600, "light")])
def test_it_fits_small_and_large_windows(browser, url, image, width, scheme):
    page = Page(browser, url, color_scheme=scheme)
    page.page.set_viewport_size({"width": width, "height": 900})
    page.open(image)
    page.answered(lambda: page.click(0.5, 0.4))
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    canvas = page.get("canvas").bounding_box()
    assert canvas["x"] >= 0
    assert canvas["x"] + canvas["width"] <= width
    page.shot(f"page-{width}-{scheme}")
    page.close()


# What goes wrong is a sentence on the page


def test_a_file_that_is_no_image(encoded, tmp_path):
    wrong = tmp_path / "letter.png"
    wrong.write_text("dear", encoding="utf-8")
    encoded.get("file").set_input_files(wrong)
    encoded.page.wait_for_selector("#error:not([hidden])")
    assert "letter.png" in encoded.get("error").inner_text()
    assert encoded.answered(lambda: encoded.click(0.5, 0.4))["ious"]  # the one before is still there


@pytest.fixture
def broken(browser, site, tmp_path):
    """The page of a site that a change has broken."""
    folder = tmp_path / "broken"
    shutil.copytree(site, folder)
    opened = []

    def open_after(change):
        change(folder)
        opened.append(SiteServer(folder))
        page = Page(browser, opened[-1].__enter__().url)
        opened.append(page)
        page.wait_for("failed")
        return page.get("error").inner_text()

    yield open_after
    served, page = opened
    page.close()
    served.__exit__(None, None, None)


def test_a_model_of_another_contract(broken):
    def change(folder):
        path, content = model_json(folder)
        path.write_text(json.dumps({**content, "contract_version": "99"}), encoding="utf-8")

    assert "99" in broken(change)


def test_a_model_that_is_not_there(broken):
    assert "404" in broken(lambda folder: (folder / "model" / "model.json").unlink())


def test_a_model_file_that_is_damaged(broken):
    def change(folder):
        path = folder / "model" / "decoder.onnx"
        content = bytearray(path.read_bytes())
        content[1000] ^= 1
        path.write_bytes(content)

    assert "sha256" in broken(change)


def test_webgpu_that_is_not_there_is_said(browser, url):
    page = Page(browser, f"{url}?unit=webgpu")
    page.wait_for("ready")
    assert "WebGPU was asked for" in page.get("notices").inner_text()
    assert "WASM" in page.get("fact-backend").inner_text()
    page.close()


@pytest.mark.slow
def test_webgpu_answers_as_the_processor_does(url, image, predictor):
    """On a software adapter, which is right and slow: of a GPU it tells that the shaders are right."""
    with chromium(*SOFTWARE_GPU) as found:
        page = Page(found, f"{url}?unit=webgpu")
        page.context.set_default_timeout(300_000)
        page.open(image)
        answer = page.answered(lambda: page.click(0.5, 0.4))
        assert "WebGPU" in page.get("fact-backend").inner_text()
        agree(answer, predictor, image, least_db=FLOAT16.psnr_db)
        page.close()
