/** A mouse, a pen or a finger on the picture. */

import { boxBetween, isDrag, toPicture } from "./places.js";

/** @import { Box, Point } from "../lightsam.js" */
/** @import { Size } from "./places.js" */

/**
 * @typedef {object} Listener Places are whole pixels of the picture.
 * @property {() => Size | null} picture its size; null where there is none.
 * @property {(place: Point | null) => void} onHover null when the pointer leaves.
 * @property {(place: Point, other: boolean) => void} onClick `other` for the right button, or with Alt or Ctrl.
 * @property {(box: Box | null) => void} onDraw a box while it is drawn; null when it is given up.
 * @property {(box: Box) => void} onBox
 */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Listener} listener
 */
export function listenToPointer(canvas, { picture, onHover, onClick, onDraw, onBox }) {
  /** @type {{id: number, screen: Point, place: Point, other: boolean} | null} */
  let down = null;

  /**
   * @param {PointerEvent} event
   * @returns {{screen: Point, place: Point} | null}
   */
  function placeOf({ clientX, clientY }) {
    const size = picture();
    const { left, top, width, height } = canvas.getBoundingClientRect();
    /** @type {Point} */
    const screen = [clientX - left, clientY - top];
    return size && { screen, place: toPicture(screen, { width, height }, size) };
  }

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    const at = placeOf(event);
    if (at && !down && (event.button === 0 || event.button === 2)) {
      // Ctrl click is the right click of a Mac with one button.
      down = { id: event.pointerId, ...at, other: event.button === 2 || event.altKey || event.ctrlKey };
      canvas.setPointerCapture(event.pointerId);
      onHover(null);
    }
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = placeOf(event);
    if (at && !down && event.pointerType !== "touch") {
      onHover(at.place);
    } else if (at && down?.id === event.pointerId && !down.other) {
      onDraw(isDrag(down.screen, at.screen) ? boxBetween(down.place, at.place) : null);
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    const at = placeOf(event);
    if (at && down?.id === event.pointerId) {
      const { screen, place, other } = down;
      down = null;
      if (!isDrag(screen, at.screen)) {
        onClick(place, other);
      } else if (!other) {
        onBox(boxBetween(place, at.place));
      }
    }
  });
  canvas.addEventListener("pointercancel", () => {
    down = null;
    onDraw(null);
  });
  canvas.addEventListener("pointerleave", () => onHover(null));
}
