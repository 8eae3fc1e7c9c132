/** What stands around the picture: messages, progress, figures, the masks to choose from. */

import { overlay } from "./overlay.js";
import { bytes, duration, modelWords, runningWords, score } from "./sentences.js";

/** @import { Mask, Point, Progress } from "../lightsam.js" */
/** @import { Example, Picture } from "./pictures.js" */
/** @import { Missing } from "./sentences.js" */
/** @import { Encoded, Loaded, Running } from "./worker-client.js" */

const KINDS = /** @type {const} */ (["cutout", "mask", "rle"]);

/** Longest side of a mask's small picture, in CSS pixels. */
const SMALL = 84;

/**
 * An element of index.html, which has all that are asked for.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function element(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/**
 * @param {string} id
 * @param {string} text which is set only where it is new, as screen readers read it again otherwise.
 */
export function write(id, text) {
  if (element(id).textContent !== text) {
    element(id).textContent = text;
  }
}

/** @param {string} sentence on what is not as it was asked for; it stays. */
export function showNotice(sentence) {
  const notice = Object.assign(document.createElement("p"), { className: "notice", textContent: sentence });
  element("notices").append(notice);
}

/** @param {string | null} sentence on what went wrong; null takes it away. */
export function showError(sentence) {
  element("error").hidden = sentence === null;
  write("error-text", sentence ?? "");
}

/** @param {Progress} progress of the model's download. */
export function showProgress({ loaded, total, cached }) {
  const bar = element("progress");
  if (loaded < total) {
    bar.setAttribute("value", String(loaded / total));
    const what = cached ? "Reading the model from the cache" : "Fetching the model";
    write("progress-text", `${what}: ${bytes(loaded)} of ${bytes(total)}`);
  } else {
    bar.removeAttribute("value");
    write("progress-text", "Preparing the model");
  }
}

/** @param {Loaded} loaded */
export function showLoaded({ description, running, milliseconds, cached }) {
  element("download").hidden = true;
  const words = modelWords(description);
  write("fact-model", words.model);
  write("fact-weights", words.weights);
  write("fact-format", words.format);
  showRunning(running);
  write("fact-load", `${duration(milliseconds)}${cached ? ", files from the cache" : ""}`);
  if (!description.trained) {
    showNotice("The weights of this model are random: its masks mean nothing.");
  }
}

/** @param {Running} running */
export function showRunning(running) {
  write("fact-backend", runningWords(running));
}

/** @param {Encoded | null} encoded null while nothing is. */
export function showEncoded(encoded) {
  write("fact-encode", encoded ? (encoded.kept ? "kept in memory" : duration(encoded.milliseconds)) : "–");
  write("fact-decode", "–");
}

/** @param {number} milliseconds */
export function showDecoded(milliseconds) {
  write("fact-decode", duration(milliseconds));
}

/** @param {Picture} picture which is opened. */
export function showPicture({ bitmap: { width, height }, name }) {
  element("welcome").hidden = true;
  element("canvas").setAttribute("aria-label", `Picture to segment: ${name}, ${width} by ${height} pixels`);
  showEncoded(null);
}

/**
 * @param {Readonly<Point>} place of the crosshair.
 * @param {Mask | null} mask that is shown.
 */
export function showPosition([x, y], mask) {
  const within = mask ? (mask.data[y * mask.width + x] ? ", in the mask" : ", outside the mask") : "";
  write("position", `${x}, ${y}${within}`);
}

/**
 * Let the controls work that have an effect, and say of the others why they have none.
 *
 * @param {object} conditions
 * @param {Missing | null} conditions.missing of the model; null before it is there.
 * @param {boolean} conditions.canUndo
 * @param {boolean} conditions.isEmpty whether nothing is asked.
 * @param {boolean} conditions.hasMask
 */
export function showControls({ missing, canUndo, isEmpty, hasMask }) {
  const maskless = hasMask ? null : "There is no mask yet.";
  withhold("undo", canUndo ? null : "There is nothing to undo.");
  withhold("clear", isEmpty ? "Nothing is selected." : null);
  withhold("refine", missing?.refine ?? maskless);
  withhold("label-background", missing?.background ?? null);
  withhold("multimask", missing?.several ?? null);
  for (const kind of KINDS) {
    withhold(`save-${kind}`, maskless);
  }
}

/**
 * @param {string} id of a control.
 * @param {string | null} reason why it does not work; null where it does.
 */
