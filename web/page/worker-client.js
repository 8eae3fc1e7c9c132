/** The page's side of the worker that runs the model. */

import { Line } from "./line.js";

/** @import { ModelDescription, Progress, Prompt, Unit } from "../lightsam.js" */

/**
 * @typedef {object} Loaded
 * @property {ModelDescription} description
 * @property {Running} running
 * @property {number} milliseconds from the first byte of the model to sessions that can run.
 * @property {boolean} cached whether all files of the model were in the browser's cache.
 */

/** @typedef {{encoder: Unit, decoder: Unit, threads: number}} Running What the model runs on. */

/** @typedef {{milliseconds: number, kept: boolean}} Encoded `kept`: of this picture, the embeddings were in memory. */

/**
 * @typedef {object} Answer
 * @property {{width: number, height: number, data: Uint8Array<ArrayBuffer>, iou: number}[]} masks of the picture's size.
 * @property {Float32Array<ArrayBuffer>[]} lowResMasks
 * @property {number} best
 * @property {number} milliseconds of the decoder, and of bringing its masks to the picture's size.
 */

/**
 * @typedef {object} Listener
 * @property {(progress: Progress) => void} onProgress of the model's download.
 * @property {(notice: string) => void} onNotice told a sentence on what is not as it was asked for.
 * @property {(running: Running) => void} onRunning told when the model runs on something else from now on.
 */

/** Asks the worker, one request at a time. */
export class WorkerClient {
  #line = new Line();
  #last = 0;
  /** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void}>} */
  #open = new Map();
  #worker;

  /**
   * @param {Pick<Worker, "postMessage" | "onmessage" | "onerror">} worker of worker.js.
   * @param {Listener} listener
   */
  constructor(worker, { onProgress, onNotice, onRunning }) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => {
      if (data.progress) {
        onProgress(data.progress);
      } else if (data.notice) {
        onNotice(data.notice);
      } else if (data.running) {
        onRunning(data.running);
      } else {
        const { resolve, reject } = this.#take(data.id);
        const { error, result } = data;
        error ? reject(Object.assign(new Error(error.message), { name: error.name })) : resolve(result);
      }
    };
    worker.onerror = (event) => {
      const message =
        `the part of the page that runs the model stopped (${event.message || "its files could not be loaded"}): ` +
        "reload the page; if it stops again, this device may have too little memory";
      for (const id of [...this.#open.keys()]) {
        this.#take(id).reject(new Error(message));
      }
    };
  }

  /**
   * @param {{model: string, unit: Unit | null, threads: number | null}} options `model`: address of its folder.
   * @returns {Promise<Loaded>}
   */
  load(options) {
    return this.#ask("load", options);
  }

  /**
   * @param {ImageBitmap} picture which is copied.
   * @returns {Promise<Encoded | null>} null if another picture overtook it.
   */
  encode(picture) {
    return this.#line.add("encode", () => this.#ask("encode", { picture }));
  }

  /**
   * @param {Prompt} prompt about the picture that was encoded last.
   * @param {boolean | null} multimask as `Segmenter.predict` takes it.
   * @returns {Promise<Answer | null>} null if another prompt or picture overtook it.
   */
  predict(prompt, multimask) {
    return this.#line.add("prompt", () => this.#ask("predict", { prompt, multimask, bestOnly: false }));
  }

  /**
   * @param {Prompt} prompt about the picture that was encoded last.
   * @returns {Promise<Answer | null>} of one mask; null if anything overtook it.
   */
  preview(prompt) {
    return this.#line.add("preview", () => this.#ask("predict", { prompt, multimask: null, bestOnly: true }));
  }

  /** Give up prompts and previews, whose answers nobody waits for any longer. */
  forget() {
    this.#line.drop("prompt");
  }

  /** Give up previews. */
  forgetPreview() {
    this.#line.drop("preview");
  }

  /**
   * @param {string} kind
   * @param {object} content
   * @returns {Promise<any>}
   */
  #ask(kind, content) {
    return new Promise((resolve, reject) => {
      const id = ++this.#last;
      this.#open.set(id, { resolve, reject });
      this.#worker.postMessage({ id, kind, ...content });
    });
  }

  /** @param {number} id */
  #take(id) {
    const request = this.#open.get(id);
    this.#open.delete(id);
    return request ?? { resolve() {}, reject() {} };
  }
}
