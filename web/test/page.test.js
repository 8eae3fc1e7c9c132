/** What the page decides by itself: what is asked, in which order, of what, and what it says. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { askedOf, chooseUnits, findAdapter, threadsOf } from "../page/backend.js";
import { HEADERS_MISSING, keep, settle } from "../page/isolation.js";
import { Kept } from "../page/kept.js";
import { commandOf, Crosshair } from "../page/keys.js";
import { Line } from "../page/line.js";
import { examplesOf } from "../page/pictures.js";
import { boxBetween, fit, isDrag, nearest, stride, toPicture, toScreen } from "../page/places.js";
import * as states from "../page/prompt-state.js";
import { Selection } from "../page/selection.js";
import { maskSentence, missing, runningWords, sentenceOf } from "../page/sentences.js";
import { WorkerClient } from "../page/worker-client.js";

/** Lets what is pending go on. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("points, a box and a mask become one prompt, and undo goes back step by step", () => {
  const logits = new Float32Array(4);
  const point = states.addPoint(states.addPoint(states.EMPTY, [1, 2], 1), [3, 4], 0);
  const refined = states.refine(states.setBox(point, [0, 0, 9, 9]), logits);
  assert.deepEqual(states.promptOf(refined), { points: [[1, 2], [3, 4]], labels: [1, 0], box: [0, 0, 9, 9], mask: logits });
  const back = states.undo(states.undo(refined));
  assert.deepEqual(states.promptOf(back), { points: [[1, 2], [3, 4]], labels: [1, 0], box: null, mask: null });
  assert.equal(states.promptOf(states.undo(states.undo(back))), null);
  assert.equal(states.undo(states.EMPTY), states.EMPTY);
});

test("clear is undone, and a choice among masks is no step", () => {
  const asked = states.choose(states.addPoint(states.EMPTY, [5, 5], 1), 2);
  const cleared = states.clear(asked);
  assert.equal(states.promptOf(cleared), null);
  assert.equal(states.undo(cleared).chosen, 2);
  assert.equal(states.undo(asked), states.EMPTY);
  assert.equal(states.addPoint(asked, [6, 6], 1).chosen, null);
});

test("a removed point takes its label with it, and the last one the mask", () => {
  const two = states.addPoint(states.addPoint(states.EMPTY, [1, 1], 1), [2, 2], 0);
  const one = states.removePoint(states.refine(two, new Float32Array(1)), 0);
  assert.deepEqual([one.points, one.labels, one.mask !== null], [[[2, 2]], [0], true]);
  assert.equal(states.promptOf(states.removePoint(one, 0)), null);
});

test("a pointer is in the pixel that it covers, at any size on the screen", () => {
  const picture = { width: 4000, height: 3000 };
  const shown = fit(picture, { width: 1000, height: 600 });
  assert.deepEqual(shown, { width: 800, height: 600 });
  assert.deepEqual(toPicture([400.1, 300.1], shown, picture), [2000, 1500]);
  assert.deepEqual(toPicture([-3, 600], shown, picture), [0, 2999]);
  assert.deepEqual(toScreen([2000, 1500], shown, picture), [400, 300]);
  assert.deepEqual(fit({ width: 10, height: 5 }, { width: 1000, height: 1000 }), { width: 30, height: 15 });
  assert.deepEqual(fit({ width: 9000, height: 1 }, { width: 300, height: 300 }), { width: 300, height: 1 });
});

test("a drag in any direction draws the box that holds both its ends", () => {
  assert.deepEqual(boxBetween([9, 2], [3, 7]), [3, 2, 10, 8]);
  assert.deepEqual(boxBetween([4, 4], [4, 4]), [4, 4, 5, 5]);
  assert.equal(isDrag([10, 10], [12, 12]), false);
  assert.equal(isDrag([10, 10], [10, 20]), true);
});

test("the nearest point is found within reach only", () => {
  assert.equal(nearest([10, 10], [[50, 50], [12, 10], [9, 30]], 5), 1);
  assert.equal(nearest([10, 10], [[50, 50]], 5), -1);
  assert.equal(nearest([10, 10], [[50, 50]]), 0);
  assert.deepEqual([stride({ width: 640, height: 480 }, false), stride({ width: 640, height: 480 }, true)], [13, 1]);
});

/** @param {string} key @param {object} [modifiers] */
const press = (key, modifiers) =>
  commandOf({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...modifiers });

