// What an operator does on the page of versions: each with a reason, and for the champion that they know.

import { $, element } from "/server.js";
import { Unwelcome, ask, before, champion, inWords, known, load } from "/versions-read.js";
import { focusVersion, say, show, verdict } from "/versions-show.js";

const SHARE_PERCENT = 10; // what the API takes where nothing is said, as is the next
const SHADOW = 20;
const SHARE_DIGITS = 6;

const form = $("act-form");

/// Each: its title, what it says of itself, its fields, its request, and what it says once it is done.
const ACTS = {
  promote: {
    title: ({ version }) => `Promote ${version}`,
    what: () => "The server verifies and loads it first. Then every new request is served by it.",
    fields: ({ kind }) => (kind === "generator" ? ["drain"] : []),
    path: ({ kind, version }) => `/v1/admin/versions/${kind}/${version}/promote`,
    body: ({ kind }) => (kind === "generator" ? { drain: $("drain").checked } : {}),
    done: ({ kind }, answer) => `${answer.version} is champion ${kind} now.`,
  },
  rollback: {
    title: ({ version }) => `Roll back ${version}`,
    what: () => "An earlier champion serves every new request again.",
    fields: () => ["to"],
    path: ({ kind }) => `/v1/admin/versions/${kind}/rollback`,
    body: () => ($("to").value ? { to: $("to").value } : {}),
    done: ({ kind }, answer) => `Gone back to ${answer.version}: it is champion ${kind} now.`,
  },
  try: {
    title: ({ version }) => `Try ${version}`,
    what: () => "The server verifies and loads it. Then it serves nobody first, then its share, until it is promoted, rolled back or paused.",
    fields: () => ["share", "shadow"],
    path: ({ kind, version }) => `/v1/admin/versions/${kind}/${version}/trial`,
    body: () => ({ share: Number((Number($("share").value) / 100).toFixed(SHARE_DIGITS)), shadow: Number($("shadow").value) }),
    done: ({ version }) => `${version} is on trial.`,
  },
  end: {
    title: ({ version }) => `End the trial of ${version}`,
    what: () => "The champion serves everybody again.",
    fields: () => [],
    path: () => "/v1/admin/trials/end",
    body: () => ({}),
    done: ({ version }) => `The trial of ${version} is ended.`,
  },
};

let doing = null; // what, of which version, the champion that is expected, how much of the log was seen, whether the server is at it

/// Asks for a reason, and for a yes to what is named.
function act({ act: what, kind, version }) {
  const of = { kind, version };
  doing = { what, of, kind, expected: null, seen: 0, busy: false };
  form.reset();
  $("share").value = SHARE_PERCENT;
  $("shadow").value = SHADOW;
  for (const name of ["to", "share", "shadow", "drain"]) $(`${name}-field`).hidden = !ACTS[what].fields(of).includes(name);
  for (const name of ["share", "shadow"]) $(name).disabled = $(`${name}-field`).hidden;
  $("act-problem").hidden = true;
  wait(doing, false);
  describe();
  $("act").showModal();
  $("reason").focus();
}

/// Names the version, and the champion as it is now known.
function describe() {
  const { what, of, kind } = doing;
  Object.assign(doing, { expected: champion(kind), seen: known.log.length });
  $("act-title").textContent = ACTS[what].title(of);
  $("act-what").textContent = ACTS[what].what(of);
  $("act-go").textContent = ACTS[what].title(of);
  const row = (name, value) => [element("dt", { textContent: name }), element("dd", { textContent: value })];
  const gate = verdict(known.versions.find(({ version }) => version === of.version)?.lineage.evidence);
  const found = gate && ["promote", "try"].includes(what) ? row("Gate", `${gate.verdict}, against ${gate.champion}`) : [];
  $("act-facts").replaceChildren(...row("Kind", kind), ...row("Version", of.version), ...row("Expected champion", doing.expected ?? "none"), ...found);
  $("act-go").hidden = isDone();
  const option = (value, textContent) => element("option", { value, textContent });
  $("to").replaceChildren(option("", "the champion before"), ...before(kind).map((version) => option(version, version)));
}

/// Nobody promotes or tries what is champion.
const isDone = () => ["promote", "try"].includes(doing.what) && doing.of.version === doing.expected;

async function submit(event) {
  event.preventDefault();
  const mine = doing;
  const { what, of, expected } = mine;
  if (mine.busy || isDone()) return;
  const reason = $("reason").value.trim();
  if (!reason) return refuse("A reason is needed.", $("reason"));
  // A trial is ended as it is, whoever is champion.
  const body = { ...ACTS[what].body(of), ...(what === "end" ? {} : { expected }), reason };
  wait(mine, true);
  try {
    const answer = await ask(ACTS[what].path(of), { method: "POST", body });
    // Where the reading fails, the next one says so: it was done all the same.
    await load().then(show, () => {});
    if (isAsking(mine)) {
      $("act").close();
      focusVersion(answer.version);
    }
    say(ACTS[what].done(of, answer));
  } catch (problem) {
    if (!(problem instanceof Unwelcome)) await explain(mine, problem);
  } finally {
    wait(mine, false);
  }
}

/// Whether the dialog still asks this: it may have been closed while the server was at it.
const isAsking = (mine) => doing === mine && $("act").open;

function wait(mine, busy) {
  mine.busy = busy;
  if (doing !== mine) return;
  $("act-go").disabled = busy;
  form.setAttribute("aria-busy", String(busy));
  if (busy) $("act-problem").hidden = true;
  $("act-go").textContent = busy ? "The server is at it …" : ACTS[mine.what].title(mine.of);
}

/// The server's own words; after a conflict also what changed since. Whatever came in between, the page knows it now.
async function explain(mine, problem) {
  const lines = [problem.sentence ?? String(problem)];
  const { kind, expected, seen } = mine;
  if (problem.status === 0) lines.push("Whether it was done is not known: look at the log before you try again.");
  await load().then(show, () => {});
  for (const entry of known.log.slice(seen).filter((entry) => entry.kind === kind)) {
    lines.push(`Entry ${entry.sequence}, ${inWords(entry)}, by ${entry.actor}: ${entry.reason}`);
  }
  if (!isAsking(mine)) return say(lines.join(" "));
  describe();
  if (mine.expected !== expected) {
    const next = isDone() ? "There is nothing left to do." : "Ask again if that is what you want.";
    lines.push(`The expected champion was ${expected ?? "none"} and is ${mine.expected ?? "none"} now. ${next}`);
  }
  refuse(lines.join("\n"), $("act-problem"));
}

function refuse(text, focus) {
  $("act-problem").textContent = text;
  $("act-problem").hidden = false;
  focus.focus();
}

/// The browser gives the focus back to the button, unless the button was renewed meanwhile.
function comeBack() {
  if (doing.busy) say("The server is at it; what comes of it will stand here.");
  if (document.activeElement !== document.body) return;
  document.querySelector(`[data-key="${CSS.escape(`${doing.what} ${doing.of.version}`)}"]`)?.focus();
}

export function listen() {
  $("signed-in").addEventListener("click", ({ target }) => {
    const button = target.closest("[data-act]");
    if (button) act(button.dataset);
  });
  form.addEventListener("submit", submit);
  $("act-cancel").addEventListener("click", () => $("act").close());
  $("act").addEventListener("close", comeBack);
}
