// The worker of browser.html: a model in ONNX Runtime Web, and the stopwatch of timing.py.

import * as ort from "./ort/ort.wasm.min.mjs";

let address;
let feeds;
let session;
let outputs;

const tasks = {
  // The runtime is there before a model's load is timed: its own file is loaded with the first session.
  async start({ threads, probe, model, inputs }) {
    if (threads > 1 && !self.crossOriginIsolated) {
      throw new Error(`the page is not cross-origin isolated, so there are no ${threads} threads`);
    }
    ort.env.wasm.wasmPaths = new URL("ort/", self.location.href).href;
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = "error";
    const small = await ort.InferenceSession.create(await bytes(probe), { executionProviders: ["wasm"] });
    await small.release();
    if (ort.env.wasm.numThreads !== threads) {
      throw new Error(`${threads} threads were asked for, and ONNX Runtime Web takes ${ort.env.wasm.numThreads}`);
    }
    address = model;
    feeds = {};
    for (const { name, path, shape } of inputs) {
      feeds[name] = new ort.Tensor("float32", new Float32Array((await bytes(path)).buffer), shape);
    }
    return ort.env.versions.web;
  },

  async load() {
    const began = performance.now();
    session = await ort.InferenceSession.create(await bytes(address), { executionProviders: ["wasm"] });
    return performance.now() - began;
  },

  async release() {
    await session.release();
    session = undefined;
  },

  call,

  async time({ warmup, minimum, minimumMs, maximumMs, least }) {
    const began = performance.now();
    const first = [];
    while (first.length < warmup && performance.now() - began < maximumMs) {
      first.push(await call());
    }
    const counted = [];
    const countedFrom = performance.now();
    for (;;) {
      const now = performance.now();
      const complete = counted.length >= minimum && now - countedFrom >= minimumMs;
      if (complete || (counted.length >= Math.min(least, minimum) && now - began >= maximumMs)) {
        return { warmup: first, counted, complete };
      }
      counted.push(await call());
    }
  },

  // Of the last call that was timed.
  async outputs() {
    return Object.entries(outputs).map(([name, { dims, data }]) => ({ name, dims: [...dims], data }));
  },
};

async function call() {
  const began = performance.now();
  outputs = await session.run(feeds);
  return performance.now() - began;
}

async function bytes(path) {
  const response = await fetch(path, { cache: "no-store" });
  if (!response.ok) {
    throw new Error(`${path} could not be fetched: ${response.status}`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

self.onmessage = async ({ data: { task, given } }) => {
  try {
    self.postMessage({ result: await tasks[task](given) });
  } catch (error) {
    // The runtime's WebAssembly part throws numbers, too.
    self.postMessage({ error: error instanceof Error ? error.message : `ONNX Runtime Web ended with ${error}` });
  }
};
