/**
 * The page: what happens when. A picture is encoded once; then whatever is asked of it is answered.
 *
 * For drivers of browsers, `<html>` has `data-state` (loading, ready, encoding, encoded, failed) and `data-answers`, a
 * count of the answers that were shown.
 */

import { Mask, readPixels } from "../lightsam.js";
import { askedOf } from "./backend.js";
import { annotationOf, cutOutFile, maskFile, nameOf, save } from "./downloads.js";
import { keep, settle } from "./isolation.js";
import { commandOf, Crosshair } from "./keys.js";
import * as panel from "./panel.js";
import { findExamples, readExample, readPicture, takePictures } from "./pictures.js";
import { nearest } from "./places.js";
import { listenToPointer } from "./pointer.js";
import { Selection } from "./selection.js";
import { maskSentence, missing, sentenceOf } from "./sentences.js";
import { View } from "./view.js";
import { WorkerClient } from "./worker-client.js";

/** @import { Box, Point } from "../lightsam.js" */
/** @import { Picture } from "./pictures.js" */
/** @import { Loaded } from "./worker-client.js" */

const { element } = panel;
const root = document.documentElement;
/** @type {HTMLCanvasElement} */
const canvas = element("canvas");
/** The choice that makes a click add background points. @type {HTMLInputElement} */
const background = element("label-background");
const EXAMPLES = new URL("examples/", document.baseURI);
const CLICK = "Click on a thing in the picture, or draw a box around it.";
/** Milliseconds that a pointer rests before its place is asked about. */
const REST = 40;
/** Screen pixels around the middle of a point that are the point. */
const REACH = 9;

class Demo {
  /** @type {WorkerClient | null} */
  #worker = null;
  /** @type {Loaded | null} */
  #loaded = null;
  /** @type {Picture | null} */
  #picture = null;
  /** What is opened last wins, however long each takes to read. */
  #opened = 0;
  #answers = 0;
  #resting = 0;
  #view = new View(canvas, element("room"));
  #crosshair = this.#makeCrosshair();
  selection = new Selection({
    predict: async (prompt) => this.#worker?.predict(prompt, panel.multimask()) ?? null,
    forget: () => this.#worker?.forget(),
    onChange: () => this.#update(),
    onAnswer: (milliseconds) => this.#answered(milliseconds),
    onError: (error) => panel.showError(sentenceOf(error)),
  });

  async start() {
    this.#listen();
    const asked = askedOf(new URLSearchParams(location.search));
    asked.notices.forEach(panel.showNotice);
    findExamples(EXAMPLES).then(
      (examples) => panel.showExamples(examples, EXAMPLES, (one) => this.#open(() => readExample(EXAMPLES, one))),
      () => {}, // Without examples the page is complete, and pictures of one's own remain.
    );
    const complaint = await settle("service-worker.js", {
      isolated: crossOriginIsolated,
      container: navigator.serviceWorker,
      storage: sessionStorage,
      reload: () => location.reload(),
      patience: 4000,
    });
    if (complaint) {
      panel.showNotice(complaint);
    }
    try {
      const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
      this.#worker = new WorkerClient(worker, {
        onProgress: panel.showProgress,
        onNotice: panel.showNotice,
        onRunning: panel.showRunning,
      });
      const model = new URL("model/", document.baseURI).href;
      this.#loaded = await this.#worker.load({ model, unit: asked.unit, threads: asked.threads });
    } catch (error) {
      element("download").hidden = true;
      this.#fail(error, "The model could not be loaded.");
      return;
    }
    panel.showLoaded(this.#loaded);
    this.#enter("ready", "Ready. Choose a picture, or take an example.");
    this.#update();
    keep(navigator.serviceWorker, [location.href, ...performance.getEntriesByType("resource").map(({ name }) => name)]);
    await this.#encode();
  }

