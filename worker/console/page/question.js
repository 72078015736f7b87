// The form: sends a question through Kafka and shows its answer, marked in its context.

import { call, RequestError } from "./api.js";
import { byId, el, plural } from "./dom.js";
import { spanUnits } from "./offsets.js";
import { reset, texts } from "./passages.js";
import { drawTrace, hideTrace } from "./trace.js";

/** Longer than the worker's own timeout (30 s), so that the worker reports a late answer. */
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

/** Shows the fields that the worker's model needs. */
export function adaptForm(running) {
  worker = running;
  const embeds = worker.event_type === "text";
  for (const part of document.querySelectorAll(".for-questions")) part.hidden = embeds;
  byId("ask-title").textContent = embeds ? "Embed through Kafka" : "Ask through Kafka";
  byId("context-label").textContent = embeds ? "Text" : "Context that contains the answer";
}

function event() {
  const random = crypto.getRandomValues(new Uint32Array(2));
  const id = `console-${[...random].map((number) => number.toString(36)).join("")}`;
  if (worker?.event_type === "text") return { id, text: byId("context").value };
  const options = {
    top_k: Number(byId("top-k").value),
    no_answer: byId("no-answer").checked || null, // null: the worker's setting, which may depend on its model
    offsets: "code_points", // not utf16, which JavaScript counts: a worker before contracts 1.2 ignores the option
  };
  const passages = texts();
  const form = passages.length > 1 ? { contexts: passages } : { context: passages[0].text };
  return { id, question: byId("question").value, ...form, options };
}

/** `announced` is for screen readers: the result without the context. */
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

/** `question` is the event that was sent. */
function showAnswer({ context, contexts }, outcome) {
  const holder = el("div");
  const passage = (span) => (contexts && span.context_index !== null ? `passage ${span.context_id}` : "");
  const choose = (rank) => {
    const span = outcome.answers[rank];
    const text = contexts ? (contexts[span.context_index]?.text ?? "") : context;
    const [box, mark] = showText(text, span);
    holder.replaceChildren(box);
    box.scrollTop = mark.offsetTop - box.clientHeight / 2;
    for (const [index, button] of buttons.entries()) button.ariaPressed = String(index === rank);
  };
  const buttons = outcome.answers.map((span, rank) => {
    const found = span.end > span.start;
    const button = el(
      "button",
      { type: "button", onclick: () => choose(rank) },
      el("b", { textContent: span.score.toFixed(3) }),
      el("span", { textContent: found ? span.answer : "no answer" }),
      el("span", { className: "at", textContent: found ? `${passage(span)} ${span.start}–${span.end}`.trim() : "" }),
    );
    return button;
  });
  const unsure = !outcome.answered && outcome.answers[0].end > outcome.answers[0].start;
  const none = unsure ? "Not sure enough to answer" : `No answer in ${contexts ? "these passages" : "this context"}`;
  const headline = outcome.answered ? outcome.answer : none;
  const from = outcome.answered && contexts ? ` (${passage(outcome)})` : "";
  show(
    outcome.answered ? `Answer: ${headline}${from}` : headline,
    el("p", { className: "headline", textContent: headline }),
    el("p", {
      className: "note",
      textContent: `${from && `${passage(outcome)} · `}score ${outcome.score.toFixed(3)} · ${plural(outcome.windows, "window")} · model ${outcome.model.name}`,
    }),
    holder,
    el("div", { className: "spans", role: "group", ariaLabel: "Answers, best first: score, text, characters" }, ...buttons),
  );
  choose(0);
}

function showEmbedding(outcome) {
  const first = outcome.embedding.slice(0, SHOWN_NUMBERS).map((number) => number.toFixed(4));
  const headline = plural(outcome.dims, "dimension");
  show(
    `Embedding with ${headline}`,
    el("p", { className: "headline", textContent: headline }),
    el("p", {
      className: "note",
      textContent: `${plural(outcome.windows, "window")} · model ${outcome.model.name}`,
    }),
    el("div", { className: "text", textContent: `${first.join(", ")}${outcome.dims > SHOWN_NUMBERS ? ", …" : ""}` }),
  );
}

function showUnsure(rejected) {
  const headline = "Not sure enough to answer";
  show(
    `${headline}. ${rejected.detail}`,
    el("p", { className: "headline", textContent: headline }),
    el("p", { textContent: rejected.detail }),
  );
}

function showRejected(rejected) {
  const headline = `Rejected: ${rejected.reason}`;
  show(
    `${headline}. ${rejected.detail}`,
    el("p", { className: "headline bad", textContent: headline }),
    el("p", { textContent: rejected.detail }),
    el("p", {
      className: "note",
      textContent: rejected.dead_letter
        ? "The dead-letter topic now has the unchanged record with this reason."
        : "No topic has a record of it; its offset is committed.",
    }),
  );
}

function showFailed(error) {
  const timeout = error.name === "TimeoutError" || error.status === 504;
  const headline = timeout ? "No answer yet" : "Question not sent";
  const reason = error instanceof RequestError ? error.message : timeout ? "no answer in time" : "no connection to the worker";
  show(`${headline}: ${reason}`, el("p", { className: "headline bad", textContent: headline }), el("p", { textContent: reason }));
}

async function ask() {
  const question = event();
  byId("send").disabled = true;
  hideTrace();
  const pending = "Sent; waiting for the answer";
  show(pending, el("p", { className: "pending", textContent: pending }));
  try {
    const report = await call("questions", ANSWER_SECONDS, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(question),
    });
    if (report.rejected?.reason === "unsure") showUnsure(report.rejected);
    else if (report.rejected) showRejected(report.rejected);
    else if (report.outcome.embedding) showEmbedding(report.outcome);
    else showAnswer(question, report.outcome);
    drawTrace(report, worker);
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
byId("passages").addEventListener("keydown", (pressed) => {
  if (pressed.key === "Enter" && (pressed.ctrlKey || pressed.metaKey)) byId("question-form").requestSubmit();
});
byId("example").addEventListener("click", () => {
  byId("question").value = EXAMPLE.question;
  reset(EXAMPLE.context);
  byId("send").focus();
});
