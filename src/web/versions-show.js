// What the page of versions shows of what the server tells.

import { $, announce, element } from "/server.js";
import { ON, before, champion, inWords, known, trial } from "/versions-read.js";

const LOG_PAGE = 20;
const SAID_MS = 20_000; // what was done also stands in the log
const DIGITS = 3;
const NUMBER = /^[−\d][\d.]*( %)?$/;

let logShown = LOG_PAGE;

export function show() {
  const going = trial();
  fill("swaps", known.swaps, () => known.swaps.map(swap));
  fill("trial", going ?? null, () => (going ? [current(going)] : [element("p", { className: "faint", textContent: "None goes on." })]));
  const past = known.trials.filter((trial) => trial !== going);
  fill("trials", past, () => past.map((trial) => element("li", {}, ...told(trial))));
  $("past-trials").hidden = past.length === 0;
  fill("versions", [known.versions, known.log.length, going?.version], () => known.versions.map(version));
  $("older-versions").hidden = !known.more;
  showLog();
}

function showLog() {
  const entries = known.log.slice(-logShown).reverse();
  fill("log", entries, () => entries.map(entry));
  $("older-log").hidden = known.log.length <= logShown;
}

export function showOlderLog() {
  logShown += LOG_PAGE;
  showLog();
}

// ---- sections that are renewed

const facts = new Map(); // section → what it shows, as text

/// Renews a section where there is something new; the focus and what is open stay.
function fill(id, what, make) {
  const [text, root] = [JSON.stringify(what), $(id)];
  if (facts.get(id) === text) return;
  facts.set(id, text);
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key ?? "" : null;
  const open = new Set([...root.querySelectorAll("details[open]")].map((details) => details.dataset.key));
  root.replaceChildren(...make());
  for (const details of root.querySelectorAll("details")) details.open = open.has(details.dataset.key);
  if (focused !== null) (root.querySelector(`[data-key="${CSS.escape(focused)}"]`) ?? heading(root)).focus();
}

function heading(root) {
  const found = root.closest("section").querySelector("h2");
  found.tabIndex = -1;
  return found;
}

/// Where the focus goes once something was done to a version.
export function focusVersion(name) {
  const found = document.querySelector(`h3[data-key="${CSS.escape(name)}"]`) ?? heading($("versions"));
  found.tabIndex = -1;
  found.focus();
}

// ---- words and figures

let saying = 0;

/// Says what came of something, for a while.
export function say(text) {
  announce(text);
  clearTimeout(saying);
  saying = setTimeout(() => announce(""), SAID_MS);
}

const keyed = (made, key) => { made.dataset.key = key; return made; };
const badge = (text, look = "") => element("span", { className: `badge ${look}`, textContent: text });
const line = (...parts) => element("p", {}, ...parts);
const faint = (...parts) => element("p", { className: "faint" }, ...parts);

function time(seconds) {
  const date = new Date(seconds * 1000);
  return element("time", { dateTime: date.toISOString(), textContent: date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) });
}

function figure(value) {
  if (typeof value !== "number") return "–";
  return String(Number(value.toPrecision(DIGITS))).replace("-", "−");
}

function definitions(rows) {
  const pairs = rows.filter(([, value]) => value !== null && value !== undefined);
  return element("dl", {}, ...pairs.flatMap(([name, value]) => [element("dt", { textContent: name }), element("dd", {}, value)]));
}

