// The form: a question through the topics, and what came back, marked where it stands.

import { call, Refused } from "./api.js";
import { byId, el, plural } from "./dom.js";
import { drawJourney, hideJourney } from "./journey.js";
import { spanUnits } from "./offsets.js";

/** A little more than the worker waits, so that it is the one that says so. */
const ANSWER_SECONDS = 45;
const SHOWN_NUMBERS = 8;

const EXAMPLE = {
  question: "Who led the inspection of the bridge?",
  context:
    "The footbridge over the Aller was closed in March after divers found cracks in two of its five piers. " +
    "Engineer Anna Lindqvist, who led the inspection, recommended steel collars instead of new piers. " +
    "The town council agreed to spend 1.4 million euros, and the bridge reopened on 9 October, " +
    "three weeks before the first frost.",
};

let worker = null;

/** The form that the worker's model has use for. */
export function offer(opened) {
  worker = opened;
  const texts = worker.reads === "text";
  for (const part of document.querySelectorAll(".for-questions")) part.hidden = texts;
  byId("ask-title").textContent = texts ? "Embed through the topics" : "Ask through the topics";
  byId("context-label").textContent = texts ? "Text" : "Context that holds the answer";
}

function event() {
  const random = crypto.getRandomValues(new Uint32Array(2));
  const id = `console-${[...random].map((number) => number.toString(36)).join("")}`;
  if (worker?.reads === "text") return { id, text: byId("context").value };
  const options = { top_k: Number(byId("top-k").value), no_answer: byId("no-answer").checked };
  return { id, question: byId("question").value, context: byId("context").value, options };
}

/** `announced` is what a screen reader says at once: not the whole context. */
function show(announced, ...children) {
  byId("announced").textContent = announced;
  byId("result").replaceChildren(...children);
}

function showText(context, span) {
  const [start, end] = spanUnits(context, span.start, span.end);
  const mark = el("mark", { textContent: context.slice(start, end) });
  const box = el("div", { className: "text", tabIndex: 0, role: "group", ariaLabel: "Context" });
  box.append(context.slice(0, start), ...(end > start ? [mark] : []), context.slice(end));
  return [box, mark];
}

function showAnswer(context, outcome) {
  const holder = el("div");
  const choose = (rank) => {
    const [box, mark] = showText(context, outcome.answers[rank]);
    holder.replaceChildren(box);
    box.scrollTop = mark.offsetTop - box.clientHeight / 2;
    for (const [place, button] of buttons.entries()) button.ariaPressed = String(place === rank);
  };
  const buttons = outcome.answers.map((span, rank) => {
    const found = span.end > span.start;
    const button = el(
      "button",
      { type: "button", onclick: () => choose(rank) },
      el("b", { textContent: span.score.toFixed(3) }),
      el("span", { textContent: found ? span.answer : "no answer" }),
      el("span", { className: "at", textContent: found ? `${span.start}–${span.end}` : "" }),
    );
    return button;
  });
  const said = outcome.answered ? outcome.answer : "No answer in this context";
  show(
    outcome.answered ? `Answer: ${said}` : said,
    el("p", { className: "said", textContent: said }),
    el("p", {
      className: "note",
      textContent: `score ${outcome.score.toFixed(3)} · ${plural(outcome.windows, "window")} read by the model ${outcome.model.name}`,
    }),
    holder,
    el("div", { className: "spans", role: "group", ariaLabel: "Answers, best first: score, words, place" }, ...buttons),
  );
  choose(0);
}

function showEmbedding(outcome) {
  const first = outcome.embedding.slice(0, SHOWN_NUMBERS).map((number) => number.toFixed(4));
  const said = plural(outcome.dims, "number");
  show(
    `Embedding of ${said}`,
    el("p", { className: "said", textContent: said }),
    el("p", {
      className: "note",
      textContent: `${plural(outcome.windows, "window")} read by the model ${outcome.model.name}`,
    }),
    el("div", { className: "text", textContent: `${first.join(", ")}${outcome.dims > SHOWN_NUMBERS ? ", …" : ""}` }),
  );
}

function showRejected(rejected) {
  const said = `Rejected: ${rejected.reason}`;
  show(
    `${said}. ${rejected.detail}`,
    el("p", { className: "said bad", textContent: said }),
    el("p", { textContent: rejected.detail }),
    el("p", { className: "note", textContent: "It is on the dead-letter topic now, unchanged, with this reason." }),
  );
}

function showFailed(error) {
  const timeout = error.name === "TimeoutError" || error.status === 504;
  const said = timeout ? "No answer yet" : "Not asked";
  const why = error instanceof Refused ? error.message : timeout ? "nothing came back in time" : "the worker does not answer";
  show(`${said}: ${why}`, el("p", { className: "said bad", textContent: said }), el("p", { textContent: why }));
}

async function ask() {
  const asked = event();
  byId("send").disabled = true;
  hideJourney();
  const pending = "Sent; waiting for what comes back";
  show(pending, el("p", { className: "pending", textContent: pending }));
  try {
    const report = await call("questions", ANSWER_SECONDS, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(asked),
    });
    if (report.rejected) showRejected(report.rejected);
    else if (report.outcome.embedding) showEmbedding(report.outcome);
    else showAnswer(asked.context, report.outcome);
    drawJourney(report, worker);
  } catch (error) {
    showFailed(error);
  } finally {
    byId("send").disabled = false;
  }
}

byId("question-form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  ask();
});
byId("context").addEventListener("keydown", (pressed) => {
  if (pressed.key === "Enter" && (pressed.ctrlKey || pressed.metaKey)) byId("question-form").requestSubmit();
});
byId("example").addEventListener("click", () => {
  byId("question").value = EXAMPLE.question;
  byId("context").value = EXAMPLE.context;
  byId("send").focus();
});
