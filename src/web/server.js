// What the pages share: elements, and calls of the server.

export const $ = (id) => document.getElementById(id);
export function announce(text) { $("announcer").textContent = text; }

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/// What people who draw can do about it.
const ADVICE = {
  unreachable: "Check that it is running and that you are online, then try again.",
  invalid_api_key: "Enter it above the Draw button, then draw again.",
  size_not_supported: "Choose another size under “More settings”.",
  rate_limited: "Wait a moment, then draw again.",
  overloaded: "Many people are drawing. Try again in a little while, or with fewer pictures or steps.",
  draining: "The server is restarting. Try again in a minute.",
  not_ready: "The model is still loading. Try again in a minute.",
  deadline_exceeded: "Try again with fewer pictures or steps.",
  disk_full: "The operator has to make room before new pictures can be kept.",
  internal_error: "Try again; if it stays, tell the operator.",
};

/// What the server tells programs, told to people who draw.
const PLAIN = { invalid_api_key: "This server wants a valid API key." };

export class Problem extends Error {
  constructor(status, { code, message } = {}, retryAfter = null) {
    super(message || `The server answered ${status}.`);
    Object.assign(this, { status, code: code || "internal_error", retryAfter });
  }
  get sentence() { return this.message.charAt(0).toUpperCase() + this.message.slice(1).replace(/([^.!?])$/, "$1."); }
  get words() {
    const sentence = PLAIN[this.code] || this.sentence;
    const wait = this.retryAfter ? ` It expects room in ${this.retryAfter} s.` : "";
    return `${sentence}${wait} ${ADVICE[this.code] || ""}`.trim();
  }
}

export async function call(path, { method = "GET", body, headers = {}, signal, key = sessionStorage.getItem("plaudit.key") } = {}) {
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const options = { method, headers, signal, body: body && JSON.stringify(body) };
  const response = await fetch(path, options).catch((error) => {
    throw error.name === "AbortError" ? error : new Problem(0, { code: "unreachable", message: "The server cannot be reached" });
  });
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  const problem = new Problem(response.status, answer.error, response.headers.get("Retry-After"));
  if (response.status === 401) $("key-field")?.removeAttribute("hidden");
  throw problem;
}
export async function get(path) { return (await call(path)).json(); }
