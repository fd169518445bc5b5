// What is asked before answers go that are in no saved table, since the server keeps none.

const $ = (id) => document.getElementById(id);

/** Ask before something is done that cannot be undone; true if it shall be done. */
export function ask(question, words, yes) {
  const dialog = $("asking");
  $("asking-heading").textContent = question;
  $("asking-words").textContent = words;
  $("asking-yes").textContent = yes;
  dialog.returnValue = "no"; // what Escape leaves
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

/** Let the browser ask before the page is left while answers would be lost. */
export function holdPage(anyUnsaved) {
  window.addEventListener("beforeunload", (event) => {
    if (anyUnsaved()) event.preventDefault(); // the browser has its own words for it
  });
}
