/** What the model runs on: WebGPU on hardware where the model allows it, else WASM; or what the address asks for. */

/** @import { ModelDescription, Unit } from "../lightsam.js" */

/** More threads than this gain little, and a browser starts each anew. */
const THREADS = 4;

/**
 * @typedef {object} Asked
 * @property {Unit | null} unit null lets the page choose.
 * @property {number | null} threads likewise.
 * @property {string[]} notices sentences on what could not be read.
 */

/**
 * @typedef {object} Backend
 * @property {{encoder: Unit, decoder: Unit}} units
 * @property {string[]} notices sentences on what is not as it was asked for.
 */

/** @typedef {"none" | "software" | "hardware"} Adapter What WebGPU offers. */

/**
 * Read the address: `?unit=wasm` or `?unit=webgpu`, and `&threads=2`.
 *
 * @param {URLSearchParams} parameters
 * @returns {Asked}
 */
export function askedOf(parameters) {
  const notices = [];
  const unit = parameters.get("unit")?.toUpperCase() ?? null;
  if (unit !== null && unit !== "WASM" && unit !== "WEBGPU") {
    const found = parameters.get("unit");
    notices.push(`The address asks for the unit “${found}”, and there are wasm and webgpu: the page chose.`);
  }
  const threads = parameters.get("threads");
  const count = Number(threads);
  const sound = threads !== null && Number.isInteger(count) && count >= 1 && count <= 64;
  if (threads !== null && !sound) {
    notices.push(`The address asks for “${threads}” threads, which is no whole number from 1 to 64: the page chose.`);
  }
  return { unit: unit === "WASM" || unit === "WEBGPU" ? unit : null, threads: sound ? count : null, notices };
}

/**
 * @param {number | null} asked
 * @param {number} cores of the processor.
 * @param {boolean} isolated whether the page may use threads at all.
 */
export function threadsOf(asked, cores, isolated) {
  return isolated ? (asked ?? Math.max(1, Math.min(cores, THREADS))) : 1;
}

/**
 * See what WebGPU offers here.
 *
 * @param {any} gpu `navigator.gpu`; undefined in browsers without it.
 * @returns {Promise<Adapter>}
 */
export async function findAdapter(gpu) {
  const adapter = await gpu?.requestAdapter().catch(() => null);
  if (!adapter) {
    return "none";
  }
  // Older browsers have the sign on the adapter itself.
  return (adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter) ? "software" : "hardware";
}

/**
 * @param {Unit | null} asked
 * @param {Adapter} adapter
 * @param {Pick<ModelDescription, "stages">} description of the model.
 * @returns {Backend}
 */
export function chooseUnits(asked, adapter, { stages }) {
  /** @type {Backend} */
  const backend = { units: { encoder: "WASM", decoder: "WASM" }, notices: [] };
  if (asked === "WEBGPU" && adapter === "none") {
    backend.notices.push("WebGPU was asked for, and this browser offers none: the model runs on WASM.");
  } else if (asked === "WEBGPU" || (asked === null && adapter === "hardware")) {
    for (const stage of /** @type {const} */ (["encoder", "decoder"])) {
      const { allowed, left_out: leftOut } = stages[stage].units;
      if (allowed.includes("WEBGPU")) {
        backend.units[stage] = "WEBGPU";
      } else if (asked === "WEBGPU") {
        const reason = leftOut.find(({ unit }) => unit === "WEBGPU")?.reason ?? "model.json does not list it";
        backend.notices.push(`The ${stage} runs on WASM and not on WebGPU: ${reason}.`);
      }
    }
  }
  return backend;
}