test("keys mean what the page lists, and the browser's own are left alone", () => {
  assert.deepEqual(press("Enter"), { type: "point", label: 1 });
  assert.deepEqual(press("Enter", { shiftKey: true }), { type: "point", label: 0 });
  assert.deepEqual(press("B"), { type: "point", label: 0 });
  assert.deepEqual(press("ArrowUp", { shiftKey: true }), { type: "move", dx: 0, dy: -1, fine: true });
  assert.deepEqual(press("3"), { type: "choose", index: 2 });
  assert.deepEqual(press("z", { ctrlKey: true }), { type: "undo" });
  assert.deepEqual(press("Escape"), { type: "clear" });
  assert.equal(press("r", { ctrlKey: true }), null);
  assert.equal(press("Tab"), null);
  assert.equal(press("constructor"), null);
});

test("the crosshair starts in the middle, stays in the picture, and draws a box in two presses", () => {
  /** @type {any[]} */
  const told = [];
  const crosshair = new Crosshair({
    picture: () => ({ width: 100, height: 50 }),
    points: () => [[0, 0], [60, 25]],
    onMove: (place) => told.push(["at", place]),
    onPoint: (place, label) => told.push(["point", place, label]),
    onCorner: (place) => told.push(["corner", place]),
    onBox: (box) => told.push(["box", box]),
    onRemove: (index) => told.push(["remove", index]),
    onChoose: () => {},
    onRefine: () => {},
    onUndo: () => {},
    onClear: () => told.push(["clear"]),
  });
  const last = (/** @type {any[]} */ keys) => {
    keys.forEach((key) => crosshair.obey(/** @type {any} */ (press(key))));
    return told.at(-1);
  };
  assert.deepEqual(last(["ArrowLeft"]), ["at", [50, 25]]);
  assert.deepEqual(last(["ArrowRight", "ArrowDown", "Enter"]), ["point", [52, 27], 1]);
  assert.deepEqual(last(["Delete"]), ["remove", 1]);
  assert.deepEqual(last(["x"]), ["corner", [52, 27]]);
  assert.deepEqual(last([...Array(60).fill("ArrowRight"), "x"]), ["box", [52, 27, 100, 28]]);
  last(["x", "Escape"]);
  assert.deepEqual(told.filter(([what]) => what === "clear"), [], "Escape gives up the corner first");
  assert.deepEqual(last(["Escape"]), ["clear"]);
});

test("a prompt overtakes one that waits, and a preview never comes before it", async () => {
  const line = new Line();
  /** @type {string[]} */
  const started = [];
  /** @type {(() => void)[]} */
  const ends = [];
  const work = (/** @type {string} */ name) => () => {
    started.push(name);
    return new Promise((/** @type {(value: string) => void} */ resolve) => ends.push(() => resolve(name)));
  };
  const first = line.add("prompt", work("first"));
  const preview = line.add("preview", work("preview"));
  const second = line.add("prompt", work("second"));
  const third = line.add("prompt", work("third"));
  const later = line.add("preview", work("later"));
  assert.deepEqual(await Promise.all([first, preview, second]), [null, null, null]);
  assert.deepEqual(started, ["first"], "one at a time");
  ends[0]();
  await settled();
  assert.deepEqual(started, ["first", "third"]);
  ends[1]();
  assert.equal(await third, "third");
  await settled();
  ends[2]();
  assert.equal(await later, "later");
});

test("another picture overtakes all that is about the one before, and a failure does not stop the line", async () => {
  const line = new Line();
  const failing = line.add("encode", () => Promise.reject(new Error("no memory")));
  await assert.rejects(failing, /no memory/);
  const slow = line.add("prompt", () => new Promise(() => {}));
  const waits = line.add("preview", async () => "preview");
  line.add("encode", async () => "encoded");
  assert.deepEqual(await Promise.all([slow, waits]), [null, null]);
});

test("few embeddings are kept, the ones used last", () => {
  /** @type {number[]} */
  const gone = [];
  /** @type {Kept<number>} */
  const kept = new Kept(2, (value) => gone.push(value));
  kept.set("a", 1);
  kept.set("b", 2);
  assert.equal(kept.get("a"), 1);
  kept.set("c", 3);
  assert.deepEqual([gone, kept.get("b"), kept.get("a")], [[2], undefined, 1]);
  kept.clear();
  assert.deepEqual([gone, kept.get("a")], [[2, 3, 1], undefined]);
});

/** @param {string[]} allowed */
const stage = (allowed) => /** @type {any} */ ({
  units: { allowed, left_out: allowed.includes("WEBGPU") ? [] : [{ unit: "WEBGPU", reason: "Resize is wrong", source: "" }] },
});
const description = { stages: { encoder: stage(["WASM", "WEBGPU"]), decoder: stage(["WASM"]) } };

