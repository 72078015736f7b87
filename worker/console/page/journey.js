// A question's way through the worker: a line for each stage, below each other as they happened.

import { byId, el, plural, short } from "./dom.js";

const NAMES = {
  queue: "Queued",
  decode: "Decoded",
  preprocess: "Preprocessed",
  inference: "Run",
  postprocess: "Postprocessed",
  publish: "Published",
  commit: "Committed",
};

export function hideJourney() {
  byId("journey").hidden = true;
}

export function drawJourney(report, worker) {
  byId("journey").hidden = false;
  byId("journey-place").textContent =
    `${report.topic}, partition ${report.partition}, offset ${report.offset}; ` +
    `${short(report.milliseconds)} ms from sending to reading the ${report.rejected ? "dead letter" : "answer"} back`;
  byId("way").tBodies[0].replaceChildren(...rows(report, worker));
}

function rows(report, worker) {
  const { journey, milliseconds, seen } = report;
  if (!journey) {
    const said = seen
      ? "This worker took it, but did not come to its commit: another one took it over, or the commit is late."
      : "Another worker of the group took it; this one did not see its stages.";
    const whole = { name: "Sent to read back", since: 0, began: 0, ended: milliseconds };
    return row(whole, milliseconds, [whole], said);
  }
  const end = Math.max(milliseconds, ...journey.stages.map((stage) => stage.ended));
  return journey.stages.flatMap((stage) =>
    row(
      { ...stage, name: NAMES[stage.name] },
      end,
      stage.name === "inference" ? journey.batches : [stage],
      note(stage, journey, worker),
    ),
  );
}

function note(stage, { batches, dropped }, worker) {
  if (stage.name === "queue" && dropped) return `after ${plural(dropped, "start")} whose partition was lost`;
  if (stage.name === "inference") {
    const windows = plural(batches.reduce((sum, batch) => sum + batch.windows, 0), "window");
    if (batches.length > 1) return `${batches.length} micro-batches, ${windows} in all`;
    const [{ records, padded_tokens }] = batches;
    return `micro-batch of ${windows} from ${plural(records, "record")}, ${padded_tokens} tokens`;
  }
  if (stage.name === "publish" && worker?.delivery === "exactly_once") return "with its offset, in one transaction";
  return "";
}

function row({ name, since, began, ended }, whole, worked, said) {
  const lane = el("div");
  const bar = (from, to, className) => {
    if (to <= from) return;
    const drawn = el("i", { className });
    drawn.style.left = `${(100 * from) / whole}%`;
    drawn.style.width = `${(100 * (to - from)) / whole}%`;
    lane.append(drawn);
  };
  bar(since, began, "waited");
  for (const part of worked) bar(part.began, part.ended, "worked");
  const drawn = el(
    "tr",
    {},
    el("th", { scope: "row", textContent: name }),
    el("td", { className: "lane" }, lane),
    el("td", { className: "number", textContent: began > since ? `${short(began - since)} ms` : "" }),
    el("td", { className: "number worked", textContent: ended > began ? `${short(ended - began)} ms` : "" }),
  );
  return said ? [drawn, el("tr", { className: "note" }, el("td"), el("td", { colSpan: 3, textContent: said }))] : [drawn];
}
