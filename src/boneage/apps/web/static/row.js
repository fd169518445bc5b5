// One radiograph of the list: its file, what is said of the child, and what became of it.

const NO_DICOM = [
  [0x89, 0x50, 0x4e, 0x47],
  [0xff, 0xd8, 0xff],
  [0x49, 0x49],
  [0x4d, 0x4d],
];

/** Whether a file may be DICOM: everything that is plainly something else is not asked about. */
async function mayBeDicom(file) {
  const start = new Uint8Array(await file.slice(0, 132).arrayBuffer());
  if (String.fromCharCode(...start.slice(128)) === "DICM") return true;
  return start.length > 0 && !NO_DICOM.some((bytes) => bytes.every((byte, at) => start[at] === byte));
}

const UNREADABLE = "Cannot be read here. Choose it again; of a folder, choose the files in it.";
const MOST_TRIES = 5;
const OF_AGE = ["age_years", "age_more_months", "birth_date"];

export class Row {
  static count = 0;

  constructor(file, template, mostBytes, tell) {
    this.file = file;
    this.tooLarge = file.size > mostBytes;
    this.mostBytes = mostBytes;
    this.read = false; // whether it is known what a header says
    this.unasked = false; // whether nobody could be asked what it says
    this.sexInFile = "";
    this.filled = new Set(); // what the file said and nobody has changed: "sex", "age"
    this.tell = tell; // called with the row whenever its state has changed
    this.item = template.content.firstElementChild.cloneNode(true);
    this.form = this.item.querySelector("form");
    this.name = this.item.querySelector(".name");
    this.answer = this.item.querySelector(".answer");
    this.name.textContent = file.name;
    this.item.querySelector("legend").textContent = `Sex of the child on ${file.name}`;
    this.#makeIdsUnique();
    fill(this.form.elements.files, file);
    this.form.addEventListener("input", (event) => this.#changed(event.target.name));
    this.say("new");
  }

  #makeIdsUnique() {
    Row.count += 1;
    for (const label of this.item.querySelectorAll("label[for]")) {
      const id = `${label.htmlFor}-${Row.count}`;
      this.item.querySelector(`#${label.htmlFor}`).id = id;
      label.htmlFor = id;
    }
  }

  get sex() {
    return this.form.elements.sex.value;
  }

  set sex(value) {
    this.form.elements.sex.value = value;
    this.say("new");
  }

  /** Whether it waits for its answer or is on the way. */
  get busy() {
    return ["waiting", "sending"].includes(this.state);
  }

  /** The row of the table, as the server wrote it; null without an answer. */
  get values() {
    const line = this.answer.querySelector("[data-row]");
    return line ? JSON.parse(line.dataset.row) : null;
  }

