// The trace of a question: one row for each stage, on a common time axis.

import { byId, el, plural, short } from "./dom.js";

const NAMES = {
  queue: "Queue",
  schema: "Wait for schema",
  decode: "Decode",
  preprocess: "Preprocess",
  inference: "Run model",
  cache: "Answer cache",
  postprocess: "Postprocess",
  publish: "Publish",
  commit: "Commit",
};

export function hideTrace() {
  byId("trace").hidden = true;
}

export function drawTrace(report, worker) {
  byId("trace").hidden = false;
  byId("trace-position").textContent =
    `${report.topic}, partition ${report.partition}, offset ${report.offset}; ` +
    `${short(report.milliseconds)} ms from sending the question to reading the ${report.rejected ? "dead letter" : "answer"}`;
  byId("stages").tBodies[0].replaceChildren(...rows(report, worker));
}

function rows(report, worker) {
  const { trace, milliseconds, seen } = report;
  if (!trace) {
    const reason = seen
      ? "This worker read the record but has not committed it: the partition moved to another worker, or the commit is late."
      : "Another worker of the group processed the record, so this one has no trace of it.";
    const total = { name: "Sent to answered", since: 0, began: 0, ended: milliseconds };
    return row(total, milliseconds, [total], reason);
  }
  const end = Math.max(milliseconds, ...trace.stages.map((stage) => stage.ended));
  return trace.stages.flatMap((stage) =>
    row(
      { ...stage, name: NAMES[stage.name] },
      end,
      stage.name === "inference" ? trace.batches : [stage],
      note(stage, trace, worker),
    ),
  );
}

function note(stage, { batches, dropped, cache }, worker) {
  if (stage.name === "queue" && dropped) return `processed again: its partition was lost or restarted ${plural(dropped, "time")}`;
  if (stage.name === "inference") {
    const windows = plural(batches.reduce((sum, batch) => sum + batch.windows, 0), "window");
    if (batches.length > 1) return `${batches.length} micro-batches, ${windows} in total`;
    const [{ records, padded_tokens }] = batches;
    return `micro-batch of ${windows} from ${plural(records, "record")}, ${padded_tokens} tokens`;
  }
  if (stage.name === "cache") return cache === "hit" ? "an equal question was answered before" : "waited for the answer to an equal question";
  if (stage.name === "publish" && worker?.delivery === "exactly_once") return "one transaction with the offset";
  return "";
}

/** A table row with a timeline; a second row holds the note, if there is one. `total` is the length of the time axis. */
function row({ name, since, began, ended }, total, busy, noteText) {
  const timeline = el("div");
  const bar = (from, to, className) => {
    if (to <= from) return;
    const drawn = el("i", { className });
    drawn.style.left = `${(100 * from) / total}%`;
    drawn.style.width = `${(100 * (to - from)) / total}%`;
    timeline.append(drawn);
  };
  bar(since, began, "waiting");
  for (const part of busy) bar(part.began, part.ended, "working");
  const drawn = el(
    "tr",
    {},
    el("th", { scope: "row", textContent: name }),
    el("td", { className: "timeline" }, timeline),
    el("td", { className: "number", textContent: began > since ? `${short(began - since)} ms` : "" }),
    el("td", { className: "number working", textContent: ended > began ? `${short(ended - began)} ms` : "" }),
  );
  if (!noteText) return [drawn];
  return [drawn, el("tr", { className: "note" }, el("td"), el("td", { colSpan: 3, textContent: noteText }))];
}
