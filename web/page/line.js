/**
 * Which request the worker gets next. It computes one at a time and cannot be stopped, so what was overtaken before
 * its turn is dropped: a newer picture overtakes everything, a prompt prompts and previews, a preview a preview.
 */

/** @typedef {"encode" | "prompt" | "preview"} Kind In the order in which they are served. */

/**
 * @typedef {object} Entry
 * @property {Kind} kind
 * @property {() => Promise<any>} start
 * @property {(result: any) => void} resolve
 * @property {(error: unknown) => void} reject
 */

/** @type {readonly Kind[]} */
const KINDS = ["encode", "prompt", "preview"];

/** Requests in line, at most one of each kind. */
export class Line {
  /** @type {Map<Kind, Entry>} */
  #waiting = new Map();
  /** @type {Entry | null} */
  #running = null;

  /**
   * @template T
   * @param {Kind} kind
   * @param {() => Promise<T>} start called when its turn comes.
   * @returns {Promise<T | null>} null for what was overtaken, in line or while it ran.
   */
  add(kind, start) {
    this.drop(kind);
    return new Promise((resolve, reject) => {
      this.#waiting.set(kind, { kind, start, resolve, reject });
      this.#advance();
    });
  }

  /**
   * Give up requests of a kind, and of those that it overtakes.
   *
   * @param {Kind} kind
   */
  drop(kind) {
    for (const overtaken of KINDS.slice(KINDS.indexOf(kind))) {
      this.#waiting.get(overtaken)?.resolve(null);
      this.#waiting.delete(overtaken);
      if (this.#running?.kind === overtaken) {
        // It runs on, and the line with it; who asked is told now, so that nothing late is shown.
        this.#running.resolve(null);
      }
    }
  }

  async #advance() {
    const kind = KINDS.find((one) => this.#waiting.has(one));
    if (this.#running || !kind) {
      return;
    }
    const entry = /** @type {Entry} */ (this.#waiting.get(kind));
    this.#waiting.delete(kind);
    this.#running = entry;
    try {
      entry.resolve(await entry.start());
    } catch (error) {
      entry.reject(error);
    } finally {
      this.#running = null;
      this.#advance();
    }
  }
}
