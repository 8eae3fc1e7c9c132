/**
 * Runs the model, away from the page, which would be frozen for seconds. Requests and answers are those of
 * worker-client.js.
 */

import { LightSAMError, loadModel, OutputError, readPixels, Segmenter, SessionError } from "../lightsam.js";
import { chooseUnits, findAdapter, threadsOf } from "./backend.js";
import { Kept } from "./kept.js";

/** @import { Encoding, LoadedModel, Pixels, Unit } from "../lightsam.js" */
/** @typedef {{encoder: Unit, decoder: Unit}} Units */

/** @type {{postMessage(message: unknown, transfer?: Transferable[]): void, onmessage: unknown}} */
const page = /** @type {any} */ (self);

/** Pictures whose embeddings are kept, some megabytes each. */
const PICTURES = 4;

/** @type {Kept<Encoding>} */
const kept = new Kept(PICTURES, (encoding) => encoding.dispose());

/** @type {LoadedModel} */
let model;
/** @type {Segmenter} */
let segmenter;
/** @type {Units} */
let units;
/** @type {number} */
let threads;
/** The picture that prompts are about. @type {{encoding: Encoding, pixels: Pixels | null} | null} */
let current = null;

/** @type {Record<string, (request: any) => Promise<{result: any, transfer?: Transferable[]}>>} */
const ANSWERS = { load, encode, predict };

let line = Promise.resolve();

// Set before anything is awaited: what arrives earlier would be lost.
page.onmessage = (/** @type {MessageEvent} */ { data }) => {
  line = line.then(async () => {
    try {
      const { result, transfer } = await ANSWERS[data.kind](data);
      page.postMessage({ id: data.id, result }, transfer);
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      page.postMessage({ id: data.id, error: { name, message } });
    }
  });
};

/** @param {{model: string, unit: Unit | null, threads: number | null}} request */
async function load(request) {
  const start = performance.now();
  let cached = true;
  model = await loadModel(request.model, {
    onProgress: (progress) => {
      cached &&= progress.cached;
      page.postMessage({ progress });
    },
  });
  const gpu = /** @type {any} */ (navigator).gpu;
  const adapter = request.unit === "WASM" ? "none" : await findAdapter(gpu);
  const backend = chooseUnits(request.unit, adapter, model.description);
  backend.notices.forEach((notice) => page.postMessage({ notice }));
  threads = threadsOf(request.threads, navigator.hardwareConcurrency, self.crossOriginIsolated);
  units = backend.units;
  try {
    segmenter = await create(units);
  } catch (error) {
    await fallBack(error);
  }
  releaseFiles();
  const { description } = model;
  return { result: { description, running: { ...units, threads }, milliseconds: performance.now() - start, cached } };
}

/** @param {{picture: ImageBitmap}} request */
async function encode({ picture }) {
  current = null;
  const pixels = readPixels(picture);
  picture.close();
  const key = `${await digest(pixels)} ${model.description.pairing_id}`;
  const before = kept.get(key);
  let milliseconds = 0;
  const encoding = before ?? (await onUnits(measured));
  if (!before) {
    kept.set(key, encoding);
  }
  // The pixels are wanted again only if WebGPU fails amid prompts.
  current = { encoding, pixels: usesWebGPU() ? pixels : null };
  return { result: { milliseconds, kept: Boolean(before) } };

  async function measured() {
    const start = performance.now();
    const made = await segmenter.encode(pixels);
    milliseconds = performance.now() - start;
    if (usesWebGPU()) {
      // One prompt shows NaN, which an encoder on a wrong driver gives, before a person waits for a mask.
      await segmenter.predict(made, [{ points: [[pixels.width >> 1, pixels.height >> 1]] }], { bestOnly: true });
    }
    return made;
  }
}

/** @param {{prompt: import("../lightsam.js").Prompt, multimask: boolean | null, bestOnly: boolean}} request */
async function predict({ prompt, multimask, bestOnly }) {
  const start = performance.now();
  const [{ masks, lowResMasks, best }] = await onUnits(async () => {
    if (!current) {
      throw new LightSAMError("there is no picture that was encoded: choose one first");
    }
    return segmenter.predict(current.encoding, [prompt], { multimask, bestOnly });
  });
  const result = {
    masks: masks.map(({ width, height, data, iouPrediction: iou }) => ({ width, height, data, iou })),
    lowResMasks,
    best,
    milliseconds: performance.now() - start,
  };
  return { result, transfer: [...masks, ...lowResMasks.map((data) => ({ data }))].map(({ data }) => data.buffer) };
}

/**
 * Do it; and once more on WASM where WebGPU fails, or gives what is no number.
 *
 * @template T
 * @param {() => Promise<T>} work
 */
async function onUnits(work) {
  try {
    return await work();
  } catch (error) {
    await fallBack(error);
    return work();
  }
}

/**
 * @param {unknown} error which is thrown again where WebGPU has no part in it.
 */
async function fallBack(error) {
  if (!usesWebGPU() || !(error instanceof SessionError || error instanceof OutputError)) {
    throw error;
  }
  page.postMessage({ notice: `WebGPU failed, and the model runs on WASM: ${error.message}.` });
  kept.clear();
  await segmenter?.dispose().catch(() => {});
  units = { encoder: "WASM", decoder: "WASM" };
  segmenter = await create(units);
  if (current?.pixels) {
    current = { encoding: await segmenter.encode(current.pixels), pixels: null };
  }
  releaseFiles();
  page.postMessage({ running: { ...units, threads } });
}

function usesWebGPU() {
  return Object.values(units).includes("WEBGPU");
}

/** The sessions have copies: the files are wanted again only if WebGPU fails. */
function releaseFiles() {
  if (!usesWebGPU()) {
    model.files.clear();
  }
}

/**
 * @param {Units} on
 * @returns {Promise<Segmenter>}
 */
async function create(on) {
  const build = Object.values(on).includes("WEBGPU") ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs";
  const folder = new URL("../ort/", import.meta.url).href;
  let ort;
  try {
    ort = await import(folder + build);
  } catch (error) {
    const message = `ONNX Runtime could not be loaded from ${folder}${build}: see whether the folder ort/ is there`;
    throw new SessionError(message, { cause: error });
  }
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = folder;
  ort.env.wasm.numThreads = threads;
  return Segmenter.create(ort, model, { units: on, sessionOptions: { logSeverityLevel: 3 } });
}

/**
 * @param {Pixels} pixels
 * @returns {Promise<string>} the same for the same picture only.
 */
async function digest({ width, height, data }) {
  const hash = await crypto.subtle.digest("SHA-256", /** @type {Uint8ClampedArray<ArrayBuffer>} */ (data));
  const hexadecimal = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${width} x ${height} ${hexadecimal}`;
}
