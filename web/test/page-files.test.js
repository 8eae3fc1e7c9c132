/** What the page writes and draws: downloads, the mask over the picture; and what its service worker keeps and adds. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";
import { inflateSync } from "node:zlib";

import { Mask } from "../lightsam.js";
import { annotationOf, cutOutFile, maskFile, nameOf } from "../page/downloads.js";
import { overlay } from "../page/overlay.js";

/** 4 x 3, an L of five pixels. */
const MASK = new Mask(4, 3, new Uint8Array([0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1]), 0.75);

test("a mask is a grey PNG of 0 and 255", async () => {
  const file = Buffer.from(await (await maskFile(MASK)).arrayBuffer());
  assert.equal(file.toString("hex", 0, 8), "89504e470d0a1a0a");
  assert.deepEqual([file.readUInt32BE(16), file.readUInt32BE(20), file[24], file[25]], [4, 3, 8, 0]);
  const length = file.readUInt32BE(33);
  assert.equal(file.toString("latin1", 37, 41), "IDAT");
  const rows = inflateSync(file.subarray(41, 41 + length));
  assert.deepEqual([...rows], [0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 255, 255]);
  // The specification's own check of IEND, which has no content.
  assert.equal(file.toString("hex", file.length - 12), "0000000049454e44ae426082");
});

test("an annotation holds the mask as COCO has it, and what it answers", () => {
  const prompt = { points: [/** @type {[number, number]} */ ([1, 1])], labels: [/** @type {const} */ (1)], box: null };
  const annotation = JSON.parse(JSON.stringify(annotationOf(MASK, prompt, "cat.jpg")));
  assert.deepEqual(annotation.image, { file_name: "cat.jpg", width: 4, height: 3 });
  assert.deepEqual(Mask.fromRLE(annotation.segmentation).data, MASK.data);
  assert.deepEqual(annotation.segmentation.size, [3, 4]);
  assert.deepEqual([annotation.bbox, annotation.area, annotation.predicted_iou], [[1, 0, 3, 3], 5, 0.75]);
  assert.deepEqual([annotation.point_coords, annotation.point_labels], [[[1, 1]], [1]]);
});

test("an empty mask is no cut-out, and says so", async () => {
  const empty = new Mask(2, 1, new Uint8Array(2));
  const picture = { width: 2, height: 1, data: new Uint8Array(8) };
  await assert.rejects(cutOutFile(empty, picture), /nothing to cut out/);
  assert.deepEqual(annotationOf(empty, {}, "x").bbox, [0, 0, 0, 0]);
});

test("downloads are named after the picture", () => {
  assert.equal(nameOf("my.cat.jpg", "mask.png"), "my.cat-mask.png");
  assert.equal(nameOf(".png", "mask.png"), "picture-mask.png");
  assert.equal(nameOf("a/b:c", "cutout.png"), "a_b_c-cutout.png");
});

/** @type {import("../page/overlay.js").Paint} */
const PAINT = { fill: [1, 2, 3, 100], outline: [9, 9, 9, 255], thickness: 1 };

test("a mask over the picture is filled inside its outline, and clear outside", () => {
  const square = new Mask(5, 5, Uint8Array.from({ length: 25 }, (_, at) => Number(at % 5 > 0 && at >= 5)));
  const pixels = overlay(square, { width: 5, height: 5 }, PAINT);
  const alpha = Array.from({ length: 25 }, (_, at) => pixels[4 * at + 3]);
  assert.deepEqual(alpha.slice(0, 5), [0, 0, 0, 0, 0]);
  assert.deepEqual(alpha.slice(5, 10), [0, 255, 255, 255, 255]);
  assert.deepEqual(alpha.slice(10, 15), [0, 255, 100, 100, 255], "the picture's edge is an outline, too");
  assert.deepEqual([...pixels.slice(48, 52)], [1, 2, 3, 100]);
});

test("a mask of a large picture is drawn at the screen's size", () => {
  const half = new Mask(400, 200, Uint8Array.from({ length: 80000 }, (_, at) => Number(at % 400 >= 200)));
  const pixels = overlay(half, { width: 8, height: 4 }, { ...PAINT, thickness: 0 });
  const alpha = Array.from({ length: 8 }, (_, x) => pixels[4 * (8 + x) + 3]);
  assert.deepEqual(alpha, [0, 0, 0, 0, 100, 100, 100, 100]);
});