test("WebGPU runs what it may, on hardware or when asked for", async () => {
  const wasm = { encoder: "WASM", decoder: "WASM" };
  const both = { encoder: "WEBGPU", decoder: "WASM" };
  assert.deepEqual(chooseUnits(null, "hardware", description), { units: both, notices: [] });
  assert.deepEqual(chooseUnits(null, "software", description), { units: wasm, notices: [] });
  assert.deepEqual(chooseUnits("WASM", "hardware", description), { units: wasm, notices: [] });
  const asked = chooseUnits("WEBGPU", "software", description);
  assert.deepEqual(asked.units, both);
  assert.match(asked.notices.join(), /decoder runs on WASM and not on WebGPU: Resize is wrong/);
  assert.match(chooseUnits("WEBGPU", "none", description).notices.join(), /browser offers none/);
  const gpu = (/** @type {any} */ adapter) => ({ requestAdapter: async () => adapter });
  assert.equal(await findAdapter(undefined), "none");
  assert.equal(await findAdapter(gpu(null)), "none");
  assert.equal(await findAdapter(gpu({ info: { isFallbackAdapter: true } })), "software");
  assert.equal(await findAdapter(gpu({ isFallbackAdapter: true })), "software");
  assert.equal(await findAdapter(gpu({ info: {} })), "hardware");
});

test("the address chooses unit and threads, and what it says wrongly is named", () => {
  const asked = (/** @type {string} */ text) => askedOf(new URLSearchParams(text));
  assert.deepEqual(asked("unit=webgpu&threads=2"), { unit: "WEBGPU", threads: 2, notices: [] });
  assert.deepEqual(asked(""), { unit: null, threads: null, notices: [] });
  const wrong = asked("unit=tpu&threads=1.5");
  assert.deepEqual([wrong.unit, wrong.threads, wrong.notices.length], [null, null, 2]);
  assert.match(wrong.notices.join(), /“tpu”.*“1.5”/);
  assert.deepEqual([threadsOf(null, 16, true), threadsOf(8, 16, true), threadsOf(8, 16, false)], [4, 8, 1]);
});

test("sentences say what is wrong, what is seen and what runs", () => {
  assert.equal(sentenceOf({ name: "ImageError", message: "an image has none" }), "An image has none.");
  assert.equal(sentenceOf({ name: "ModelError", message: "model.json is damaged" }), "model.json is damaged.");
  assert.match(sentenceOf({ name: "SessionError", message: "failed (std::bad_alloc)" }), /not enough memory/);
  /** @type {[number, number, number, number]} */
  const box = [10, 20, 30, 40];
  const mask = { width: 100, height: 100, area: 250, box, iouPrediction: 0.987 };
  assert.equal(
    maskSentence(mask, 1, 3),
    "Mask 2 of 3 covers 2.5 % of the picture, from 10, 20 to 30, 40. Predicted IoU 0.99.",
  );
  assert.match(maskSentence({ ...mask, area: 0, box: null }, 0, 1), /^The mask is empty/);
  assert.equal(runningWords({ encoder: "WEBGPU", decoder: "WASM", threads: 1 }), "WebGPU (encoder), WASM (decoder), 1 thread");
  assert.equal(runningWords({ encoder: "WEBGPU", decoder: "WEBGPU", threads: 4 }), "WebGPU");
  const rules = /** @type {any} */ ({ prompts: { masks: false, background: false }, masks: { count: 1 } });
  assert.deepEqual(Object.values(missing(rules)).map((reason) => typeof reason), ["string", "string", "string"]);
});

test("examples are what the site's index lists", () => {
  const entry = { file: "cat.jpg", title: "A cat", author: "A person", license: "CC0-1.0" };
  assert.deepEqual(examplesOf([entry]), [{ file: "cat.jpg", title: "A cat", author: "A person" }]);
  assert.throws(() => examplesOf({ entry }), /list of file and title/);
});

/** @param {Partial<import("../page/isolation.js").Surroundings> & {active?: object | null}} [changes] */
function surroundings(changes = {}) {
  const stored = new Map();
  /** @type {any[]} */
  const kept = [];
  let reloads = 0;
  const active = { postMessage: (/** @type {any} */ message) => kept.push(message) };
  const container = { controller: active, register: async () => ({}), ready: Promise.resolve({ active }) };
  return {
    kept,
    reloads: () => reloads,
    isolated: false,
    container: /** @type {any} */ (container),
    storage: {
      getItem: (/** @type {string} */ key) => stored.get(key) ?? null,
      setItem: (/** @type {string} */ key, /** @type {string} */ value) => stored.set(key, value),
      removeItem: (/** @type {string} */ key) => stored.delete(key),
    },
    reload: () => reloads++,
  patience: 50,
    ...changes,
  };
}

test("without headers the page is loaded once more, and never again", async () => {
  const around = surroundings();
  const ended = await Promise.race([settle("sw.js", around), settled().then(settled)]);
  assert.equal(ended, undefined, "a page that is being reloaded starts nothing");
  assert.equal(around.reloads(), 1);
  assert.equal(await settle("sw.js", around), HEADERS_MISSING);
  assert.equal(around.reloads(), 1);
  assert.equal(await settle("sw.js", { ...around, isolated: true }), null);
});

