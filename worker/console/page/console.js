// Entry point of the page: asks for the token, polls the worker each second, draws the plots.

import { call, forgetToken, hasToken, keepToken, takeToken, RequestError } from "./api.js";
import { byId } from "./dom.js";
import { drawAll } from "./plots.js";
import { adaptForm } from "./question.js";

const PERIOD_MS = 1000;
const SHOWN_MS = 180_000;

let samples = [];
let worker = null;

function setStatus(state, text) {
  // Set only on a change: a screen reader announces every assignment.
  if (byId("status-text").textContent === text) return;
  byId("status").dataset.state = state;
  byId("plots").classList.toggle("stale", state === "lost");
  byId("status-text").textContent = text;
}

function lock(reason) {
  byId("open").hidden = true;
  byId("locked").hidden = false;
  if (reason) byId("locked-reason").textContent = reason;
  setStatus("locked", "Locked");
  byId("token").focus();
}

function describe(worker) {
  const { version, model, precision, provider, group, delivery } = worker;
  byId("about").textContent =
    `${version} · ${model}, ${precision} on ${provider} · group ${group}, ${delivery.replaceAll("_", " ")}`;
}

async function poll() {
  const after = samples.at(-1)?.at ?? 0;
  const state = await call(`samples?after=${after}`, 5);
  samples.push(...state.samples);
  const now = samples.at(-1)?.at ?? 0;
  samples = samples.filter((sample) => sample.at > now - SHOWN_MS);
  if (state.worker && JSON.stringify(state.worker) !== JSON.stringify(worker)) {
    worker = state.worker;
    describe(worker);
    adaptForm(worker);
  }
  byId("open").hidden = false;
  byId("locked").hidden = true;
  if (state.ready) setStatus("ready", "Ready");
  else if (state.worker) setStatus("waiting", "Not ready: joining the group, or draining");
  else setStatus("waiting", "Loading the model");
  drawAll(samples);
}

const visible = () =>
  new Promise((resolve) => {
    if (!document.hidden) resolve();
    else document.addEventListener("visibilitychange", resolve, { once: true });
  });

/** Polls while the tab is visible, until the worker refuses the token. */
async function pollRepeatedly() {
  for (;;) {
    await visible();
    try {
      await poll();
    } catch (error) {
      if (error instanceof RequestError && error.status === 401) {
        forgetToken();
        lock("Wrong token. Enter the value of the worker’s QA_CONSOLE_TOKEN.");
        return;
      }
      setStatus("lost", error instanceof RequestError ? error.message : "Connection lost, trying again");
    }
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
  }
}

byId("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(byId("token").value.trim());
  byId("token").value = "";
  pollRepeatedly();
});

takeToken();
if (hasToken()) pollRepeatedly();
else lock();
