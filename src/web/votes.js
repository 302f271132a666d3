// Thumbs on the plain page: what one thinks of a picture, kept by the server, so that a reload shows it again.

import { announce, call, element, get } from "/server.js";

const GATHER_MS = 50; // pictures that appear together are asked for together
const ASKED = 100; // pictures that the server tells of at once
const TRIES = 4;
const RETRY_MS = 400;

const votes = new Map(); // image id → "up" or "down"
const seen = new Map(); // image id → when it appeared
const asked = new Set(); // image ids whose votes are to be asked for

const groups = (id) => document.querySelectorAll(`.thumbs[data-vote="${id}"]`);

/// Two thumbs, and a way back, for a picture.
export function thumbs(id, { prompt, seed }) {
  const group = element("div", { className: "thumbs" });
  group.dataset.vote = id;
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", `Your vote on ${prompt}, seed ${seed}`);
  const thumb = (rating, sign, words) => {
    const button = element("button", { type: "button", textContent: sign, title: words, onclick: () => vote(id, rating, group) });
    button.dataset.rating = rating;
    button.setAttribute("aria-label", words);
    return button;
  };
  const undo = element("button", { type: "button", className: "undo", textContent: "Undo", onclick: () => vote(id, "clear", group) });
  undo.setAttribute("aria-label", "Take the vote back");
  const problem = element("p", { className: "vote-problem", hidden: true });
  problem.setAttribute("role", "alert");
  group.append(thumb("up", "👍", "Good"), thumb("down", "👎", "Bad"), undo, problem);
  seen.set(id, seen.get(id) ?? performance.now());
  show(id, [group]);
  gather(id);
  return group;
}

/// Shows how a picture stands.
function show(id, where = groups(id)) {
  for (const group of where) {
    for (const button of group.querySelectorAll("[data-rating]")) button.setAttribute("aria-pressed", String(votes.get(id) === button.dataset.rating));
    group.querySelector(".undo").hidden = !votes.has(id);
  }
}

function set(id, rating) {
  if (rating === "clear") votes.delete(id);
  else votes.set(id, rating);
  show(id);
}

async function vote(id, rating, group) {
  if (group.dataset.pending || votes.get(id) === rating) return;
  group.dataset.pending = "yes";
  const problem = group.querySelector(".vote-problem");
  problem.hidden = true;
  const dwell = Math.round(performance.now() - seen.get(id));
  const context = { surface: "page", position: place(group), dwell_ms: dwell, reward_visible: false };
  try {
    await send({ image_id: id, rating, context });
    if (rating === "clear") group.querySelector("[data-rating]").focus();
    set(id, rating);
    announce({ up: "Voted good", down: "Voted bad", clear: "The vote is taken back" }[rating]);
  } catch (error) {
    problem.textContent = error.words || String(error);
    problem.hidden = false;
  } finally {
    delete group.dataset.pending;
  }
}

/// Its place among the pictures that it is shown with.
function place(group) {
  const tile = group.closest(".tile");
  return tile ? Math.max([...tile.parentElement.children].indexOf(tile), 0) : 0;
}

/// One vote, however often it has to be sent.
async function send(body) {
  const key = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16)).join("-");
  for (let left = TRIES; ; left -= 1) {
    try {
      return await call("/v1/feedback", { method: "POST", body, headers: { "Idempotency-Key": key } });
    } catch (problem) {
      if (left === 1 || (problem.status > 0 && problem.status < 500)) throw problem;
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  }
}

/// Asks for the votes on pictures that have just appeared.
function gather(id) {
  if (asked.size === 0) setTimeout(load, GATHER_MS);
  asked.add(id);
}

async function load() {
  const ids = [...asked];
  asked.clear();
  for (let from = 0; from < ids.length; from += ASKED) {
    const some = ids.slice(from, from + ASKED);
    // Without them the thumbs are up to date after the next vote.
    const page = await get(`/v1/feedback?limit=${ASKED}&image_id=${some.join(",")}`).catch(() => ({ data: [] }));
    for (const { image_id: id, rating } of page.data) if (!votes.has(id)) set(id, rating);
  }
}
