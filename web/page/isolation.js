/**
 * The service worker, which keeps the page for use offline and adds the headers that threads need where the server does
 * not send them. For those the page has to be loaded once more; never twice, since a browser may refuse all the same.
 */

/** What a page says that has one thread only. */
export const HEADERS_MISSING =
  "The server sends no Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, and " +
  "the browser let no service worker add them: the model runs on one thread, and takes longer.";

const RELOADED = "lightsam-reloaded";

/**
 * @typedef {object} Surroundings What of the browser this needs; of the page's own in use, others in tests.
 * @property {boolean} isolated `crossOriginIsolated`.
 * @property {ServiceWorkerContainer | undefined} container
 * @property {Pick<Storage, "getItem" | "setItem" | "removeItem">} storage of this tab.
 * @property {() => void} reload
 * @property {number} patience milliseconds to wait for the browser at most.
 */

/**
 * Start the service worker. Where it reloads the page, this never ends.
 *
 * @param {string} address of the service worker.
 * @param {Surroundings} surroundings
 * @returns {Promise<string | null>} a sentence where threads are missing; null where all is well.
 */
export async function settle(address, surroundings) {
  const { isolated, container, storage, reload } = surroundings;
  const complaint = isolated ? null : HEADERS_MISSING;
  try {
    const registration = container && (await start(container, address, surroundings));
    if (!registration) {
      return complaint;
    }
    if (isolated) {
      storage.removeItem(RELOADED);
      return null;
    }
    if (storage.getItem(RELOADED)) {
      return complaint;
    }
    storage.setItem(RELOADED, "yes");
  } catch {
    // Private windows forbid service workers, or storage: the page works without.
    return complaint;
  }
  reload();
  return new Promise(() => {});
}

/**
 * Have the service worker keep what it did not see, since it was loaded before the service worker was there.
 *
 * @param {ServiceWorkerContainer | undefined} container
 * @param {string[]} addresses
 */
export function keep(container, addresses) {
  container?.controller?.postMessage({ keep: addresses });
}

/**
 * @param {ServiceWorkerContainer} container
 * @param {string} address
 * @param {Surroundings} surroundings
 * @returns {Promise<boolean>} whether it is there.
 */
async function start(container, address, { patience }) {
  /** @type {Promise<void>} */
  const controls = new Promise((resolve) => {
    container.controller ? resolve() : container.addEventListener("controllerchange", () => resolve(), { once: true });
  });
  await container.register(address);
  const registration = await soon(container.ready, patience);
  // Only what is fetched under its control is kept: the model's worker is started afterwards.
  await soon(controls, patience);
  return Boolean(registration);
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {number} patience
 * @returns {Promise<T | null>} null where it takes longer.
 */
function soon(promise, patience) {
  /** @type {Promise<null>} */
  const late = new Promise((resolve) => setTimeout(resolve, patience, null));
  return Promise.race([promise, late]);
}