test("a browser without service workers has the page all the same", async () => {
  const refusing = { register: () => Promise.reject(new Error("private window")), ready: new Promise(() => {}), controller: {} };
  for (const container of [undefined, /** @type {any} */ (refusing)]) {
    const around = surroundings({ container });
    assert.equal(await settle("sw.js", around), HEADERS_MISSING);
    assert.equal(await settle("sw.js", { ...around, isolated: true }), null);
    assert.equal(around.reloads(), 0);
  }
});

test("what was loaded before the service worker is handed to it", () => {
  const around = surroundings({ isolated: true });
  keep(around.container, ["index.html"]);
  assert.deepEqual(around.kept, [{ keep: ["index.html"] }]);
  keep(undefined, ["index.html"]);
});

/** @param {number} best @param {number} count @returns {import("../page/worker-client.js").Answer} */
const answerOf = (best, count) => ({
  masks: Array.from({ length: count }, (_, at) => ({ width: 2, height: 1, data: new Uint8Array([1, 0]), iou: at / 10 })),
  lowResMasks: Array.from({ length: count }, (_, at) => new Float32Array([at])),
  best,
  milliseconds: 5,
});

test("a selection shows the best mask, the chosen one, and refines the one that is shown", async () => {
  /** @type {any[]} */
  const prompts = [];
  const selection = new Selection({
    predict: async (prompt) => {
      prompts.push(prompt);
      return prompt.mask ? answerOf(0, 1) : answerOf(2, 3);
    },
    forget: () => {},
    onChange: () => {},
    onAnswer: () => {},
    onError: assert.fail,
  });
  await selection.addPoint([0, 0], 1);
  assert.deepEqual([selection.chosen, selection.prediction?.ious], [2, [0, 0.1, 0.2]]);
  selection.choose(1);
  assert.deepEqual([selection.chosen, selection.prediction?.best], [1, 2]);
  await selection.refine();
  assert.deepEqual(prompts.at(-1).mask, new Float32Array([1]));
  assert.equal(selection.chosen, 0);
  await selection.undo();
  assert.equal(selection.chosen, 1, "the choice comes back with its question");
  await selection.clear();
  assert.equal(selection.prediction, null);
  assert.equal(prompts.length, 3, "nothing is asked about nothing");
});

test("a late answer is not shown, and a question without one is taken back", async () => {
  /** @type {((answer: any) => void)[]} */
  const answers = [];
  /** @type {Error[]} */
  const errors = [];
  const selection = new Selection({
    predict: () => new Promise((resolve) => answers.push(resolve)),
    forget: () => {},
    onChange: () => {},
    onAnswer: () => {},
    onError: (error) => errors.push(error),
  });
  const first = selection.addPoint([0, 0], 1);
  const second = selection.addPoint([1, 0], 1);
  answers[1](answerOf(0, 1));
  await second;
  answers[0](answerOf(0, 3));
  await first;
  assert.deepEqual([selection.answer?.masks.length, selection.prediction?.prompt.points?.length], [1, 2]);
  const third = selection.setBox([0, 0, 1, 1]);
  answers[2](Promise.reject(new Error("the prompt needs 5 slots")));
  await third;
  assert.deepEqual([errors.length, selection.state.box, selection.state.points.length], [1, null, 2]);
});

test("the worker's answers find their questions, and its end is told to all", async () => {
  /** @type {any[]} */
  const posted = [];
  /** @type {any} */
  const worker = { postMessage: (/** @type {any} */ message) => posted.push(message) };
  /** @type {any[]} */
  const told = [];
  const client = new WorkerClient(worker, {
    onProgress: (progress) => told.push(progress.loaded),
    onNotice: (notice) => told.push(notice),
    onRunning: (running) => told.push(running.encoder),
  });
  const loading = client.load({ model: "model/", unit: null, threads: 2 });
  worker.onmessage({ data: { progress: { loaded: 7 } } });
  worker.onmessage({ data: { notice: "WebGPU failed" } });
  worker.onmessage({ data: { running: { encoder: "WASM" } } });
  worker.onmessage({ data: { id: posted[0].id, error: { name: "ModelError", message: "of another contract" } } });
  await assert.rejects(loading, { name: "ModelError", message: "of another contract" });
  assert.deepEqual(told, [7, "WebGPU failed", "WASM"]);
  const answer = client.predict({ points: [[1, 1]] }, null);
  worker.onerror({ message: "" });
  await assert.rejects(answer, /too little memory/);
  assert.deepEqual(posted[1].prompt, { points: [[1, 1]] });
});
