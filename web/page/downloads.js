/** Masks as files: the cut-out and the mask as PNG, the run lengths as JSON. */

import { ImageError, MaskError } from "../lightsam.js";
import { greyPNG } from "./png.js";

/** @import { Mask, Pixels, Prompt } from "../lightsam.js" */

/**
 * @param {Mask} mask
 * @param {Pixels} picture that it is about.
 * @returns {Promise<Blob>} a PNG of the mask's box, transparent outside the mask.
 * @throws {MaskError} for an empty mask.
 * @throws {ImageError} where the browser has no canvas of that size.
 */
export async function cutOutFile(mask, picture) {
  const cut = mask.cutOut(picture);
  if (!cut) {
    throw new MaskError("the mask is empty, so there is nothing to cut out: choose another mask, or other points");
  }
  const canvas = new OffscreenCanvas(cut.width, cut.height);
  const context = canvas.getContext("2d");
  if (!context) {
    throw new ImageError(`this browser gives no canvas of ${cut.width} x ${cut.height} pixels: take a smaller picture`);
  }
  context.putImageData(new ImageData(cut.data, cut.width), 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/**
 * @param {Mask} mask
 * @returns {Promise<Blob>} a PNG of the picture's size, grey: 255 inside and 0 outside.
 */
export function maskFile(mask) {
  return greyPNG(mask);
}

/**
 * A mask as COCO's and SA-1B's JSON have it.
 *
 * @param {Mask} mask
 * @param {Prompt} prompt that it answers.
 * @param {string} fileName of the picture.
 */
export function annotationOf(mask, { points = [], labels = [], box }, fileName) {
  const [x0, y0, x1, y1] = mask.box ?? [0, 0, 0, 0];
  return {
    image: { file_name: fileName, width: mask.width, height: mask.height },
    segmentation: mask.toCompressedRLE(),
    bbox: [x0, y0, x1 - x0, y1 - y0],
    area: mask.area,
    predicted_iou: mask.iouPrediction,
    point_coords: points,
    point_labels: labels,
    prompt_box: box ?? null,
  };
}

/**
 * @param {string} picture name of its file.
 * @param {string} kind
 * @returns {string} such as "cat-mask.png" for "cat.jpg", "mask.png".
 */
export function nameOf(picture, kind) {
  const stem = picture.replace(/\.[^.]*$/, "").replace(/[\\/:*?"<>|]/g, "_");
  return `${stem || "picture"}-${kind}`;
}

/**
 * Hand a file to the person.
 *
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  // The browser reads the address after this returns.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
