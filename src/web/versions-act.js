// What an operator does on the page of versions: each with a reason, and for the champion that they know.

import { $, announce, element } from "/server.js";
import { Unwelcome, ask, before, champion, inWords, known, load } from "/versions-read.js";
import { focusVersion, show } from "/versions-show.js";

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
    what: () => "The server verifies and loads it. Then it draws for nobody first, then for its share, until it is promoted, rolled back or paused.",
    fields: () => ["share", "shadow"],
    path: ({ version }) => `/v1/admin/versions/generator/${version}/trial`,
    body: () => ({ share: Number((Number($("share").value) / 100).toFixed(SHARE_DIGITS)), shadow: Number($("shadow").value) }),
    done: ({ version }) => `${version} is on trial.`,
  },
  end: {
    title: ({ version }) => `End the trial of ${version}`,
    what: () => "The champion draws everything again.",
    fields: () => [],
    path: () => "/v1/admin/trials/end",
    body: () => ({}),
    done: ({ version }) => `The trial of ${version} is ended.`,
  },
};

let doing = null; // what, of which version, the champion that is expected, whether the server is at it

/// Asks for a reason, and for a yes to what is named.
function act({ act: what, kind, version }) {
  const of = { kind, version };
  doing = { what, of, kind, expected: null, busy: false };
  form.reset();
  $("share").value = SHARE_PERCENT;
  $("shadow").value = SHADOW;
  for (const name of ["to", "share", "shadow", "drain"]) $(`${name}-field`).hidden = !ACTS[what].fields(of).includes(name);
  for (const name of ["share", "shadow"]) $(name).disabled = $(`${name}-field`).hidden;
  $("act-problem").hidden = true;
  describe();
  $("act").showModal();
  $("reason").focus();
}

/// Names the version, and the champion as it is now known.
function describe() {
  const { what, of, kind } = doing;
  doing.expected = champion(kind);
  $("act-title").textContent = ACTS[what].title(of);
  $("act-what").textContent = ACTS[what].what(of);
  $("act-go").textContent = ACTS[what].title(of);
  const row = (name, value) => [element("dt", { textContent: name }), element("dd", { textContent: value })];
  $("act-facts").replaceChildren(...row("Kind", kind), ...row("Version", of.version), ...row("Expected champion", doing.expected ?? "none"));
  const option = (value, textContent) => element("option", { value, textContent });
  $("to").replaceChildren(option("", "the champion before"), ...before(kind).map((version) => option(version, version)));
}

async function submit(event) {
  event.preventDefault();
  const { what, of, expected, busy } = doing;
  if (busy) return;
  const reason = $("reason").value.trim();
  if (!reason) return refuse("A reason is needed.", $("reason"));
  // A trial is ended as it is, whoever is champion.
  const body = { ...ACTS[what].body(of), ...(what === "end" ? {} : { expected }), reason };
  const seen = known.log.length;
  wait(true);
  try {
    const answer = await ask(ACTS[what].path(of), { method: "POST", body });
    await load();
    show();
    $("act").close();
    announce(ACTS[what].done(of, answer));
    focusVersion(answer.version);
  } catch (problem) {
    if (problem instanceof Unwelcome) $("act").close();
    else await explain(problem, seen);
  } finally {
    wait(false);
  }
}

function wait(busy) {
  doing.busy = busy;
  $("act-go").disabled = busy;
  form.setAttribute("aria-busy", String(busy));
  if (busy) $("act-problem").hidden = true;
  $("act-go").textContent = busy ? "The server is at it …" : ACTS[doing.what].title(doing.of);
}

/// The server's own words; after a conflict also what changed since. Whatever came in between, the page knows it now.
async function explain(problem, seen) {
  const lines = [problem.sentence ?? String(problem)];
  const read = await load().then(() => true, () => false);
  if (problem.status === 0) lines.push("Whether it was done is not known: look at the log before you try again.");
  if (read) {
    const news = known.log.slice(seen).filter((entry) => entry.kind === doing.kind);
    for (const entry of news) lines.push(`Entry ${entry.sequence}, ${inWords(entry)}, by ${entry.actor}: ${entry.reason}`);
    if (champion(doing.kind) !== doing.expected) {
      lines.push(`The expected champion was ${doing.expected ?? "none"} and is ${champion(doing.kind) ?? "none"} now. Ask again if that is what you want.`);
    }
    show();
    describe();
  }
  refuse(lines.join("\n"), $("act-problem"));
}

function refuse(text, focus) {
  $("act-problem").textContent = text;
  $("act-problem").hidden = false;
  $("act-problem").tabIndex = -1;
  if ($("act").open) focus.focus();
  else announce(text);
}

/// The browser gives the focus back to the button, unless the button was renewed meanwhile.
function comeBack() {
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
