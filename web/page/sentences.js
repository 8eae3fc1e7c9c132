/** What the page says, in sentences and in short figures. */

/** @import { Mask, ModelDescription } from "../lightsam.js" */
/** @import { Running } from "./worker-client.js" */

/** @typedef {{name: string, message: string}} Failure An error that came from a worker. */

/** What browsers and the runtime say when memory is at its end. */
const NO_MEMORY = /out of memory|bad_alloc|allocation failed|memory access out of bounds|could not allocate/i;

/**
 * @param {Failure} error
 * @returns {string} a sentence that says what to do.
 */
export function sentenceOf({ name, message }) {
  if (NO_MEMORY.test(message)) {
    return (
      `This device has not enough memory for the model or the picture (${message}). ` +
      "Close other tabs, or take a smaller model or picture."
    );
  }
  const text = message.trim() || name;
  // Names of files and addresses stay as they are.
  const first = /^[a-z]+(?=[\s,])/.test(text) ? text[0].toUpperCase() : text[0];
  return `${first}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** @param {number} count */
export function bytes(count) {
  return `${(count / 1e6).toFixed(1)} MB`;
}

/** @param {number} milliseconds */
export function duration(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** @param {number} iou predicted. */
export function score(iou) {
  return iou.toFixed(2);
}

/**
 * What a screen reader says of a mask.
 *
 * @param {Pick<Mask, "width" | "height" | "area" | "box" | "iouPrediction">} mask
 * @param {number} index of it.
 * @param {number} count of masks to choose from.
 */
export function maskSentence({ width, height, area, box, iouPrediction }, index, count) {
  const which = count > 1 ? `Mask ${index + 1} of ${count}` : "The mask";
  if (!box) {
    return `${which} is empty: nothing was found. Predicted IoU ${score(iouPrediction)}.`;
  }
  const share = (100 * area) / (width * height);
  const part = share < 0.1 ? "less than 0.1" : share.toFixed(1);
  return (
    `${which} covers ${part} % of the picture, from ${box[0]}, ${box[1]} to ${box[2]}, ${box[3]}. ` +
    `Predicted IoU ${score(iouPrediction)}.`
  );
}

/** @type {Readonly<Record<string, string>>} */
const UNITS = { WASM: "WASM", WEBGPU: "WebGPU" };

/**
 * @param {Running} running
 * @returns {string} such as "WASM, 2 threads".
 */
export function runningWords({ encoder, decoder, threads }) {
  const units = encoder === decoder ? UNITS[encoder] : `${UNITS[encoder]} (encoder), ${UNITS[decoder]} (decoder)`;
  const usesThreads = encoder === "WASM" || decoder === "WASM";
  return usesThreads ? `${units}, ${threads} ${threads === 1 ? "thread" : "threads"}` : units;
}

/**
 * @param {ModelDescription} description
 * @returns {{model: string, weights: string, format: string}} for the line on what runs.
 */
export function modelWords({ title, model, weights, format, precision, image_size: size, trained }) {
  return {
    model: `${title} (${model}, ${size} pixels)`,
    weights: trained ? `${weights.name} by ${weights.authors}, ${weights.license}` : "random",
    format: `${format === "onnx" ? "ONNX" : format}, ${precision}`,
  };
}

/**
 * Why controls do not work with a model, a sentence each; null where they do.
 *
 * @typedef {{background: string | null, refine: string | null, several: string | null}} Missing
 */

/**
 * Which controls the model has no use for.
 *
 * @param {ModelDescription["rules"]} rules
 * @returns {Missing}
 */
export function missing({ prompts, masks }) {
  return {
    background: prompts.background ? null : "This model takes no background points.",
    refine: prompts.masks ? null : "This model takes no mask as a prompt, so it cannot refine one.",
    several: masks.count > 1 ? null : "This model gives one mask a prompt.",
  };
}
