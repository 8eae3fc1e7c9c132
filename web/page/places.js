/**
 * Where things are: the picture on the screen, a pointer in the picture. *Screen* is CSS pixels from the canvas' top
 * left corner, *picture* is the picture's own pixels.
 */

/** @import { Box, Point } from "../lightsam.js" */

/** @typedef {{width: number, height: number}} Size */

/** Screen pixels that a pointer may move and still click, since a hand is never quite still. */
const STILL = 4;

/**
 * The largest size in which the picture fits; small pictures are enlarged at most to three times their size, beyond
 * which only blur is gained.
 *
 * @param {Size} picture in its pixels.
 * @param {Size} room in CSS pixels.
 * @returns {Size} in whole CSS pixels, at least 1.
 */
export function fit(picture, room) {
  const scale = Math.min(room.width / picture.width, room.height / picture.height, 3);
  return {
    width: Math.max(1, Math.round(picture.width * scale)),
    height: Math.max(1, Math.round(picture.height * scale)),
  };
}

/**
 * The pixel under a pointer.
 *
 * @param {Readonly<Point>} screen
 * @param {Size} shown size of the picture on the screen.
 * @param {Size} picture
 * @returns {Point} of whole numbers within the picture, for pointers beside it, too.
 */
export function toPicture([x, y], shown, picture) {
  return inside([(x * picture.width) / shown.width, (y * picture.height) / shown.height], picture);
}

/**
 * @param {Readonly<Point>} point in the picture.
 * @param {Size} shown size of the picture on the screen.
 * @param {Size} picture
 * @returns {Point} on the screen.
 */
export function toScreen([x, y], shown, picture) {
  return [(x * shown.width) / picture.width, (y * shown.height) / picture.height];
}

/**
 * @param {Readonly<Point>} point
 * @param {Size} picture
 * @returns {Point} the nearest pixel of the picture.
 */
export function inside([x, y], { width, height }) {
  return [clamp(Math.floor(x), 0, width - 1), clamp(Math.floor(y), 0, height - 1)];
}

/**
 * @param {Readonly<Point>} start of a pointer, on the screen.
 * @param {Readonly<Point>} end likewise.
 */
export function isDrag(start, end) {
  return Math.hypot(end[0] - start[0], end[1] - start[1]) > STILL;
}

/**
 * The box between two pixels, both inside it.
 *
 * @param {Readonly<Point>} one of whole numbers, in the picture.
 * @param {Readonly<Point>} other likewise.
 * @returns {Box} ends exclusive.
 */
export function boxBetween([ax, ay], [bx, by]) {
  return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx) + 1, Math.max(ay, by) + 1];
}

/**
 * @param {Readonly<Point>} point in the picture.
 * @param {readonly Readonly<Point>[]} points likewise.
 * @param {number} [within] distance that is near enough, in the picture's pixels.
 * @returns {number} index of the nearest one; -1 where none is near enough.
 */
export function nearest([x, y], points, within = Infinity) {
  let [index, least] = [-1, within];
  for (const [at, point] of points.entries()) {
    const distance = Math.hypot(point[0] - x, point[1] - y);
    if (distance <= least) {
      [index, least] = [at, distance];
    }
  }
  return index;
}

/**
 * How far the crosshair goes by one press of an arrow key: a fiftieth of the longest side, or one pixel for precision.
 *
 * @param {Size} picture
 * @param {boolean} fine
 */
export function stride({ width, height }, fine) {
  return fine ? 1 : Math.max(1, Math.round(Math.max(width, height) / 50));
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}
