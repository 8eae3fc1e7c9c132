"""Drives the page in Chromium, as a person does: `lightsam demo`'s site, served from a folder."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from lightsam.metrics import psnr_db
from lightsam.prompts import Prompt
from lightsam_exporters.browser.chromium import find_chromium

SHOTS = Path(__file__).parent.parent / "build" / "screenshots"
"""Where pictures of the page are kept, for whoever wants to look."""


SOFTWARE_GPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
"""Options of a browser whose WebGPU computes on the processor."""


@contextmanager
def chromium(*options):
    """A browser, closed when the block ends."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--disable-dev-shm-usage", *options]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


LEAST_DB = 100
"""Of float32 on two builds of the same kernels."""


class Page:
    """The page in a browser of its own: nothing that another test left is there."""

    def __init__(self, browser, url, **context):
        self.context = browser.new_context(viewport={"width": 1200, "height": 900}, **context)
        self.context.set_default_timeout(60_000)
        self.page = self.context.new_page()
        self.complaints = []
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)

    def get(self, name):
        """An element by its test id."""
        return self.page.get_by_test_id(name)

    def wait_for(self, *states):
        """Until the page is in one of these states."""
        self.page.wait_for_function(
            "states => states.includes(document.documentElement.dataset.state)", arg=list(states)
        )

    @property
    def answers(self):
        """How many have been shown."""
        return int(self.page.evaluate("document.documentElement.dataset.answers"))

    def answered(self, act):
        """Do something, and give the prediction that the page then shows."""
        before = self.answers
        act()
        self.page.wait_for_function("before => document.documentElement.dataset.answers > before", arg=before)
        return self.prediction

    @property
    def prediction(self):
        """What is shown: logits, predicted IoUs, the best, the chosen, the prompt in pixels of the image; or None."""
        found = self.page.evaluate(
            """() => {
                const shown = lightsamDemo.lastPrediction();
                if (!shown) return null;
                const numbers = (values) => Array.from(values);
                const { prompt } = shown;
                const mask = prompt.mask ? numbers(prompt.mask) : null;
                const { best, chosen } = shown;
                return { lowResMasks: shown.lowResMasks.map(numbers), ious: numbers(shown.ious), best, chosen,
                         prompt: { ...prompt, mask } };
            }"""
        )
        if found:
            found["lowResMasks"] = np.array(found["lowResMasks"], np.float32)
        return found

    def open(self, path):
        """Choose an image, and wait until it is encoded."""
        self.get("file").set_input_files(path)
        self.wait_for("encoded", "failed")

    def place(self, x, y):
        """Where a part of the canvas lies, each from 0 to 1: in pixels of the browser's window."""
        box = self.get("canvas").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def click(self, x, y, button="left"):
        """Click on a part of the image."""
        self.page.mouse.click(*self.place(x, y), button=button)

    def drag(self, start, end):
        """Draw from one part of the image to another."""
        self.page.mouse.move(*self.place(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.place(*end), steps=4)
        self.page.mouse.up()

    def download(self, name, folder):
        """Press a button, and give the file that the browser keeps."""
        with self.page.expect_download() as kept:
            self.get(name).click()
        path = folder / kept.value.suggested_filename
        kept.value.save_as(path)
        return path

    def shot(self, name):
        """Keep a picture of the page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    def close(self):
        self.context.close()


def photograph(path, image=data.chelsea, **options):
    """One of scikit-image's photographs, as a file."""
    Image.fromarray(image()).save(path, **options)
    return path


def agree(found, predictor, image, least_db=LEAST_DB):
    """Whether the page's logits are those of Python, asked the same."""
    asked = found["prompt"]
    mask = asked["mask"]
    if mask is not None:
        mask = np.array(mask, np.float32).reshape(2 * [round(len(mask) ** 0.5)])
    prompt = Prompt(
        points=[tuple(point) for point in asked.get("points") or []],
        labels=asked.get("labels") or [],
        box=asked.get("box") and tuple(asked["box"]),
        mask=mask,
    )
    expected = predictor.predict(predictor.encode(image), prompt)
    assert len(found["lowResMasks"]) == len(expected.low_res_masks)
    for mine, theirs in zip(expected.low_res_masks, found["lowResMasks"], strict=True):
        assert psnr_db(mine, theirs.reshape(mine.shape)) >= least_db
    np.testing.assert_allclose(found["ious"], expected.iou_predictions, atol=10 ** (-least_db / 25))
    assert found["best"] == expected.best
    return expected


def model_json(site):
    """Of a site: its path and its content."""
    path = site / "model" / "model.json"
    return path, json.loads(path.read_text(encoding="utf-8"))