/// Wider than a phone: it is scrolled, by keyboard too.
function table(label, columns, rows) {
  const cell = (tag, value, scope = {}) => element(tag, { textContent: value, className: NUMBER.test(value) ? "number" : "", ...scope });
  const row = ([first, ...rest]) => element("tr", {}, cell("th", first, { scope: "row" }), ...rest.map((value) => cell("td", value)));
  const head = element("tr", {}, ...columns.map((name) => cell("th", name, { scope: "col" })));
  const body = rows.map(row);
  return scrolled("div", "wide", label, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

function scrolled(tag, className, label, ...children) {
  const made = element(tag, { className, tabIndex: 0 }, ...children);
  made.setAttribute("role", "region");
  made.setAttribute("aria-label", label);
  return made;
}

function json(title, value) {
  if (value === null || value === undefined) return [];
  return [element("h4", { textContent: title }), scrolled("pre", "", title, JSON.stringify(value, null, 2))];
}

function details(key, title, ...children) {
  const summary = keyed(element("summary", { textContent: title }), `summary ${key}`);
  return keyed(element("details", {}, summary, ...children), key);
}

/// A button that versions-act.js listens to.
function action(words, what, { kind, version }) {
  const made = keyed(element("button", { type: "button", textContent: `${words}…` }), `${what} ${version}`);
  Object.assign(made.dataset, { act: what, kind, version });
  made.setAttribute("aria-label", `${words} ${version}`);
  return made;
}

// ---- what serves

function swap({ kind, state, version, other, reason }) {
  const serves = version ?? "nothing";
  const says = {
    serving: [badge("serving"), line(`${serves} serves.`)],
    preparing: [badge("preparing"), line(`${serves} serves; ${other} is verified and loaded.`)],
    refused: [badge("refused", "bad"), line(`${other} is champion and was refused; ${serves} serves on.`), element("p", { className: "problem", textContent: reason })],
  }[state];
  const item = element("li", {}, element("h3", { textContent: kind }), ...says);
  item.dataset.swap = kind;
  return item;
}

// ---- trials

function current(trial) {
  const end = element("div", { className: "buttons" }, action("End trial", "end", trial));
  return element("div", {}, ...told(trial), end);
}

function told(trial) {
  const { sequence, kind, version, champion, share, shadow, state, actor, reason, started, changed, evidence } = trial;
  const on = ON[state] ? `: ${ON[state]}` : "";
  return [
    element("h3", { textContent: `${version} beside ${champion}` }),
    line(badge(kind), badge(state.replace("_", " "), state === "rolled_back" ? "bad" : ""), `${figure(share * 100)} % of those who ask, ${shadow} requests for nobody first${on}`),
    line(reason),
    faint(`Trial ${sequence} by ${actor}, begun `, time(started), ", as it is since ", time(changed)),
    ...thumbs(evidence?.thumbs_up, trial),
    ...picks(evidence?.shadow),
    ...seen(evidence?.seen ?? evidence),
  ];
}

/// Thumbs of both, and how far the log evidence is from being enough.
function thumbs(found, { version, champion, state }) {
  if (!found && !(state in ON)) return [];
  if (!found) return [faint("Thumbs count once the candidate serves its share.")];
  // Trials of older servers do not say of how many requests.
  const row = (role, name, [up, all], side) => [`${role} ${name}`, String(up), String(all - up), all ? `${figure((100 * up) / all)} %` : "–", String(found.requests?.[side] ?? "–")];
  const rows = [row("champion", champion, found.champion, 0), row("candidate", version, found.candidate, 1)];
  const evidence = (value) => `${figure(value)}, enough from ${figure(found.sure_from)}`;
  return [
    table("Thumbs", ["version", "up", "down", "share up", "requests"], rows),
    definitions([["Log evidence that it is liked less", evidence(found.log_evidence_of_less)], ["Log evidence that it is liked as much", evidence(found.log_evidence_of_not_less)]]),
  ];
}

/// What a reward would have picked of what was drawn for others.
function picks(found) {
  if (!found?.picks) return [];
  const mean = found.mean_difference === null ? [] : [["Its rewards, less the champion's, on average", figure(found.mean_difference)]];
  return [definitions([["Same picture liked best", `${found.same_picks} of ${found.picks} requests`], ...mean])];
}

/// What machines saw.
function seen(found) {
  if (!found?.failed) return [];
  const of = ([had, all]) => `${had} of ${all}`;
  const rows = ["failed", "black", "flagged"].filter((what) => found[what]).map((what) => [what, of(found[what].champion), of(found[what].candidate), figure(found[what].log_evidence_of_more)]);
  const slow = found.slowdown_at_least === null ? [] : [faint(`It takes at least ${figure(found.slowdown_at_least)} times as long.`)];
  return [table("What machines saw", ["what", "champion", "candidate", "log evidence of more"], rows), ...slow];
}

// ---- versions

function version(of) {
  const { kind, version: name, state, bytes, signed_by: signer, created, lineage } = of;
  const role = name === champion(kind) ? "champion" : of.alias;
  const gate = verdict(lineage.evidence);
  const item = element("li", {},
    keyed(element("h3", { textContent: name }), name),
    line(badge(kind), ...(role === "champion" ? [badge("champion", "strong")] : role ? [badge(role)] : []),
      badge(state, state === "retired" ? "bad" : ""), ...(gate ? [gateBadge(gate)] : [])),
    faint(`${(bytes / 1e6).toFixed(1)} MB, published `, time(created), ` by ${lineage.published_by}, ${lineage.parent ? `from ${lineage.parent}` : "without a parent"}, ${signer ? `signed by ${signer.slice(0, 12)}…` : "not signed"}`),
    buttons(of),
    details(`details ${name}`, "Details", ...detail(of, gate)));
  item.dataset.version = name;
  return item;
}

function buttons(of) {
  const made = element("div", { className: "buttons" });
  if (of.version === champion(of.kind)) {
    if (before(of.kind).length) made.append(action("Roll back", "rollback", of));
  } else if (of.state === "ready") {
    made.append(action("Promote", "promote", of));
    if (!trial()) made.append(action("Try", "try", of));
  }
  return made;
}

function detail({ manifest, signed_by: signer, retired, lineage }, gate) {
  const { parent, events, events_digest: digest, training, evidence } = lineage;
  const range = events && (Array.isArray(events) ? events : [events.first, events.last]).join(" to ");
  return [
    definitions([["Manifest", manifest], ["Signed by", signer ?? "nobody"], ["Parent", parent ?? "none"], ["Events", range], ["Events' SHA-256", digest], ["Files removed", retired && time(retired)]]),
    ...(gate ? measures(gate) : []),
    ...json("Training", training),
    ...json("Evidence", evidence),
  ];
}

/// The gate's, where the evidence is `gate.json` or has it in a field.
export function verdict(evidence) {
  const places = evidence && typeof evidence === "object" ? [evidence, ...Object.values(evidence)] : [];
  return places.find((place) => typeof place?.verdict === "string" && Array.isArray(place.measures));
}

const gateBadge = (gate) => badge(`gate: ${gate.verdict}`, { pass: "strong", fail: "bad" }[gate.verdict] ?? "");

function measures(gate) {
  const bound = ({ low = null, high = null } = {}) => {
    if (low !== null && high !== null) return `${figure(low)} to ${figure(high)}`;
    return low !== null ? `≥ ${figure(low)}` : high !== null ? `≤ ${figure(high)}` : "–";
  };
  const found = (value) => (value ? `${figure(value.value)} (${figure(value.low)} to ${figure(value.high)})` : "–");
  const rows = gate.measures.map((measure) => [measure.name, measure.on, figure(measure.champion), figure(measure.candidate),
    `${measure.compared} ${found(measure.found)}`, bound(measure.bound), measure.verdict]);
  const left = (gate.left_out ?? []).map(({ name, reason }) => `${name} (${reason})`).join(", ");
  return [
    element("h4", { textContent: "Gate" }),
    line(gateBadge(gate), `${gate.candidate ?? "the candidate"} against ${gate.champion ?? "the champion"}`),
    table("Measures of the gate", ["measure", "on", "champion", "candidate", "compared", "bound", "verdict"], rows),
    ...(left ? [faint(`Left out: ${left}`)] : []),
  ];
}

// ---- the log

function entry(of) {
  return element("li", {}, line(badge(of.action), inWords(of)), line(of.reason), faint(`Entry ${of.sequence} by ${of.actor}, `, time(of.created)));
}
