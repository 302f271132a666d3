// What the server tells of versions, read with this tab's admin key.

import { $, call } from "/server.js";

export const KEY = "plaudit.admin-key";
const PAGE = 100; // the most that the API gives at once
const VERSIONS = 20;
const TRIALS = 10;

/// What the server told last: the log from its beginning, the rest as far as it is shown.
export const known = { swaps: [], trials: [], versions: [], more: false, log: [] };

/// States of a trial that goes on.
export const ON = { shadow: "serves nobody first", canary: "serves its share", paused: "waits for somebody to decide; the champion serves everybody" };
export const trial = () => known.trials.find(({ state }) => state in ON);

const championships = (kind) => known.log.filter((entry) => entry.kind === kind && ["promote", "rollback"].includes(entry.action));
/// What the log of promotions makes champion of a kind.
export const champion = (kind) => championships(kind).at(-1)?.version ?? null;
/// Every champion before the present one, the last one first.
export function before(kind) {
  const named = championships(kind).map((entry) => entry.version).reverse();
  return [...new Set(named)].filter((version) => version && version !== champion(kind));
}

const DID = {
  promote: ({ version, previous }) => `${version} made champion${previous ? `, after ${previous}` : ""}`,
  rollback: ({ version, previous }) => `gone back${previous ? ` from ${previous}` : ""} to ${version}`,
  candidate: ({ version }) => `${version} made candidate`,
  withdraw: ({ previous }) => `${previous ?? "the candidate"} taken back`,
  pause: () => "nothing is to be promoted for now",
};

/// An entry of the log in a line.
export const inWords = (entry) => `${entry.kind}: ${(DID[entry.action] ?? (() => entry.action))(entry)}`;

// ---- asking

/// The key is no administrator's, or none any more. The page hears of it as the event `unwelcome`.
export class Unwelcome extends Error {}

export async function ask(path, options = {}) {
  try {
    return await (await call(path, { ...options, key: sessionStorage.getItem(KEY) })).json();
  } catch (problem) {
    // Whoever changes something may also be refused because a signature is missing: that is no fault of the key.
    if (problem.status !== 401 && (problem.code !== "forbidden" || options.body)) throw problem;
    document.dispatchEvent(new CustomEvent("unwelcome", { detail: problem.sentence }));
    throw new Unwelcome(problem.message);
  }
}

let versionsShown = VERSIONS;
export function showOlder() { versionsShown += PAGE; }

let reading = Promise.resolve();

/// Reads everything anew, the log from where it was read to. One after the other: the log is not to be read twice.
export function load() {
  reading = reading.catch(() => {}).then(read);
  return reading;
}

async function read() {
  const [swaps, trials, versions] = [await ask("/v1/admin/swaps"), await ask(`/v1/admin/trials?limit=${TRIALS}`), await readVersions()];
  for (let more = true; more;) {
    const page = await ask(`/v1/admin/promotions?limit=${PAGE}&after=${known.log.at(-1)?.sequence ?? 0}`);
    known.log.push(...page.data);
    more = page.has_more;
  }
  Object.assign(known, { swaps: swaps.data, trials: trials.data, ...versions });
}

async function readVersions() {
  const [kind, found] = [$("kind").value, []];
  for (;;) {
    const limit = Math.min(PAGE, versionsShown - found.length);
    const asked = new URLSearchParams({ limit, ...(kind && { kind }), ...(found.length && { before: found.at(-1).version }) });
    const page = await ask(`/v1/admin/versions?${asked}`);
    found.push(...page.data);
    if (!page.has_more || found.length >= versionsShown) return { versions: found, more: page.has_more };
  }
}
