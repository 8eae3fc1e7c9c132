/**
 * Keeps the site's own files for use offline, and adds the headers that threads need where the server sends none. It is
 * published beside index.html, since a service worker serves the folder that it lies in.
 *
 * The network comes first, so that files of two versions never mix; what it does not give comes from the cache. The
 * model files are left out: the module keeps those itself, by their sha256.
 */

const KEPT = "lightsam-page";

const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** The types of service workers contradict those of pages, which the other files are checked by. @type {any} */
const worker = self;

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  if (event.request.method === "GET" && isKept(event.request.url)) {
    event.respondWith(answer(event.request, event));
  }
});

// The page names what it loaded before this service worker was there.
worker.addEventListener("message", (/** @type {any} */ event) => {
  /** @type {string[]} */
  const addresses = (event.data?.keep ?? []).filter(isKept);
  const all = addresses.map(async (address) => {
    if (!(await find(address))) {
      await keep(address, await fetch(address));
    }
  });
  // What cannot be fetched now is kept when it is used next.
  event.waitUntil(Promise.allSettled(all));
});

/** @param {string} address */
function isKept(address) {
  const scope = worker.registration.scope;
  const path = address.startsWith(scope) ? address.slice(scope.length).replace(/[?#].*/, "") : null;
  return path !== null && (!path.startsWith("model/") || path === "model/model.json");
}

/**
 * @param {Request} request
 * @param {any} event which must not end before the file is kept.
 */
async function answer(request, event) {
  try {
    const response = await fetch(request);
    event.waitUntil(keep(request.url, response.clone()));
    return withHeaders(response);
  } catch (error) {
    const kept = await find(request.url);
    if (kept) {
      return withHeaders(kept);
    }
    throw error;
  }
}

/**
 * @param {string} address
 * @returns {Promise<Response | undefined>}
 */
async function find(address) {
  // Parameters choose what the page runs on: the files are the same.
  return (await caches.open(KEPT)).match(address, { ignoreSearch: true, ignoreVary: true });
}

/**
 * @param {string} address
 * @param {Response} response
 */
async function keep(address, response) {
  if (response.status === 200) {
    try {
      const url = new URL(address);
      url.search = "";
      await (await caches.open(KEPT)).put(url.href, response);
    } catch {
      // A full disk: it is fetched again the next time.
    }
  }
}

/** @param {Response} response */
function withHeaders(response) {
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) {
    if (!headers.has(name)) {
      headers.set(name, value);
    }
  }
  // Answers such as 204 and 304 must not have a body.
  return new Response([101, 204, 205, 304].includes(status) ? null : response.body, { status, statusText, headers });
}
