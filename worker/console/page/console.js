// The page: its token, its connection, and what is drawn each second.

import { call, forgetToken, hasToken, keepToken, takeToken, Refused } from "./api.js";
import { byId } from "./dom.js";
import { drawAll } from "./plots.js";
import { offer } from "./question.js";

const PERIOD_MS = 1000;
const SHOWN_MS = 180_000;

let samples = [];
let worker = null;

function say(state, text) {
  // Said once, not each second: a screen reader reads what is set.
  if (byId("status-text").textContent === text) return;
  byId("status").dataset.state = state;
  byId("plots").classList.toggle("stale", state === "lost");
  byId("status-text").textContent = text;
}

function lock(why) {
  byId("open").hidden = true;
  byId("locked").hidden = false;
  if (why) byId("locked-why").textContent = why;
  say("locked", "Locked");
  byId("token").focus();
}

function about(worker) {
  const { version, model, precision, provider, group, delivery } = worker;
  byId("about").textContent =
    `${version} · ${model}, ${precision} on ${provider} · group ${group}, ${delivery.replaceAll("_", " ")}`;
}

async function look() {
  const after = samples.at(-1)?.at ?? 0;
  const seen = await call(`samples?after=${after}`, 5);
  samples.push(...seen.samples);
  const now = samples.at(-1)?.at ?? 0;
  samples = samples.filter((sample) => sample.at > now - SHOWN_MS);
  if (seen.worker && JSON.stringify(seen.worker) !== JSON.stringify(worker)) {
    worker = seen.worker;
    about(worker);
    offer(worker);
  }
  byId("open").hidden = false;
  byId("locked").hidden = true;
  if (seen.ready) say("ready", "Ready");
  else if (seen.worker) say("waiting", "Not in the group: joining, or draining");
  else say("waiting", "Opening the model");
  drawAll(samples);
}

const visible = () =>
  new Promise((resolve) => {
    if (!document.hidden) resolve();
    else document.addEventListener("visibilitychange", resolve, { once: true });
  });

/** Until the token is wrong: then there is nothing to ask for. */
async function watch() {
  for (;;) {
    await visible();
    try {
      await look();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        forgetToken();
        lock("That is not the worker’s token. It is what the worker was given as QA_CONSOLE_TOKEN.");
        return;
      }
      say("lost", error instanceof Refused ? error.message : "Connection lost, trying again");
    }
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
  }
}

byId("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(byId("token").value.trim());
  byId("token").value = "";
  watch();
});

takeToken();
if (hasToken()) watch();
else lock();
