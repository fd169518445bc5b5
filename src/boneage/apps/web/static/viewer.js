// The viewer: zoom, pan, window and level on 16 bits of grey, and the heat map as a layer.
//
// Positions are in CSS pixels of the stage. `view.scale` is stage pixels for a picture pixel, and
// (`view.x`, `view.y`) is where the upper left corner of the picture lies.

import { listen } from "./gestures.js";

const ZOOM_STEP = 1.25;
const MOST_SCALE = 16;
const TOP = 65535;

/** Write what has changed: an output is a live region, and what is written is read out. */
function write(place, words) {
  if (place.textContent !== words) place.textContent = words;
}

/** Decode a PNG in base64 without any colour management, which would change the grey. */
async function bitmapOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  const blob = new Blob([bytes], { type: "image/png" });
  return createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

/** 16-bit grey: the high byte is in red, the low byte in green. */
function greyOf(bitmap) {
  const sheet = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = sheet.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const channels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const grey = new Uint16Array(bitmap.width * bitmap.height);
  for (let at = 0; at < grey.length; at += 1) {
    grey[at] = (channels[4 * at] << 8) | channels[4 * at + 1];
  }
  return grey;
}

export class Viewer {
  constructor(root) {
    this.root = root;
    this.stage = root.querySelector(".stage");
    this.canvas = root.querySelector("canvas");
    this.words = root.querySelector(".stage-words");
    this.sliders = Object.fromEntries(
      [...root.querySelectorAll("[data-set]")].map((input) => [input.dataset.set, input]),
    );
    this.picture = null;
    this.opacity = Number(this.sliders.opacity.value) / 100;
    this.heatShown = true;
    listen(this);
    new ResizeObserver(() => this.#resized()).observe(this.stage);
  }

  /** Show what a fragment of the server holds; `keep` leaves zoom, window and level as they are. */
  async show(fragment, name, keep) {
    const source = fragment.querySelector(".picture");
    if (!source) return this.clear(fragment.querySelector(".no-picture")?.textContent ?? "");
    const ticket = (this.ticket = Symbol(name));
    const bitmap = await bitmapOf(source.dataset.png);
    const layer = fragment.querySelector(".heat-layer");
    const heat = layer ? await bitmapOf(layer.dataset.png) : null;
    if (ticket !== this.ticket) return undefined; // another radiograph was chosen meanwhile
    const number = Object.fromEntries(
      Object.entries(source.dataset).filter(([key]) => key !== "png").map(([k, v]) => [k, +v]),
    );
    const { width, height } = bitmap;
    this.picture = { ...number, width, height, grey: greyOf(bitmap), heat };
    this.sheet = new OffscreenCanvas(width, height);
    this.image = new ImageData(width, height);
    this.canvas.setAttribute("aria-label", `Radiograph ${name}`);
    write(this.words, "");
    this.root.dataset.shown = name;
    this.#showHeatScale(fragment);
    if (keep) this.#develop();
    else this.#start();
    return undefined;
  }

  /** Show nothing but words. */
  clear(words) {
    this.ticket = null;
    this.picture = null;
    delete this.root.dataset.shown;
    this.canvas.setAttribute("aria-label", "No radiograph");
    write(this.words, words);
    this.root.querySelector(".heat").hidden = true;
    this.#draw();
  }

  #showHeatScale(fragment) {
    const scale = fragment.querySelector(".heat-scale-source");
    this.root.querySelector(".heat").hidden = !scale;
    this.root.querySelector(".heat-scale").replaceChildren(...(scale ? scale.children : []));
  }

