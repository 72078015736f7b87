// The form's texts: one context, or several passages. The first box stands in the page.

import { byId, el } from "./dom.js";

const boxes = () => [...byId("passages").querySelectorAll("textarea")];

/** The texts with their numbers in the form, from 1; boxes without text are left out, except a single one. */
export function texts() {
  const all = boxes().map((box, index) => ({ id: String(index + 1), text: box.value }));
  const filled = all.filter(({ text }) => text.trim());
  return filled.length ? filled : all.slice(0, 1);
}

/** Shows one box, with this text. */
export function reset(text) {
  for (const field of byId("passages").querySelectorAll(".added")) field.remove();
  byId("context").value = text;
}

function addPassage() {
  const box = el("textarea", { rows: 3 });
  const label = el("label");
  const remove = el("button", { type: "button", className: "quiet", textContent: "Remove" });
  const field = el("div", { className: "field added" }, el("div", { className: "heading" }, label, remove), box);
  remove.addEventListener("click", () => {
    field.remove();
    number();
    byId("add-passage").focus();
  });
  byId("passages").append(field);
  number();
  box.focus();
}

/** Numbers the added boxes anew. */
function number() {
  for (const [index, field] of byId("passages").querySelectorAll(".added").entries()) {
    const box = field.querySelector("textarea");
    box.id = `passage-${index + 2}`;
    field.querySelector("label").htmlFor = box.id;
    field.querySelector("label").textContent = `Passage ${index + 2}`;
    field.querySelector("button").ariaLabel = `Remove passage ${index + 2}`;
  }
}

byId("add-passage").addEventListener("click", addPassage);
