/** Where pictures come from: a file, a drop, the clipboard, the examples. */

import { ImageError } from "../lightsam.js";

/** @typedef {{bitmap: ImageBitmap, name: string}} Picture `bitmap` is upright. */
/** @typedef {{file: string, title: string, author: string}} Example `file` is in the folder of index.json. */

/**
 * @param {Blob} blob
 * @param {string} name for messages and for the names of downloads.
 * @returns {Promise<Picture>}
 * @throws {ImageError} for what is no picture.
 */
export async function readPicture(blob, name) {
  try {
    return { bitmap: await createImageBitmap(blob, { imageOrientation: "from-image" }), name };
  } catch (error) {
    throw new ImageError(
      `“${name}” is no picture that this browser can read, or is too large for its memory: choose a JPEG, PNG or WebP`,
      { cause: error },
    );
  }
}

/**
 * @param {DataTransfer | null} transfer of a drop or a paste.
 * @returns {File | null} the first picture in it; the first file, so that a message can name it, where there is none.
 */
export function pictureIn(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.find(({ type }) => type.startsWith("image/")) ?? files[0] ?? null;
}

/**
 * Take pictures that are dropped anywhere on the page, or pasted.
 *
 * @param {HTMLElement} room marked with the class `over` while something hovers.
 * @param {(file: File | null) => void} take told null where no file was in it.
 */
export function takePictures(room, take) {
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    room.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) {
      room.classList.remove("over");
    }
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    room.classList.remove("over");
    take(pictureIn(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    event.preventDefault();
    take(pictureIn(event.clipboardData));
  });
}

/**
 * @param {unknown} index what examples/index.json holds.
 * @returns {Example[]}
 * @throws {TypeError} for anything else.
 */
export function examplesOf(index) {
  if (!Array.isArray(index) || index.some((one) => typeof one?.file !== "string" || typeof one?.title !== "string")) {
    throw new TypeError("examples/index.json is a list of file and title: make the bundle again");
  }
  return index.map(({ file, title, author = "" }) => ({ file, title, author }));
}

/**
 * @param {URL} folder of the examples.
 * @returns {Promise<Example[]>} none where the site has none.
 */
export async function findExamples(folder) {
  const response = await fetch(new URL("index.json", folder));
  return response.ok ? examplesOf(await response.json()) : [];
}

/**
 * @param {URL} folder of the examples.
 * @param {Example} example
 * @returns {Promise<Picture>}
 * @throws {ImageError} if it cannot be had.
 */
export async function readExample(folder, { file }) {
  const response = await fetch(new URL(file, folder)).catch(() => null);
  if (!response?.ok) {
    throw new ImageError(`the example ${file} cannot be reached: choose a picture of your own, or try again`);
  }
  return readPicture(await response.blob(), file);
}
