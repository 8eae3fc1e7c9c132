/** What was made at some cost, by what it was made from: the few that were used last. */

/** @template T */
export class Kept {
  /** @type {Map<string, T>} */
  #entries = new Map();
  #limit;
  #discard;

  /**
   * @param {number} limit how many.
   * @param {(value: T) => void} discard told of each that has to go.
   */
  constructor(limit, discard) {
    this.#limit = limit;
    this.#discard = discard;
  }

  /** @param {string} key */
  get(key) {
    const value = this.#entries.get(key);
    if (value !== undefined) {
      // A map keeps the order in which keys came: the one used last goes to its end.
      this.#entries.delete(key);
      this.#entries.set(key, value);
    }
    return value;
  }

  /**
   * @param {string} key which is not there yet.
   * @param {T} value
   */
  set(key, value) {
    this.#entries.set(key, value);
    for (const [oldest, gone] of this.#entries) {
      if (this.#entries.size <= this.#limit) {
        break;
      }
      this.#entries.delete(oldest);
      this.#discard(gone);
    }
  }

  clear() {
    for (const value of this.#entries.values()) {
      this.#discard(value);
    }
    this.#entries.clear();
  }
}
