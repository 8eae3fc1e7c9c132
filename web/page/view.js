/** The picture on the screen, with a mask, points, a box and a crosshair over it. */

import { overlay } from "./overlay.js";
import { fit, toScreen } from "./places.js";

/** @import { Box, Mask, Point } from "../lightsam.js" */
/** @import { Colour } from "./overlay.js" */
/** @import { Size } from "./places.js" */

/**
 * @typedef {object} Scene What lies over the picture.
 * @property {Mask | null} mask
 * @property {boolean} preview whether the mask is only that of the place under the pointer.
 * @property {readonly Readonly<Point>[]} points in the picture.
 * @property {readonly (0 | 1)[]} labels one a point.
 * @property {Readonly<Box> | null} box in the picture.
 * @property {Readonly<Point> | null} crosshair in the picture; null where no key moves it.
 */

/** @type {Scene} */
const NOTHING = { mask: null, preview: false, points: [], labels: [], box: null, crosshair: null };

/** @type {Colour} */
const FILL = [46, 134, 255, 115];
/** @type {Colour} */
const PREVIEW = [46, 134, 255, 90];
/** @type {Colour} */
const OUTLINE = [255, 255, 255, 240];
const FOREGROUND = "#16a34a";
const BACKGROUND = "#dc2626";

export class View {
  /** @type {ImageBitmap | null} */
  #picture = null;
  #scene = NOTHING;
  /** The picture and the mask at the screen's size, each drawn once and not in every frame. */
  #base = new OffscreenCanvas(1, 1);
  #layer = new OffscreenCanvas(1, 1);
  /** @type {Mask | null} */
  #layerOf = null;
  #layerPreview = false;
  #frame = 0;
  #canvas;
  #room;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} room whose width, and most of the window's height, the picture may fill.
   */
  constructor(canvas, room) {
    this.#canvas = canvas;
    this.#room = room;
    new ResizeObserver(() => this.#resize()).observe(room);
    window.addEventListener("resize", () => this.#resize());
  }

  /** Size on the screen, in CSS pixels. @returns {Size} */
  get shown() {
    return { width: this.#canvas.clientWidth, height: this.#canvas.clientHeight };
  }

  /** @param {ImageBitmap} picture */
  setPicture(picture) {
    this.#picture = picture;
    this.#canvas.hidden = false;
    this.#base.width = 0;
    this.#scene = NOTHING;
    this.#resize();
  }

  /** @param {Partial<Scene>} changes */
  show(changes) {
    this.#scene = { ...this.#scene, ...changes };
    this.#canvas.dataset.preview = String(this.#scene.preview && this.#scene.mask !== null);
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #resize() {
    if (!this.#picture) {
      return;
    }
    const most = window.innerHeight * (window.innerWidth < 900 ? 0.62 : 0.78);
    const size = fit(this.#picture, { width: this.#room.clientWidth, height: Math.max(220, most) });
    const ratio = window.devicePixelRatio;
    const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
    this.#canvas.style.width = `${size.width}px`;
    this.#canvas.style.height = `${size.height}px`;
    if (this.#base.width !== width || this.#base.height !== height) {
      this.#canvas.width = this.#base.width = width;
      this.#canvas.height = this.#base.height = height;
      const context = contextOf(this.#base);
      context.imageSmoothingQuality = "high";
      context.drawImage(this.#picture, 0, 0, width, height);
      this.#layerOf = null;
    }
    // A canvas that is resized is blank until it is drawn again.
    this.#draw();
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { width, height } = this.#base;
    const context = contextOf(this.#canvas);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.#base, 0, 0);
    const { mask, preview, box, points, labels, crosshair } = this.#scene;
    if (mask) {
      if (this.#layerOf !== mask || this.#layerPreview !== preview) {
        this.#layer.width = width;
        this.#layer.height = height;
        const thickness = preview ? 0 : Math.max(1, Math.round(1.5 * window.devicePixelRatio));
        const fill = preview ? PREVIEW : FILL;
        const pixels = overlay(mask, { width, height }, { fill, outline: OUTLINE, thickness });
        contextOf(this.#layer).putImageData(new ImageData(pixels, width), 0, 0);
        this.#layerOf = mask;
        this.#layerPreview = preview;
      }
      context.drawImage(this.#layer, 0, 0);
    }
    // From here on in CSS pixels.
    context.setTransform(window.devicePixelRatio, 0, 0, window.devicePixelRatio, 0, 0);
    if (box) {
      this.#drawBox(context, box);
    }
    for (const [index, point] of points.entries()) {
      drawPoint(context, this.#middle(point), labels[index]);
    }
    if (crosshair) {
      drawCrosshair(context, this.#middle(crosshair));
    }
  }

  /** @param {Readonly<Point>} pixel whose middle is meant. */
  #middle([x, y]) {
    return toScreen([x + 0.5, y + 0.5], this.shown, /** @type {ImageBitmap} */ (this.#picture));
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Readonly<Box>} box
   */
  #drawBox(context, [x0, y0, x1, y1]) {
    const picture = /** @type {ImageBitmap} */ (this.#picture);
    const [left, top] = toScreen([x0, y0], this.shown, picture);
    const [right, bottom] = toScreen([x1, y1], this.shown, picture);
    // Dark below light, so that it is seen on any picture.
    for (const [colour, dash] of /** @type {const} */ ([["#111827", []], ["#ffffff", [7, 5]]])) {
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.setLineDash([...dash]);
      context.strokeRect(left, top, right - left, bottom - top);
    }
    context.setLineDash([]);
  }
}

/**
 * A point's kind is told by its sign, too, for those who do not see its colour.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Point} place on the screen.
 * @param {0 | 1} label
 */
function drawPoint(context, [x, y], label) {
  context.beginPath();
  context.arc(x, y, 7, 0, 2 * Math.PI);
  context.fillStyle = label ? FOREGROUND : BACKGROUND;
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = "#ffffff";
  context.stroke();
  context.beginPath();
  context.moveTo(x - 3.5, y);
  context.lineTo(x + 3.5, y);
  if (label) {
    context.moveTo(x, y - 3.5);
    context.lineTo(x, y + 3.5);
  }
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Point} place on the screen.
 */
function drawCrosshair(context, [x, y]) {
  for (const [colour, width] of /** @type {const} */ ([["#111827", 4], ["#ffffff", 2]])) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 4 * dx, y + 4 * dy);
      context.lineTo(x + 16 * dx, y + 16 * dy);
    }
    context.stroke();
  }
}

/**
 * @template {HTMLCanvasElement | OffscreenCanvas} C
 * @param {C} canvas
 * @returns {C extends HTMLCanvasElement ? CanvasRenderingContext2D : OffscreenCanvasRenderingContext2D}
 */
function contextOf(canvas) {
  return /** @type {any} */ (canvas.getContext("2d"));
}
