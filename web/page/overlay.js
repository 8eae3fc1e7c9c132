/** A mask as it lies over the picture: coloured and half transparent, with an outline. */

/** @import { Size } from "./places.js" */

/** @typedef {readonly [red: number, green: number, blue: number, alpha: number]} Colour Each 0..255. */

/**
 * @typedef {object} Paint
 * @property {Colour} fill
 * @property {Colour} outline
 * @property {number} thickness of the outline, in pixels of the result; 0 draws none.
 */

/**
 * A mask, drawn at the size of the screen and not of the picture, so that the outline is as thick for a large picture
 * as for a small one, and time and memory are those of the screen.
 *
 * @param {{width: number, height: number, data: Uint8Array}} mask 1 inside and 0 outside.
 * @param {Size} size of the result, in pixels.
 * @param {Paint} paint
 * @returns {Uint8ClampedArray<ArrayBuffer>} RGBA, row by row.
 */
export function overlay(mask, { width, height }, { fill, outline, thickness }) {
  const within = sampled(mask, width, height);
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (within[at]) {
        const edge =
          thickness > 0 &&
          !(
            x >= thickness &&
            within[at - thickness] &&
            x + thickness < width &&
            within[at + thickness] &&
            y >= thickness &&
            within[at - thickness * width] &&
            y + thickness < height &&
            within[at + thickness * width]
          );
        pixels.set(edge ? outline : fill, 4 * at);
      }
    }
  }
  return pixels;
}

/**
 * The mask at another size, by its nearest pixels.
 *
 * @param {{width: number, height: number, data: Uint8Array}} mask
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array<ArrayBuffer>}
 */
function sampled(mask, width, height) {
  const columns = Uint32Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * mask.width) / width));
  const result = new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * mask.height) / height) * mask.width;
    for (let x = 0; x < width; x++, at++) {
      result[at] = mask.data[row + columns[x]];
    }
  }
  return result;
}
