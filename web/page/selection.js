/** What is selected: what was asked of the picture, the model's answer to it, and which of its masks is shown. */

import { Mask } from "../lightsam.js";
import * as states from "./prompt-state.js";

/** @import { Box, Point, Prompt } from "../lightsam.js" */
/** @import { PromptState } from "./prompt-state.js" */
/** @import { Answer } from "./worker-client.js" */
/** @typedef {{masks: Mask[], lowResMasks: Float32Array[], best: number, prompt: Prompt}} Shown */

/**
 * @typedef {object} Listener
 * @property {(prompt: Prompt) => Promise<Answer | null>} predict null for what was overtaken.
 * @property {() => void} forget gives up what is being asked.
 * @property {() => void} onChange told that state, answer or choice are not what they were.
 * @property {(milliseconds: number) => void} onAnswer told of each answer, before `onChange`.
 * @property {(error: Error) => void} onError
 */

export class Selection {
  #state = states.EMPTY;
  /** @type {Shown | null} */
  #answer = null;
  #asked = 0;
  #listener;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  get state() {
    return this.#state;
  }

  /** Of an earlier state while the model is at work; null where nothing is selected. */
  get answer() {
    return this.#answer;
  }

  get isEmpty() {
    return states.isEmpty(this.#state);
  }

  /** Index of the mask that is shown: what was chosen may be gone where another question gave fewer masks. */
  get chosen() {
    const { chosen } = this.#state;
    const { masks, best } = this.#answer ?? { masks: [], best: 0 };
    return chosen !== null && chosen < masks.length ? chosen : best;
  }

  /** The mask that is shown. */
  get mask() {
    return this.#answer?.masks[this.chosen] ?? null;
  }

  /** The answer in numbers; null where there is none. */
  get prediction() {
    if (!this.#answer) {
      return null;
    }
    const { masks, lowResMasks, best, prompt } = this.#answer;
    return { lowResMasks, ious: masks.map(({ iouPrediction }) => iouPrediction), best, chosen: this.chosen, prompt };
  }

  /**
   * @param {Readonly<Point>} place a pixel of the picture.
   * @param {0 | 1} label
   */
  addPoint(place, label) {
    return this.#ask(states.addPoint(this.#state, place, label));
  }

  /** @param {number} index of the point. */
  removePoint(index) {
    return this.#ask(states.removePoint(this.#state, index));
  }

  /** @param {Readonly<Box>} box */
  setBox(box) {
    return this.#ask(states.setBox(this.#state, box));
  }

  /** Ask the same again with the mask that is shown. */
  async refine() {
    if (this.#answer) {
      await this.#ask(states.refine(this.#state, this.#answer.lowResMasks[this.chosen]));
    }
  }

  /** @param {number} index of the mask to show. */
  choose(index) {
    if (this.#answer && index < this.#answer.masks.length) {
      this.#state = states.choose(this.#state, index);
      this.#listener.onChange();
    }
  }

  async undo() {
    if (this.#state.before) {
      await this.#ask(states.undo(this.#state));
    }
  }

  async clear() {
    if (!this.isEmpty) {
      await this.#ask(states.clear(this.#state));
    }
  }

  /** Begin anew, about another picture. */
  reset() {
    return this.#ask(states.EMPTY);
  }

  /** The same question, whose answer depends on something else that changed. */
  again() {
    return this.#ask(this.#state);
  }

  /** @param {PromptState} state */
  async #ask(state) {
    this.#state = state;
    const turn = ++this.#asked;
    this.#listener.forget();
    const prompt = states.promptOf(state);
    if (!prompt) {
      this.#answer = null;
    }
    this.#listener.onChange();
    if (!prompt) {
      return;
    }
    try {
      const answer = await this.#listener.predict(prompt);
      if (answer && turn === this.#asked) {
        const { lowResMasks, best, milliseconds } = answer;
        const masks = answer.masks.map(({ width, height, data, iou }) => new Mask(width, height, data, iou));
        this.#answer = { masks, lowResMasks, best, prompt };
        this.#listener.onAnswer(milliseconds);
        this.#listener.onChange();
      }
    } catch (error) {
      if (turn === this.#asked) {
        // What could not be answered is taken back, so that the marks and the mask agree.
        this.#state = states.undo(state);
        this.#listener.onChange();
        this.#listener.onError(/** @type {Error} */ (error));
      }
    }
  }
}
