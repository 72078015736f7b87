// HTTP requests to the worker, with the token of this tab.

const KEY = "qa-worker-console-token";

/** Moves the token from the page's address to this tab's storage. Browsers never send the part after the #; removing it keeps the token out of copied addresses. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return;
  keepToken(given);
  history.replaceState(null, "", location.pathname + location.search);
}

export const keepToken = (token) => sessionStorage.setItem(KEY, token);
export const forgetToken = () => sessionStorage.removeItem(KEY);
export const hasToken = () => sessionStorage.getItem(KEY) !== null;

/** The worker answered with an error. `status` is the HTTP status. */
export class RequestError extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

/** The JSON of the response. Throws `RequestError`; `TypeError` without a connection; `DOMException` on timeout. */
export async function call(path, seconds, options = {}) {
  const token = new TextEncoder().encode(sessionStorage.getItem(KEY) ?? "");
  const response = await fetch(path, {
    ...options,
    cache: "no-store",
    headers: { ...options.headers, Authorization: `Bearer ${String.fromCharCode(...token)}` },
    signal: AbortSignal.timeout(seconds * 1000),
  });
  const type = response.headers.get("Content-Type") ?? "";
  const body = type.startsWith("application/json") ? await response.json() : {};
  if (!response.ok) throw new RequestError(response.status, body.error ?? `HTTP status ${response.status}`);
  return body;
}
