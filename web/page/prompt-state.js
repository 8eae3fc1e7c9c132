/**
 * What a person has asked of the picture so far, as values that never change: every step makes a new one, which
 * remembers the one before it, so that undo is a step back.
 */

/** @import { Box, Point, Prompt } from "../lightsam.js" */

/**
 * @typedef {object} PromptState
 * @property {readonly Readonly<Point>[]} points in pixels of the picture.
 * @property {readonly (0 | 1)[]} labels one a point: 1 foreground, 0 background.
 * @property {Readonly<Box> | null} box in pixels of the picture.
 * @property {Float32Array | null} mask logits of the mask that is refined.
 * @property {number | null} chosen which of the answer's masks; null is the one with the highest predicted IoU.
 * @property {PromptState | null} before what undo gives back.
 */

/** Nothing asked, nothing to undo. @type {PromptState} */
export const EMPTY = Object.freeze({ points: [], labels: [], box: null, mask: null, chosen: null, before: null });

/**
 * @param {PromptState} state
 * @param {Partial<PromptState>} changes
 * @returns {PromptState}
 */
function next(state, changes) {
  return Object.freeze({ ...state, chosen: null, ...changes, before: state });
}

/**
 * @param {PromptState} state
 * @param {Readonly<Point>} point in pixels of the picture.
 * @param {0 | 1} label 1 foreground, 0 background.
 */
export function addPoint(state, point, label) {
  return next(state, { points: [...state.points, point], labels: [...state.labels, label] });
}

/**
 * @param {PromptState} state
 * @param {number} index of the point.
 * @returns {PromptState} without it; without a mask to refine, too, where nothing else is left that it would be about.
 */
export function removePoint(state, index) {
  const points = state.points.filter((_, at) => at !== index);
  const labels = state.labels.filter((_, at) => at !== index);
  return next(state, { points, labels, mask: points.length > 0 || state.box ? state.mask : null });
}

/**
 * @param {PromptState} state
 * @param {Readonly<Box>} box in place of an earlier one.
 */
export function setBox(state, box) {
  return next(state, { box });
}

/**
 * Ask the same again with a mask of the answer, which the model then improves; later points keep it.
 *
 * @param {PromptState} state
 * @param {Float32Array} mask one of the answer's `lowResMasks`.
 */
export function refine(state, mask) {
  return next(state, { mask });
}

/**
 * Another of the answer's masks: no question to the model, so no step of its own to undo.
 *
 * @param {PromptState} state
 * @param {number} index
 * @returns {PromptState}
 */
export function choose(state, index) {
  return Object.freeze({ ...state, chosen: index });
}

/**
 * @param {PromptState} state
 * @returns {PromptState} the one before; the same where there is none.
 */
export function undo(state) {
  return state.before ?? state;
}

/**
 * @param {PromptState} state
 * @returns {PromptState} with nothing asked, which undo takes back.
 */
export function clear(state) {
  return isEmpty(state) ? state : Object.freeze({ ...EMPTY, before: state });
}

/** @param {PromptState} state */
export function isEmpty({ points, box, mask }) {
  return points.length === 0 && !box && !mask;
}

/**
 * @param {PromptState} state
 * @returns {Prompt | null} what the module is asked; null where nothing is.
 */
export function promptOf(state) {
  if (isEmpty(state)) {
    return null;
  }
  const { points, labels, box, mask } = state;
  return { points, labels, box, mask };
}
