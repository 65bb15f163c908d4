// What is shown, to take along: as a file for a spreadsheet, and as the line for a shell that asks for it.

import * as api from "./api.js";
import { curlOf } from "./curl.js";
import { byId, element, save, setText } from "./dom.js";

// data(): {name, path, parameters}; null while nothing is shown. `of` names it for those who don't see where it is.
export function dataOf(data, of = null) {
  const note = element("span", { class: "note", role: "status" });
  const file = element(
    "button",
    {
      type: "button",
      class: "small",
      "aria-label": of && `${of}: CSV`,
      onclick: async () => {
        if (data() === null) return;
        const { name, path, parameters } = data();
        file.disabled = true;
        setText(note, "Fetching the file …");
        try {
          save(`${name}.csv`, await api.csv(path, parameters, new AbortController().signal), "text/csv");
          setText(note, "");
        } catch (error) {
          setText(note, `The file can’t be fetched: ${error.detail ?? "the API can’t be reached"}`);
        }
        file.disabled = false;
      },
    },
    "CSV",
  );
  const line = element(
    "button",
    {
      type: "button",
      class: "small",
      "aria-label": of && `${of}: curl`,
      onclick: () => {
        if (data() === null) return;
        const { path, parameters } = data();
        openLine("The line for a shell", curlOf(api.base(), path, parameters, "text/csv"));
      },
    },
    "curl",
  );
  return element("span", { class: "menu" }, note, file, line);
}

export function openLine(title, text) {
  setText(byId("line-title"), title);
  setText(byId("line-text"), text);
  setText(byId("line-copy"), "Copy");
  byId("line").showModal();
}

// What a menu says of a file is no longer of interest in another view.
export function clearNotes() {
  for (const note of document.querySelectorAll(".menu .note")) setText(note, "");
}

export function startData() {
  byId("line-close").addEventListener("click", () => byId("line").close());
  byId("line-copy").addEventListener("click", async () => {
    const text = byId("line-text");
    try {
      await navigator.clipboard.writeText(text.textContent);
      setText(byId("line-copy"), "Copied");
    } catch {
      // Not over plain HTTP: what is selected can be copied by hand.
      getSelection().selectAllChildren(text);
    }
  });
}