/** A service worker with a network and a cache of its own, in the folder https://a.example/site/. */
function serviceWorker() {
  // A bundle has it beside index.html.
  const place = ["../page/service-worker.js", "../service-worker.js"].find((one) => existsSync(new URL(one, import.meta.url)));
  /** @type {Map<string, Response>} */
  const stored = new Map();
  /** @type {Map<string, Response>} */
  const network = new Map();
  /** @type {Record<string, (event: any) => void>} */
  const listeners = {};
  const cache = {
    put: async (/** @type {string} */ url, /** @type {Response} */ response) => void stored.set(url, response),
    match: async (/** @type {string} */ url) => stored.get(url.replace(/\?.*/, ""))?.clone(),
  };
  const fetched = async (/** @type {any} */ request) => {
    const response = network.get((request.url ?? request).replace(/\?.*/, ""));
    if (!response) {
      throw new TypeError("Failed to fetch");
    }
    return response.clone();
  };
  const self = {
    registration: { scope: "https://a.example/site/" },
    addEventListener: (/** @type {string} */ name, /** @type {(event: any) => void} */ listener) => (listeners[name] = listener),
  };
  const code = readFileSync(new URL(/** @type {string} */ (place), import.meta.url), "utf8");
  vm.runInNewContext(code, { self, caches: { open: async () => cache }, fetch: fetched, Response, Headers, URL });
  return {
    stored,
    network,
    /** @param {object} data of a message of the page. */
    async tell(data) {
      /** @type {Promise<any> | null} */
      let work = null;
      listeners.message({ data, waitUntil: (/** @type {Promise<any>} */ one) => (work = one) });
      await work;
    },
    /** @param {string} url @returns {Promise<Response | null>} null for what is left to the browser. */
    async get(url) {
      /** @type {Promise<any>[]} */
      const pending = [];
      /** @type {Promise<Response> | null} */
      let answer = null;
      listeners.fetch({
        request: { method: "GET", url },
        respondWith: (/** @type {Promise<Response>} */ one) => (answer = one),
        waitUntil: (/** @type {Promise<any>} */ one) => pending.push(one),
      });
      const response = await answer;
      await Promise.all(pending);
      return response;
    },
  };
}

test("the service worker adds the headers for threads, and leaves the server's own", async () => {
  const { network, get } = serviceWorker();
  network.set("https://a.example/site/", new Response("page"));
  network.set("https://a.example/site/x.js", new Response("", { headers: { "Cross-Origin-Embedder-Policy": "credentialless" } }));
  const page = await get("https://a.example/site/?threads=2");
  assert.equal(page?.headers.get("Cross-Origin-Opener-Policy"), "same-origin");
  assert.equal(page?.headers.get("Cross-Origin-Embedder-Policy"), "require-corp");
  assert.equal(await page?.text(), "page");
  assert.equal((await get("https://a.example/site/x.js"))?.headers.get("Cross-Origin-Embedder-Policy"), "credentialless");
});

test("the site works offline as it was last seen, whatever the parameters", async () => {
  const { network, stored, get } = serviceWorker();
  for (const version of ["old", "new"]) {
    network.set("https://a.example/site/model/model.json", new Response(version));
    await get("https://a.example/site/model/model.json");
  }
  network.clear();
  assert.equal(await (await get("https://a.example/site/model/model.json?x"))?.text(), "new");
  await assert.rejects(get("https://a.example/site/never-seen.js"), /Failed to fetch/);
  network.set("https://a.example/site/gone.js", new Response("no", { status: 404 }));
  assert.equal((await get("https://a.example/site/gone.js"))?.status, 404);
  assert.deepEqual([...stored.keys()], ["https://a.example/site/model/model.json"]);
});

test("what the page loaded before is fetched once", async () => {
  const { network, stored, tell } = serviceWorker();
  network.set("https://a.example/site/page/page.css", new Response("old"));
  const keep = ["https://a.example/site/page/page.css", "https://a.example/site/gone.js", "https://b.example/x.js"];
  await tell({ keep });
  network.set("https://a.example/site/page/page.css", new Response("new"));
  await tell({ keep });
  assert.deepEqual([...stored.keys()], ["https://a.example/site/page/page.css"]);
  assert.equal(await stored.get("https://a.example/site/page/page.css")?.clone().text(), "old");
});

test("model files and other sites are left to the browser", async () => {
  const { get } = serviceWorker();
  assert.equal(await get("https://a.example/site/model/encoder.onnx"), null);
  assert.equal(await get("https://a.example/elsewhere/"), null);
  assert.equal(await get("https://cdn.example/encoder.onnx"), null);
});
