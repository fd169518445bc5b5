// The chosen radiograph: its picture, its figures, its report.

import { pauseOf, wordsOf } from "./queue.js";
import { fill } from "./row.js";
import { Viewer } from "./viewer.js";

const CHILD = [
  "sex", "age_years", "age_more_months", "age_source", "birth_date", "taken_date", "height_cm",
];
const $ = (id) => document.getElementById(id);

export class Detail {
  constructor() {
    this.viewer = new Viewer($("viewer"));
    this.row = null;
    this.form = $("view-form");
    this.form.addEventListener("htmx:responseError", (event) => this.#refused(event.detail.xhr));
    this.form.addEventListener("htmx:sendError", () => {
      this.viewer.clear("The server does not answer.");
    });
    this.ticket = 0;
    $("view-data").addEventListener("htmx:afterSwap", ({ detail }) => {
      this.#arrived(Number(detail.requestConfig.parameters.ticket));
    });
    $("report-form").addEventListener("submit", () => this.#fillReport());
  }

  /** Show a row, or nothing. */
  show(row) {
    if (this.row === row) return;
    this.row = row;
    $("detail").scrollTop = 0;
    $("detail-heading").textContent = row ? row.file.name : "No radiograph chosen";
    $("detail-empty").hidden = Boolean(row);
    $("detail-body").hidden = !row;
    this.#figures();
    if (row) {
      this.viewer.clear("Loading the radiograph.");
      this.#ask();
    }
  }

  /** A row has another state: if it is shown, so are its new figures. */
  update(row) {
    if (row !== this.row) return;
    this.#figures();
    if (row.state === "ok" && this.asked !== this.#wish()) this.#ask();
  }

  #figures() {
    const source = this.row?.answer.querySelector(".finding-source");
    const place = $("finding");
    place.replaceChildren();
    if (source) place.append(source.content.cloneNode(true));
    else if (this.row) {
      const words = document.createElement("p");
      words.className = "note";
      words.textContent = `No answer yet. ${this.row.next}`;
      place.append(words);
    }
    $("report-form").hidden = !source;
  }

  /** What the server is asked to show; with the heat map once there is an answer. */
  #wish() {
    const { row } = this;
    return row.state === "ok" ? `${row.file.name} ${row.sex} heat` : row.file.name;
  }

  #ask() {
    clearTimeout(this.timer);
    this.asked = this.#wish();
    this.ticket += 1;
    this.form.elements.ticket.value = this.ticket;
    const heat = this.row.state === "ok";
    fill(this.form.elements.files, this.row.file);
    this.form.elements.sex.value = heat ? this.row.sex : "";
    this.form.elements.age_source.value = this.row.form.elements.age_source.value;
    this.form.elements.heat.value = heat ? "yes" : "";
    window.htmx.trigger(this.form, "show-radiograph");
  }

  /** A picture came: of the row that is shown, unless another was chosen since it was asked for. */
  #arrived(ticket) {
    const fragment = document.createElement("div"); // out of the page: it is megabytes of text
    fragment.append(...$("view-data").childNodes);
    if (ticket !== this.ticket) return;
    const keep = this.shown === this.row && Boolean(this.viewer.picture);
    this.shown = this.row;
    this.viewer.show(fragment, this.row.file.name, keep);
  }

  #refused(xhr) {
    if (xhr.status === 429) {
      this.timer = setTimeout(() => this.row && this.#ask(), 1000 * pauseOf(xhr));
    } else {
      this.viewer.clear(wordsOf(xhr));
    }
  }

  /** The report is made from the file anew, since the server keeps none. */
  #fillReport() {
    const { elements } = $("report-form");
    const given = this.row.form.elements;
    fill(elements.files, this.row.file);
    for (const name of CHILD) elements[name].value = given[name].value;
  }
}
