/** The keyboard on the picture: a crosshair, and keys that work while the picture has the focus, and nowhere else. */

import { boxBetween, inside, nearest, stride } from "./places.js";

/** @import { Box, Point } from "../lightsam.js" */
/** @import { Size } from "./places.js" */

/** @typedef {{type: "move", dx: number, dy: number, fine: boolean}} Move */
/** @typedef {{type: "choose", index: number}} Choose */
/** @typedef {{type: "point", label: 0 | 1} | {type: "corner" | "remove" | "refine" | "undo" | "clear"}} Other */
/** @typedef {Move | Choose | Other} Command */

/** @type {Readonly<Record<string, [dx: number, dy: number]>>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @type {Readonly<Record<string, Other>>} */
const COMMANDS = {
  b: { type: "point", label: 0 },
  x: { type: "corner" },
  delete: { type: "remove" },
  backspace: { type: "remove" },
  r: { type: "refine" },
  z: { type: "undo" },
  escape: { type: "clear" },
};

/**
 * @param {Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey">} event
 * @returns {Command | null} null for keys that are the browser's.
 */
export function commandOf({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  const name = key.toLowerCase();
  if (altKey || ((ctrlKey || metaKey) && name !== "z")) {
    return null;
  }
  if (Object.hasOwn(ARROWS, key)) {
    const [dx, dy] = ARROWS[key];
    return { type: "move", dx, dy, fine: shiftKey };
  }
  if (key === "Enter" || key === " ") {
    return { type: "point", label: shiftKey ? 0 : 1 };
  }
  if (/^[1-9]$/.test(key)) {
    return { type: "choose", index: Number(key) - 1 };
  }
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : null;
}

/**
 * @typedef {object} Listener Places are whole pixels of the picture.
 * @property {() => Size | null} picture its size; null where there is none.
 * @property {() => readonly Readonly<Point>[]} points that there are.
 * @property {(crosshair: Point | null, box: Box | null) => void} onMove the box is the one that is being drawn, if any.
 * @property {(place: Point, label: 0 | 1) => void} onPoint
 * @property {(corner: Point) => void} onCorner the first one of a box.
 * @property {(box: Box) => void} onBox
 * @property {(index: number) => void} onRemove a point.
 * @property {(index: number) => void} onChoose a mask.
 * @property {() => void} onRefine
 * @property {() => void} onUndo
 * @property {() => void} onClear
 */

/** A crosshair that keys move, and what they do where it is. */
export class Crosshair {
  /** @type {Point | null} */
  #place = null;
  /** @type {Point | null} */
  #corner = null;
  #listener;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Take it away, as a pointer does and another picture. */
  hide() {
    if (this.#place) {
      this.#place = null;
      this.#corner = null;
      this.#listener.onMove(null, null);
    }
  }

  /** @param {Command} command */
  obey(command) {
    const size = this.#listener.picture();
    if (!size) {
      return;
    }
    const place = this.#place ?? inside([size.width / 2, size.height / 2], size);
    switch (command.type) {
      case "move": {
        const step = stride(size, command.fine);
        // The first press shows where it is.
        this.#moveTo(this.#place ? inside([place[0] + command.dx * step, place[1] + command.dy * step], size) : place);
        break;
      }
      case "point":
        this.#moveTo(place);
        this.#listener.onPoint(place, command.label);
        break;
      case "corner":
        this.#putCorner(place);
        break;
      case "remove": {
        const index = nearest(place, this.#listener.points());
        if (index >= 0) {
          this.#listener.onRemove(index);
        }
        break;
      }
      case "choose":
        this.#listener.onChoose(command.index);
        break;
      case "refine":
        this.#listener.onRefine();
        break;
      case "undo":
        this.#listener.onUndo();
        break;
      case "clear":
        if (this.#corner) {
          this.#corner = null;
          this.#moveTo(place);
        } else {
          this.#listener.onClear();
        }
        break;
    }
  }

  /** @param {Point} place */
  #putCorner(place) {
    const corner = this.#corner;
    this.#corner = corner ? null : place;
    this.#moveTo(place);
    corner ? this.#listener.onBox(boxBetween(corner, place)) : this.#listener.onCorner(place);
  }

  /** @param {Point} place */
  #moveTo(place) {
    this.#place = place;
    this.#listener.onMove(place, this.#corner && boxBetween(this.#corner, place));
  }
}