function withhold(id, reason) {
  const control = /** @type {HTMLInputElement} */ (element(id));
  control.disabled = reason !== null;
  // The label, where there is one, is what a pointer meets.
  (control.closest("label") ?? control).title = reason ?? "";
}

/** What is asked of several masks, as `Segmenter.predict` takes it. */
export function multimask() {
  const { value } = /** @type {HTMLSelectElement} */ (element("multimask"));
  return value === "auto" ? null : value === "several";
}

/**
 * @typedef {object} Listener
 * @property {(file: File) => void} file
 * @property {() => void} undo
 * @property {() => void} clear
 * @property {() => void} refine
 * @property {() => void} multimask
 * @property {(kind: typeof KINDS[number]) => void} save
 */

/** @param {Listener} listener told of what the controls want. */
export function listen(listener) {
  /** @type {HTMLInputElement} */
  const file = element("file");
  file.addEventListener("change", () => {
    if (file.files?.length) {
      listener.file(file.files[0]);
    }
    file.value = ""; // So that the same file can be chosen again.
  });
  element("choose").addEventListener("click", () => file.click());
  element("welcome-choose").addEventListener("click", () => file.click());
  element("error-close").addEventListener("click", () => showError(null));
  for (const name of /** @type {const} */ (["undo", "clear", "refine"])) {
    element(name).addEventListener("click", () => listener[name]());
  }
  element("multimask").addEventListener("change", () => listener.multimask());
  for (const kind of KINDS) {
    element(`save-${kind}`).addEventListener("click", () => listener.save(kind));
  }
}

/**
 * @param {readonly Mask[]} masks to choose from; none are shown where there is only one.
 * @param {ImageBitmap | null} picture null only where there are none.
 * @param {(index: number) => void} choose
 */
export function showCandidates(masks, picture, choose) {
  const several = masks.length > 1 && picture !== null;
  element("masks").hidden = !several;
  const candidates = several ? masks.map((mask, index) => candidate(mask, index, picture, choose)) : [];
  element("candidates").replaceChildren(...candidates);
}

/** @param {number} index of the mask that is shown. */
export function markCandidate(index) {
  const choices = /** @type {NodeListOf<HTMLInputElement>} */ (element("candidates").querySelectorAll("input"));
  choices.forEach((choice, at) => {
    choice.checked = at === index;
  });
}

/**
 * @param {Mask} mask
 * @param {number} index
 * @param {ImageBitmap} picture
 * @param {(index: number) => void} choose
 */
function candidate(mask, index, picture, choose) {
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "mask", value: String(index) });
  input.dataset.testid = `mask-${index}`;
  input.setAttribute("aria-label", `Mask ${index + 1}, predicted IoU ${score(mask.iouPrediction)}`);
  input.addEventListener("change", () => choose(index));
  const body = document.createElement("span");
  body.append(small(mask, picture), `${index + 1} · IoU ${score(mask.iouPrediction)}`);
  const label = document.createElement("label");
  label.append(input, body);
  return label;
}

/**
 * @param {Mask} mask
 * @param {ImageBitmap} picture
 */
function small(mask, picture) {
  const scale = (SMALL * window.devicePixelRatio) / Math.max(picture.width, picture.height);
  const width = Math.max(1, Math.round(picture.width * scale));
  const height = Math.max(1, Math.round(picture.height * scale));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.style.width = `${width / window.devicePixelRatio}px`;
  const layer = new OffscreenCanvas(width, height);
  const paint = /** @type {const} */ ({ fill: [46, 134, 255, 150], outline: [0, 0, 0, 0], thickness: 0 });
  layer.getContext("2d")?.putImageData(new ImageData(overlay(mask, { width, height }, paint), width), 0, 0);
  const context = canvas.getContext("2d");
  context?.drawImage(picture, 0, 0, width, height);
  context?.drawImage(layer, 0, 0);
  return canvas;
}

/**
 * @param {readonly Example[]} examples
 * @param {URL} folder
 * @param {(example: Example) => void} open
 */
export function showExamples(examples, folder, open) {
  const entries = examples.map((example) => {
    const { href: src } = new URL(example.file, folder);
    const image = Object.assign(document.createElement("img"), { src, alt: example.title });
    const title = example.author ? `${example.title}, by ${example.author}` : example.title;
    const button = Object.assign(document.createElement("button"), { type: "button", title });
    button.dataset.testid = `example-${example.file.replace(/\.[^.]*$/, "")}`;
    button.append(image);
    button.addEventListener("click", () => open(example));
    const entry = document.createElement("li");
    entry.append(button);
    return entry;
  });
  element("examples").replaceChildren(...entries);
}