  /**
   * @param {"ready" | "encoding" | "encoded" | "failed"} state
   * @param {string} message
   */
  #enter(state, message) {
    root.dataset.state = state;
    element("scan").hidden = state !== "encoding";
    panel.write("message", message);
  }

  /**
   * @param {unknown} error
   * @param {string} message
   */
  #fail(error, message) {
    panel.showError(sentenceOf(/** @type {Error} */ (error)));
    this.#enter("failed", message);
  }

  /** @param {() => Promise<Picture>} read */
  async #open(read) {
    const turn = ++this.#opened;
    let picture;
    try {
      picture = await read();
    } catch (error) {
      panel.showError(sentenceOf(/** @type {Error} */ (error)));
      return;
    }
    if (turn !== this.#opened) {
      picture.bitmap.close();
      return;
    }
    const before = this.#picture;
    this.#picture = picture;
    this.#view.setPicture(picture.bitmap);
    before?.bitmap.close();
    panel.showError(null);
    panel.showPicture(picture);
    this.#crosshair.hide();
    this.selection.reset();
    await this.#encode();
  }

  /** @param {File | null} file */
  #openFile(file) {
    if (file) {
      this.#open(() => readPicture(file, file.name || "picture"));
    } else {
      panel.showError("There was no picture in it: drop or paste a picture file, or choose one.");
    }
  }

  async #encode() {
    const picture = this.#picture;
    if (!this.#loaded || !this.#worker || !picture) {
      return;
    }
    this.#enter("encoding", "The model looks at the picture, which takes a moment…");
    try {
      const encoded = await this.#worker.encode(picture.bitmap);
      if (encoded) {
        panel.showEncoded(encoded);
        this.#enter("encoded", CLICK);
      }
    } catch (error) {
      this.#fail(error, "This picture could not be encoded.");
    }
  }

  /** Whether the picture can be asked about; what is asked while it is encoded waits for that. */
  get #takesQuestions() {
    return root.dataset.state === "encoded" || root.dataset.state === "encoding";
  }

  /** @param {number} milliseconds */
  #answered(milliseconds) {
    const masks = this.selection.answer?.masks ?? [];
    panel.showError(null);
    panel.showDecoded(milliseconds);
    panel.showCandidates(masks, /** @type {Picture} */ (this.#picture).bitmap, (index) => this.selection.choose(index));
    // After the frame that shows it, so that a driver which waits for the count sees it.
    requestAnimationFrame(() => {
      root.dataset.answers = String(++this.#answers);
    });
  }

  /** Bring what is seen up to the selection. */
  #update() {
    const { state, mask, answer, chosen, isEmpty } = this.selection;
    this.#view.show({ mask, preview: false, points: state.points, labels: state.labels, box: state.box });
    if (mask && answer) {
      panel.markCandidate(chosen);
      panel.write("message", maskSentence(mask, chosen, answer.masks.length));
    } else if (isEmpty) {
      panel.showCandidates([], null, () => {});
      if (root.dataset.state === "encoded") {
        panel.write("message", `Nothing is selected. ${CLICK}`);
      }
    }
    panel.showControls({
      missing: this.#loaded && missing(this.#loaded.description.rules),
      canUndo: state.before !== null,
      isEmpty,
      hasMask: mask !== null,
    });
  }

  /**
   * @param {Point} place
   * @param {0 | 1} label
   */
  #addPoint(place, label) {
    const reason = label === 0 && this.#loaded ? missing(this.#loaded.description.rules).background : null;
    if (reason) {
      panel.showError(reason);
    } else if (this.#takesQuestions) {
      this.selection.addPoint(place, label);
    }
  }

  /** @param {Box} box */
  #setBox(box) {
    this.#view.show({ box: this.selection.state.box });
    if (this.#takesQuestions) {
      this.selection.setBox(box);
    }
  }

  #refine() {
    if (!this.#loaded || missing(this.#loaded.description.rules).refine === null) {
      this.selection.refine();
    }
  }

  /** @param {Point | null} place under the pointer, or the crosshair. */
  #hover(place) {
    clearTimeout(this.#resting);
    this.#worker?.forgetPreview();
    if (!this.selection.isEmpty || root.dataset.state !== "encoded") {
      return;
    }
    if (!place) {
      this.#view.show({ mask: null, preview: false });
      return;
    }
    this.#resting = window.setTimeout(async () => {
      // A preview that fails is no matter: the click that follows says why.
      const answer = await this.#worker?.preview({ points: [place] }).catch(() => null);
      if (answer && this.selection.isEmpty) {
        const { width, height, data, iou } = answer.masks[0];
        this.#view.show({ mask: new Mask(width, height, data, iou), preview: true });
      }
    }, REST);
  }

  /** @param {"cutout" | "mask" | "rle"} kind */
  async #save(kind) {
    const { mask, answer } = this.selection;
    if (!this.#picture || !mask || !answer) {
      return;
    }
    const { bitmap, name } = this.#picture;
    try {
      if (kind === "cutout") {
        save(await cutOutFile(mask, readPixels(bitmap)), nameOf(name, "cutout.png"));
      } else if (kind === "mask") {
        save(await maskFile(mask), nameOf(name, "mask.png"));
      } else {
        const json = `${JSON.stringify(annotationOf(mask, answer.prompt, name), null, 1)}\n`;
        save(new Blob([json], { type: "application/json" }), nameOf(name, "mask.json"));
      }
    } catch (error) {
      panel.showError(sentenceOf(/** @type {Error} */ (error)));
    }
  }

  #makeCrosshair() {
    return new Crosshair({
      picture: () => this.#picture?.bitmap ?? null,
      points: () => this.selection.state.points,
      onMove: (crosshair, box) => {
        this.#view.show({ crosshair, box: box ?? this.selection.state.box });
        if (crosshair) {
          panel.showPosition(crosshair, this.selection.mask);
          this.#hover(crosshair);
        }
      },
      onPoint: (place, label) => this.#addPoint(place, label),
      onCorner: (place) => panel.write("position", `First corner at ${place.join(", ")}. Move, and press X again.`),
      onBox: (box) => this.#setBox(box),
      onRemove: (index) => this.selection.removePoint(index),
      onChoose: (index) => this.selection.choose(index),
      onRefine: () => this.#refine(),
      onUndo: () => this.selection.undo(),
      onClear: () => this.selection.clear(),
    });
  }

  #listen() {
    panel.listen({
      file: (file) => this.#openFile(file),
      undo: () => this.selection.undo(),
      clear: () => this.selection.clear(),
      refine: () => this.#refine(),
      multimask: () => this.selection.again(),
      save: (kind) => this.#save(kind),
    });
    takePictures(element("room"), (file) => this.#openFile(file));
    canvas.addEventListener("keydown", (event) => {
      const command = commandOf(event);
      if (command) {
        event.preventDefault();
        this.#crosshair.obey(command);
      }
    });
    listenToPointer(canvas, {
      picture: () => this.#picture?.bitmap ?? null,
      onHover: (place) => {
        if (place) {
          this.#crosshair.hide();
        }
        this.#hover(place);
      },
      onClick: (place, other) => {
        const reach = (REACH * /** @type {Picture} */ (this.#picture).bitmap.width) / this.#view.shown.width;
        const hit = other ? nearest(place, this.selection.state.points, reach) : -1;
        if (hit >= 0) {
          this.selection.removePoint(hit);
        } else {
          this.#addPoint(place, other || background.checked ? 0 : 1);
        }
      },
      onDraw: (box) => this.#view.show({ box: box ?? this.selection.state.box }),
      onBox: (box) => this.#setBox(box),
    });
  }
}

if (typeof OffscreenCanvas === "undefined" || typeof Worker === "undefined") {
  panel.showError("This browser is too old for the page, which needs OffscreenCanvas and module workers: update it.");
  root.dataset.state = "failed";
} else {
  const demo = new Demo();
  // Tests compare the logits of the answer that is shown with those of Python: pixels on the screen do not hold them.
  Object.assign(window, { lightsamDemo: { lastPrediction: () => demo.selection.prediction } });
  demo.start();
}
