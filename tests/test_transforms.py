"""Images in, masks out, and the coordinates between."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from lightsam.errors import ImageError
from lightsam.geometry import Frame, Preprocess
from lightsam.transforms import open_image, to_model_input, upscale_masks

SHAPES = [(600, 400), (400, 600), (512, 512), (3000, 200), (7, 5), (1, 300), (1, 5000), (1, 1)]


@pytest.mark.parametrize(("width", "height"), SHAPES)
def test_coordinates_go_there_and_back(width, height):
    frame = Frame(width, height, 1024)
    corners = np.array([[0, 0], [width, height], [width / 3, height / 7]])
    there = frame.to_model(corners)
    assert np.allclose(there[1], frame.resized)
    assert max(frame.resized) == 1024
    assert min(frame.resized) >= 1
    np.testing.assert_allclose(frame.to_image(there), corners, rtol=1e-5)


@pytest.mark.parametrize(("width", "height"), SHAPES)
def test_every_shape_makes_a_padded_square(width, height):
    image = Image.new("RGB", (width, height), (10, 20, 30))
    pixels, frame = to_model_input(image, Preprocess(256))
    assert pixels.shape == (1, 3, 256, 256)
    assert pixels.dtype == np.float32
    w, h = frame.resized
    assert (pixels[0, :, :h, :w] == np.array([10, 20, 30])[:, None, None]).all()
    padding = np.ones((256, 256), bool)
    padding[:h, :w] = False
    assert (pixels[0][:, padding].T == (124, 116, 104)).all()


def test_resizing_is_pillows_antialiased_bilinear():
    image = Image.fromarray(data.astronaut()[:300])
    pixels, frame = to_model_input(image, Preprocess(256))
    expected = np.asarray(image.resize((256, 150), Image.Resampling.BILINEAR), np.float32)
    assert frame.resized == (256, 150)
    assert np.array_equal(pixels[0, :, :150].transpose(1, 2, 0), expected)


def test_a_mask_comes_back_where_it_was():
    frame = Frame(600, 400, 1024)
    low_res = np.full((1, 256, 256), -5, np.float32)
    # 300..450 x 100..200 in the image: 512..768 x 171..341 in the model's frame, a quarter of that here
    low_res[0, 43:85, 128:192] = 5
    mask = upscale_masks(low_res, frame)[0] > 0
    assert mask.shape == (400, 600)
    rows, columns = np.where(mask)
    assert (abs(columns.min() - 300), abs(columns.max() - 450)) <= (2, 2)
    assert (abs(rows.min() - 100), abs(rows.max() - 200)) <= (2, 2)


def test_padding_never_reaches_the_mask():
    low_res = np.full((1, 64, 64), -1, np.float32)
    low_res[0, 45:] = 9  # rows past 256 * 400 / 600 = 171 are padding: 42.7 here
    assert (upscale_masks(low_res, Frame(600, 400, 256))[0, :-10] < 0).all()


def gradient(mode: str) -> Image.Image:
    return Image.fromarray(np.linspace(0, 255, 60 * 40).reshape(40, 60).astype(np.uint8)).convert(mode)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "I", "F"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("image.tiff" if mode in ("CMYK", "YCbCr", "I", "F", "LA") else "image.png")
    gradient(mode).save(path)
    image = open_image(path)
    assert (image.mode, image.size) == ("RGB", (60, 40))
    if mode != "1":  # dithered; of the others palettes and colour spaces may move a value by a little
        difference = np.asarray(image, int) - np.asarray(gradient("RGB"), int)
        assert np.abs(difference).max() <= 2


@pytest.mark.parametrize(
    ("dtype", "white"), [(np.uint16, 65535), (np.int32, 255), (np.int32, 65535), (np.float32, 1), (np.float32, 255)]
)
def test_more_than_8_bits_are_scaled_by_their_range(dtype, white):
    values = (np.array([[0, 0.25, 0.5, 1]]) * white).astype(dtype)
    found = np.asarray(open_image(Image.fromarray(values)))[0, :, 0]
    np.testing.assert_allclose(found, [0, 64, 128, 255], atol=1)


@pytest.mark.parametrize("values", [[-1.0, 0.5], [0.0, 300.0], [0.0, np.nan]])
def test_floats_of_an_unknown_range_are_refused(values):
    with pytest.raises(ImageError, match=r"mode F holds 0\.\.1 or 0\.\.255, and this one"):
        open_image(Image.fromarray(np.array([values], np.float32)))


def test_arrays_are_images(coffee):
    assert np.array_equal(open_image(np.asarray(coffee)), coffee)
    assert np.array_equal(open_image(np.asarray(coffee.convert("L"))), coffee.convert("L").convert("RGB"))


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 3)), np.zeros((3, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)]
)
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ImageError, match=r"is no image: give \(H, W, 3\) RGB"):
        open_image(pixels)


def test_transparency_is_ignored():
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert open_image(image).getpixel((0, 0)) == (10, 20, 30)


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    path = tmp_path / "grey16.png"
    Image.fromarray(np.array([[0, 32896, 65535]], np.uint16)).save(path)
    assert [open_image(path).getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def test_exif_rotation_is_applied(tmp_path):
    path = tmp_path / "rotated.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter clockwise
    Image.fromarray(data.coffee()).save(path, exif=exif)
    assert open_image(path).size == (400, 600)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, "there is no image"),
        ("text.png", b"not an image", "cannot be read as an image"),
        ("empty.jpg", b"", "cannot be read as an image"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=message):
        open_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_image_is_refused(tmp_path, suffix):
    path = tmp_path / f"whole.{suffix}"
    Image.fromarray(data.coffee()).save(path)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ImageError, match="cannot be read as an image"):
        open_image(cut)
