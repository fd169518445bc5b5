// Sending: a few radiographs at a time, in order; a busy server is asked again when it said so.

const USUAL_PAUSE_S = 2;
const GONE = "The server does not answer.";
const SIGNED_OUT = "You are signed out. Sign in again in a new tab, then go on here: the list stays.";

/** What a refused request says of itself: problem+json (RFC 9457), or at least its status. */
export function wordsOf(xhr) {
  if (xhr.status === 401) return SIGNED_OUT;
  try {
    const problem = JSON.parse(xhr.responseText);
    return problem.detail || problem.title;
  } catch {
    return `The server answered with status ${xhr.status}.`;
  }
}

/** Seconds until a busy server wants to be asked again. */
export function pauseOf(xhr) {
  return Math.max(Number(xhr.getResponseHeader("Retry-After")) || USUAL_PAUSE_S, 1);
}

export class Queue {
  /** `most` on the way at once; `moved` is called at every step, `lost` with the reason when nothing can be sent. */
  constructor(most, moved, lost) {
    this.most = most;
    this.moved = moved;
    this.lost = lost;
    this.waiting = [];
    this.sending = new Set();
    this.pauses = new Map();
  }

  get busy() {
    return this.waiting.length + this.sending.size + this.pauses.size > 0;
  }

  /** Let a row listen to what becomes of its request; once for each row. */
  adopt(row) {
    const on = (name, act) => row.form.addEventListener(name, (event) => {
      if (event.target === row.form) act(event.detail);
    });
    on("htmx:xhr:progress", ({ lengthComputable, loaded, total }) => {
      if (row.state === "sending" && lengthComputable) {
        row.say("sending", loaded < total ? `Sending, ${Math.round((100 * loaded) / total)} %.` : "At work.");
      }
    });
    on("htmx:sendError", () => this.#serverGone(row));
    on("htmx:responseError", ({ xhr }) => this.#refused(row, xhr));
    on("htmx:sendAbort", () => {
      if (row.busy) row.say("cancelled", "Cancelled.");
    });
    // A request on its way was for what the row said before.
    row.form.addEventListener("input", () => this.remove(row));
    row.answer.addEventListener("htmx:afterSwap", () => {
      const line = row.answer.querySelector("[data-row]");
      row.saved = false;
      if (line) row.say(line.dataset.status);
    });
    on("htmx:afterRequest", () => {
      this.sending.delete(row);
      this.#next();
      this.moved();
    });
  }

  /** Ask for a row's answer, unless something is missing, which the row then says. */
  add(row) {
    if (row.busy) return;
    const problem = row.problem();
    if (problem) {
      row.say("unsent", problem);
      return;
    }
    row.answer.replaceChildren();
    this.waiting.push(row);
    row.say("waiting", "Waiting.");
    this.#next();
  }

  #next() {
    while (this.waiting.length && this.sending.size + this.pauses.size < this.most) {
      this.#send(this.waiting.shift());
    }
  }

  #send(row) {
    this.sending.add(row);
    row.say("sending", "Sending.");
    window.htmx.trigger(row.form, "send-radiograph");
  }

  #refused(row, xhr) {
    if (xhr.status !== 429) {
      row.say("unsent", `Not predicted: ${wordsOf(xhr)}`);
      if (xhr.status === 401) this.#stop("You are signed out.", xhr);
      return;
    }
    const seconds = pauseOf(xhr);
    row.say("waiting", `The server is busy. Trying again in ${seconds} s.`);
    const timer = setTimeout(() => {
      this.pauses.delete(row);
      this.#send(row);
    }, 1000 * seconds);
    this.pauses.set(row, timer);
  }

  async #serverGone(row) {
    if (!(await row.readable())) return; // it was the file that could not be sent
    row.say("unsent", `Not predicted: ${GONE}`);
    this.#stop(GONE);
  }

  /** What waits would fare no better. */
  #stop(why, xhr = null) {
    this.#drop("unsent", `Not sent: ${why}`);
    this.lost(xhr);
  }

  /** Take a row out, whatever its state. */
  remove(row) {
    this.waiting = this.waiting.filter((other) => other !== row);
    clearTimeout(this.pauses.get(row));
    this.pauses.delete(row);
    if (this.sending.has(row)) window.htmx.trigger(row.form, "htmx:abort");
  }

  /** Stop everything; what has its answer keeps it. */
  cancel() {
    this.#drop("cancelled", "Cancelled.");
    for (const row of [...this.sending]) window.htmx.trigger(row.form, "htmx:abort");
  }

  #drop(state, words) {
    for (const timer of this.pauses.values()) clearTimeout(timer);
    const rows = [...this.pauses.keys(), ...this.waiting];
    this.pauses.clear();
    this.waiting = [];
    for (const row of rows) row.say(state, words);
  }
}