  get #fromFile() {
    return this.filled.size ? ` From the file: ${[...this.filled].join(" and ")}.` : "";
  }

  /** What speaks against the chosen sex; empty if nothing does. */
  get doubt() {
    const differs = this.sexInFile && this.sex && this.sex !== this.sexInFile;
    return differs ? `The file says ${this.sexInFile}, but ${this.sex} is chosen.` : "";
  }

  /** Whether it has an answer that is in no table that was saved. */
  get unsaved() {
    return Boolean(this.values) && !this.saved;
  }

  /** What is to be done for its answer, while there is none. */
  get next() {
    if (!this.read) return "The header of the file is being read.";
    if (this.busy) return "It is on its way.";
    if (["unsent", "cancelled"].includes(this.state)) return this.words;
    return this.sex ? "Predict it in the list." : "Choose the sex in the list, then predict.";
  }

  /** Take on a state and say it in words. */
  say(state, words = "") {
    if (state === "new" && !words) {
      words = this.sex ? `Ready.${this.#fromFile}` : "Choose the sex: it is never guessed.";
      if (this.unasked) words += " What the file says of it could not be read.";
    }
    this.state = state;
    this.words = words;
    this.item.dataset.state = state;
    const place = this.item.querySelector(".state");
    place.textContent = words;
    place.hidden = !words;
    const doubt = this.item.querySelector(".doubt");
    doubt.textContent = this.doubt;
    doubt.hidden = !this.doubt || state === "ok"; // the answer warns of it itself
    const send = this.item.querySelector(".send");
    send.ariaDisabled = this.busy; // really disabled it would lose the focus
    send.textContent = this.values ? "Predict again" : "Predict";
    send.classList.toggle("main", !this.values);
    this.tell(this);
  }

  /** Whether the browser can read the file: no folder, and neither moved nor changed since. */
  async readable() {
    try {
      await this.file.slice(0, 1).arrayBuffer();
      return true;
    } catch {
      this.say("unsent", UNREADABLE);
      return false;
    }
  }

  /** Why it cannot be sent; empty if it can. */
  problem() {
    if (this.tooLarge) return `Not sent: a file may have ${this.mostBytes / 1e6} MB here.`;
    const { birth_date: born, taken_date: taken } = this.form.elements;
    const dayless = born.value && !taken.value;
    taken.setCustomValidity(dayless ? "Say on which day the radiograph was taken." : "");
    if (!this.sex) return "Not sent: choose the sex first.";
    const wrong = [...this.form.elements].find((field) => !field.checkValidity());
    if (!wrong) return "";
    const label = wrong.getAttribute("aria-label") ?? wrong.labels?.[0]?.textContent ?? wrong.name;
    return `Not sent: ${label}: ${wrong.validationMessage}`;
  }

  /** What is said of the child has changed: an answer was for something else. */
  #changed(name) {
    this.answer.replaceChildren();
    if (name === "sex") this.filled.delete("sex");
    if (OF_AGE.includes(name)) {
      this.filled.delete("age");
      this.form.elements.age_source.value = "";
    }
    this.say("new");
  }

  /** Fill in what a DICOM file says of the child, and mark it so. */
  async inspect() {
    try {
      await this.#inspect();
    } finally {
      this.read = true;
      this.tell(this);
    }
  }

  async #inspect() {
    if (this.tooLarge) return this.say("unsent", this.problem());
    if (!(await this.readable())) return undefined;
    try {
      if (!(await mayBeDicom(this.file))) return undefined;
      if (this.state === "new") this.say("new", "Reading the header.");
      const body = new FormData();
      body.append("files", this.file);
      for (let tries = 0; tries < MOST_TRIES; tries += 1) {
        const response = await fetch("/inspect", { method: "POST", body });
        if (response.ok) this.#fillIn(await response.json());
        this.unasked = !response.ok;
        if (response.status !== 429) break;
        await new Promise((done) => { setTimeout(done, 1000 * response.headers.get("Retry-After")); });
      }
    } catch {
      this.unasked = true; // sending it will tell what is wrong
    }
    const anew = this.state === "new" || this.filled.size;
    return this.say(anew ? "new" : this.state, anew ? "" : this.words);
  }

  #fillIn(said) {
    const { elements } = this.form;
    const words = [];
    const free = !this.busy && !this.values; // what was sent stays as it was sent
    if (said.sex) {
      this.sexInFile = said.sex;
      words.push(said.sex);
      if (free && !elements.sex.value) {
        elements.sex.value = said.sex;
        this.filled.add("sex");
      }
    }
    if (said.age_months !== null) {
      const tenths = Math.round(10 * said.age_months);
      const [years, months] = [Math.floor(tenths / 120), (tenths % 120) / 10];
      words.push(`${years} y ${months} m`);
      if (free && !elements.age_years.value && !elements.birth_date.value) {
        elements.age_years.value = years;
        elements.age_more_months.value = months;
        elements.age_source.value = "file";
        this.filled.add("age");
      }
    }
    if (said.taken) {
      words.push(`radiograph of ${said.taken}`);
      if (free) elements.taken_date.value ||= said.taken;
    }
    const note = this.item.querySelector(".from-file");
    note.textContent = `The file says: ${words.join(", ")}.`;
    note.hidden = !words.length;
  }

  /** Show or hide that it is the one in the detail. */
  choose(chosen) {
    this.item.classList.toggle("chosen", chosen);
    this.name.setAttribute("aria-expanded", chosen);
    this.item.querySelector(".more").hidden = !chosen;
  }
}

/** Put a file into a file field, as if it had been chosen there. */
export function fill(input, file) {
  const transfer = new DataTransfer();
  transfer.items.add(file);
  input.files = transfer.files;
}
