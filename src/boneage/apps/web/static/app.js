// The page: files become rows of a list, rows are sent, one of them is shown in detail.

import { ask, holdPage } from "./asking.js";
import { Detail } from "./detail.js";
import { Queue, wordsOf } from "./queue.js";
import { Row } from "./row.js";

const $ = (id) => document.getElementById(id);
const write = (place, words) => { // a live region that is written anew is read anew
  if (place.textContent !== words) place.textContent = words;
};
const hasFocus = (item) => item.contains(document.activeElement);
const saysNoSex = (row) => row.read && !row.unasked && !row.sex && !row.values;
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

const rows = [];
const work = document.querySelector(".work");
const queue = new Queue(Number(work.dataset.concurrent), tell, lost);
const detail = new Detail();
let chosen = null;
let inspected = Promise.resolve();

function trouble(words, signIn = false) {
  $("trouble-words").textContent = words;
  $("sign-in").hidden = !signIn;
  $("trouble").hidden = !words;
}

/** Say why the server does nothing; without its answer it is gone. */
function lost(answer) {
  if (answer) trouble(wordsOf(answer), answer.status === 401);
  else trouble("The server does not answer. See whether boneage serve still runs, then go on here.");
}

function add(files) {
  const most = 1_000_000 * Number(work.dataset.maxMb);
  const added = [...files].map((file) => {
    const row = new Row(file, $("row-template"), most, rowChanged);
    rows.push(row);
    $("rows").append(row.item);
    window.htmx.process(row.item);
    queue.adopt(row);
    row.form.addEventListener("submit", (event) => {
      event.preventDefault();
      predict([row]);
    });
    row.name.addEventListener("click", () => choose(row));
    row.name.addEventListener("keydown", (event) => onNameKey(row, event));
    row.item.querySelector(".remove").addEventListener("click", () => remove(row));
    inspected = inspected.then(() => row.inspect()); // one by one: predicting needs connections, too
    return row;
  });
  if (added.length && !chosen) choose(added[0]);
  tell();
}

function predict(some) {
  trouble("");
  for (const row of some) queue.add(row);
  tell();
}

function choose(row) {
  chosen?.choose(false);
  chosen = row;
  row?.choose(true);
  row?.item.scrollIntoView({ block: "nearest" }); // it has grown
  detail.show(row);
}

async function remove(row) {
  const yes = !row.unsaved || (await ask(
    `Remove ${row.file.name}?`, "Its answer is in no saved table and goes with it.", "Remove",
  ));
  if (!yes || !rows.includes(row)) return;
  queue.remove(row);
  const at = rows.indexOf(row);
  const held = hasFocus(row.item);
  rows.splice(at, 1);
  row.item.remove();
  const next = rows[Math.min(at, rows.length - 1)] ?? null;
  if (row === chosen) choose(next);
  if (held) (next?.name ?? $("files")).focus();
  tell();
}

/** Save the table. Sent as a form, an error would come as a page in place of the list. */
async function save(format) {
  trouble("");
  const answered = rows.filter((row) => row.values);
  const values = JSON.stringify(answered.map((row) => row.values));
  try {
    const body = new URLSearchParams({ rows: values, format });
    const response = await fetch("/table", { method: "POST", body });
    if (!response.ok) return lost({ status: response.status, responseText: await response.text() });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = `bone-ages.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    for (const row of answered) row.saved = true;
  } catch {
    lost(null);
  }
  return undefined;
}

async function clear() {
  const answers = rows.filter((row) => row.values).length;
  const unsaved = rows.filter((row) => row.unsaved).length;
  const words = `Answers in the list: ${answers}. In no saved table: ${unsaved}.`;
  if (!(await ask("Clear the list?", words, "Clear list"))) return;
  queue.cancel();
  rows.splice(0).forEach((row) => row.item.remove());
  choose(null);
  tell();
  $("files").focus();
}

function onNameKey(row, event) {
  const at = rows.indexOf(row);
  if (event.key === "Delete") remove(row);
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const next = rows[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) {
      choose(next);
      next.name.focus();
    }
  } else return;
  event.preventDefault();
}

function rowChanged(row) {
  if (!rows.includes(row)) return;
  detail.update(row);
  if (row === chosen) {
    const line = row.answer.querySelector(".line");
    const words = line ? `${row.file.name}: ${line.textContent}` : `${row.words} ${row.doubt}`;
    write($("spoken"), words.trim());
  }
  tell();
}

/** Say how far the list has come. */
function tell() {
  const count = (...states) => rows.filter((row) => states.includes(row.state)).length;
  const unread = rows.some((row) => !row.read);
  const sexless = rows.filter((row) => !row.sex && !row.values).length;
  const silent = rows.filter(saysNoSex).length;
  const answered = count("ok", "refused", "failed");
  const way = rows.filter((row) => row.busy).length;
  const parts = [plural(rows.length, "radiograph")];
  if (count("ok")) parts.push(`${count("ok")} done`);
  if (count("refused")) parts.push(`${count("refused")} refused`);
  if (count("failed")) parts.push(`${count("failed")} failed`);
  if (count("cancelled")) parts.push(`${count("cancelled")} cancelled`);
  if (way) parts.push(`${way} to go`);
  if (unread) parts.push("headers are being read");
  else if (sexless) parts.push(`${sexless} without sex`);
  const words = parts.length > 1 ? `${parts[0]}: ${parts.slice(1).join(", ")}.` : `${parts[0]}.`;
  const held = ["predict-all", "cancel", "set-sex"].map($).find(hasFocus);
  write($("batch-words"), words);
  $("batch").hidden = !rows.length;
  $("batch-bar").hidden = !queue.busy || rows.length < 2;
  Object.assign($("batch-bar"), { max: answered + way || 1, value: answered });
  $("cancel").hidden = !queue.busy;
  $("predict-all").hidden = rows.length < 2 || (answered === rows.length && !queue.busy);
  $("predict-all").ariaDisabled = queue.busy;
  $("set-sex").hidden = unread || silent < 2; // a file may say it yet
  $("table").hidden = !answered;
  write($("table-words"), `Table of ${plural(answered, "answer")}:`);
  if (held?.hidden) $("batch-words").focus(); // what has the focus is gone
}

function listen() {
  $("files").addEventListener("change", () => {
    add($("files").files);
    $("files").value = "";
  });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault(); // a browser would leave the page for the file
      $("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
      if (name === "drop") add(event.dataTransfer.files);
    });
  }
  $("intake").addEventListener("submit", (event) => event.preventDefault());
  $("predict-all").addEventListener("click", () => {
    if (!queue.busy) predict(rows.filter((row) => !row.values));
  });
  $("cancel").addEventListener("click", () => queue.cancel());
  $("set-sex").addEventListener("click", (event) => {
    const { sex } = event.target.dataset;
    if (sex) rows.filter(saysNoSex).forEach((row) => { row.sex = sex; });
  });
  $("table").addEventListener("submit", (event) => {
    event.preventDefault();
    save(event.submitter?.value ?? "csv");
  });
  $("clear").addEventListener("click", clear);
  holdPage(() => rows.some((row) => row.unsaved));
  $("help-open").addEventListener("click", () => $("help").showModal());
  work.addEventListener("keydown", (event) => {
    // Only where no text can be typed, so that nobody's dictation opens it.
    const reading = event.target.closest(".stage, .name");
    if (event.key === "?" && reading) $("help").showModal();
  });
}

listen();
$("help-open").hidden = false;
document.documentElement.dataset.ready = "yes";