  #start() {
    this.inverted = false;
    this.low = this.picture.low;
    this.high = this.picture.high;
    this.#fit();
    this.#develop();
  }

  #fit() {
    const { width, height } = this.picture;
    const [wide, high] = this.size();
    const scale = Math.min(wide / width, high / height);
    this.view = { scale, x: (wide - scale * width) / 2, y: (high - scale * height) / 2 };
    this.fitted = true;
    this.#later();
  }

  size() {
    return [this.stage.clientWidth, this.stage.clientHeight];
  }

  /** Grey to 8 bits through the window; done when the window changes, not when the view does. */
  #develop() {
    const { grey, width, height } = this.picture;
    const table = new Uint32Array(TOP + 1);
    const wide = Math.max(this.high - this.low, 1);
    for (let level = 0; level <= TOP; level += 1) {
      const share = Math.min(Math.max((level - this.low) / wide, 0), 1);
      const value = Math.round(255 * (this.inverted ? 1 - share : share));
      table[level] = (255 << 24) | (value << 16) | (value << 8) | value;
    }
    const target = new Uint32Array(this.image.data.buffer);
    for (let at = 0; at < width * height; at += 1) target[at] = table[grey[at]];
    this.sheet.getContext("2d").putImageData(this.image, 0, 0);
    this.#later();
  }

  #later() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.#draw();
    });
  }

  #draw() {
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.stage.classList.toggle("zoomed", Boolean(this.picture) && !this.fitted);
    if (this.picture) {
      const ratio = this.canvas.width / Math.max(this.stage.clientWidth, 1);
      const { scale, x, y } = this.view;
      context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * x, ratio * y);
      context.imageSmoothingQuality = "high";
      context.drawImage(this.sheet, 0, 0);
      if (this.picture.heat && this.heatShown) {
        context.globalAlpha = this.opacity;
        context.drawImage(this.picture.heat, 0, 0, this.picture.width, this.picture.height);
        context.globalAlpha = 1;
      }
    }
    this.#tell();
  }

  /** Put the numbers beside the controls. */
  #tell() {
    const { picture, sliders } = this;
    for (const input of Object.values(sliders)) input.disabled = !picture;
    for (const button of this.root.querySelectorAll("[data-do]")) button.disabled = !picture;
    const zoomed = picture ? this.view.scale * (window.devicePixelRatio || 1) : 0;
    write(this.root.querySelector(".zoom"), picture ? `${Math.round(100 * zoomed)} %` : "");
    if (!picture) return;
    const unit = (picture.last - picture.first) / TOP;
    const value = (level) => picture.first + level * unit;
    const digits = unit * TOP >= 100 ? 0 : 3;
    const range = (input, min, max, now) => {
      const step = digits ? (max - min) / 1000 : 1;
      Object.assign(input, { step, min, max, value: now });
      write(input.nextElementSibling, now.toFixed(digits));
    };
    const [dark, bright] = [value(picture.darkest), value(picture.brightest)];
    range(sliders.width, digits ? unit : 1, Math.max(bright - dark, 1e-6), (this.high - this.low) * unit);
    range(sliders.level, dark, bright, value((this.low + this.high) / 2));
    sliders.opacity.value = Math.round(100 * this.opacity);
    const colours = this.root.querySelector(".scale .colours");
    colours?.setAttribute("fill-opacity", this.heatShown ? this.opacity : 0);
    const shown = this.heatShown ? `${Math.round(100 * this.opacity)} %` : "off";
    write(sliders.opacity.nextElementSibling, shown);
    sliders.opacity.setAttribute("aria-valuetext", shown);
    this.root.querySelector('[data-do="invert"]').setAttribute("aria-pressed", this.inverted);
  }

  zoom(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const least = Math.min(...this.size()) / Math.max(this.picture.width, this.picture.height) / 4;
    const scale = Math.min(Math.max(this.view.scale * factor, least), MOST_SCALE);
    const by = scale / this.view.scale;
    this.view = { scale, x: x - by * (x - this.view.x), y: y - by * (y - this.view.y) };
    this.fitted = false;
    this.pan(0, 0);
  }

  /** Move the picture; some of it stays in the middle of the stage. */
  pan(right, down) {
    const [wide, high] = this.size();
    const { view, picture } = this;
    const held = (at, length, room) => Math.min(Math.max(at, room / 2 - length), room / 2);
    view.x = held(view.x + right, view.scale * picture.width, wide);
    view.y = held(view.y + down, view.scale * picture.height, high);
    if (right || down) this.fitted = false;
    this.#later();
  }

  /** Set the window by its width and its middle, both as 16-bit grey. */
  setWindow(width, middle) {
    const { darkest, brightest } = this.picture;
    const span = Math.max(brightest - darkest, 1);
    const wide = Math.min(Math.max(width, span / 255), span);
    const centre = Math.min(Math.max(middle, darkest), brightest);
    this.low = centre - wide / 2;
    this.high = centre + wide / 2;
    this.#develop();
  }

  /** Change width and middle by shares of the grey that occurs. */
  nudge(width, middle) {
    const span = this.picture.brightest - this.picture.darkest;
    this.setWindow(this.high - this.low + width * span, (this.low + this.high) / 2 + middle * span);
  }

  act(what) {
    if (!this.picture) return;
    const actions = {
      in: () => this.zoom(ZOOM_STEP),
      out: () => this.zoom(1 / ZOOM_STEP),
      fit: () => this.#fit(),
      actual: () => this.zoom(1 / (window.devicePixelRatio || 1) / this.view.scale),
      reset: () => this.#start(),
      invert: () => {
        this.inverted = !this.inverted;
        this.#develop();
      },
      heat: () => {
        this.heatShown = !this.heatShown;
        this.#later();
      },
    };
    actions[what]();
  }

  /** A slider was moved to a value, which for the window is in the file's own grey. */
  slid(name, value) {
    if (name === "opacity") {
      this.opacity = value / 100;
      this.heatShown = true;
      return this.#later();
    }
    const unit = (this.picture.last - this.picture.first) / TOP;
    return name === "width"
      ? this.setWindow(value / unit, (this.low + this.high) / 2)
      : this.setWindow(this.high - this.low, (value - this.picture.first) / unit);
  }

  #resized() {
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = this.size();
    if (!wide || !high) return;
    this.canvas.width = Math.round(wide * ratio);
    this.canvas.height = Math.round(high * ratio);
    if (this.picture && this.fitted) this.#fit();
    this.#draw();
  }
}
