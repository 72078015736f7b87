// Talking to the worker, with the token that this tab holds.

const KEY = "qa-worker-console-token";

/** From the address, which forgets it: what follows the # is never sent, and is not to be copied. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return;
  keepToken(given);
  history.replaceState(null, "", location.pathname + location.search);
}

export const keepToken = (token) => sessionStorage.setItem(KEY, token);
export const forgetToken = () => sessionStorage.removeItem(KEY);
export const hasToken = () => sessionStorage.getItem(KEY) !== null;

/** The worker refused; `status` is HTTP's. */
export class Refused extends Error {
  constructor(status, why) {
    super(why);
    this.status = status;
  }
}

/** Raises `Refused`, and `TypeError` or `DOMException` where nobody answers. */
export async function call(path, seconds, options = {}) {
  const token = new TextEncoder().encode(sessionStorage.getItem(KEY) ?? "");
  const response = await fetch(path, {
    ...options,
    cache: "no-store",
    headers: { ...options.headers, Authorization: `Bearer ${String.fromCharCode(...token)}` },
    signal: AbortSignal.timeout(seconds * 1000),
  });
  const type = response.headers.get("Content-Type") ?? "";
  const said = type.startsWith("application/json") ? await response.json() : {};
  if (!response.ok) throw new Refused(response.status, said.error ?? `the worker said ${response.status}`);
  return said;
}
