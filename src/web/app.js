// The plain page: sends prompts as jobs, follows their events, shows their pictures. It goes on after a reload.

import { $, Problem, announce, call, element, get } from "/server.js";
import { thumbs } from "/votes.js";

const PREVIEWS = 3;
const GALLERY_PAGE = 24;
const SMALL_SIDE = 256; // pictures below it are enlarged pixel by pixel
const STREAMS = 4; // a browser opens six connections to a server; two stay free for everything else
const POLL_MS = 2000;
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 8000;
const REPLAY_MS = 300; // events that come sooner after connecting are history and tell nothing of the speed
const REMEMBERED = 50;

const form = $("form");
const cards = new Map(); // job id → Card
const pictures = new Map(); // image id → {prompt, seed, request}
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// ---- what is kept in the browser

function read(key, otherwise) {
  try { return JSON.parse(localStorage.getItem(key)) ?? otherwise; } catch { return otherwise; }
}
function write(key, value) {
  try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* private windows may refuse: nothing is lost but comfort */ }
}
const remembered = () => read("plaudit.jobs", []);
function remember(id, request) {
  write("plaudit.jobs", [{ id, request }, ...remembered().filter((job) => job.id !== id)].slice(0, REMEMBERED));
}
function forget(id) { write("plaudit.jobs", remembered().filter((job) => job.id !== id)); }

// ---- events of jobs

/// The events of a job after number `last`, as they come.
async function* events(job, last) {
  const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": String(last) }) };
  const response = await call(`/v1/jobs/${job}/events`, { headers });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    yield* blocks.map(parseEvent).filter((event) => event.data !== undefined);
  }
}

function parseEvent(block) {
  const event = { name: "message", id: 0, data: undefined };
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([a-z]+): ?(.*)$/s.exec(line) || [];
    if (field === "event") event.name = value;
    if (field === "id") event.id = Number(value);
    if (field === "data") data.push(value);
  }
  if (data.length) event.data = JSON.parse(data.join("\n"));
  return event;
}

// ---- a job on the page

function duration(seconds) {
  if (!(seconds >= 1)) return "a moment";
  return seconds < 90 ? `about ${Math.ceil(seconds)} s` : `about ${Math.ceil(seconds / 60)} min`;
}

class Card {
  constructor(id, request) {
    Object.assign(this, { id, request, ended: false, tiles: [], share: 0 });
    this.status = element("p", { className: "faint", textContent: "Sent." });
    this.bar = element("progress", { max: 1, value: 0 });
    this.bar.setAttribute("aria-label", `Progress of ${request.prompt}`);
    this.list = element("ul", { className: "tiles" });
    this.cancel = element("button", { type: "button", textContent: "Cancel", onclick: () => this.callOff() });
    this.cancel.setAttribute("aria-label", `Cancel ${request.prompt}`);
    const head = element("div", {}, element("h3", { textContent: request.prompt }), this.status);
    this.root = element("article", { className: "job" },
      element("div", { className: "job-head" }, head, this.cancel), this.bar, this.list);
    this.root.dataset.job = id;
    for (let i = 0; i < (request.n || 1); i++) this.tile(i);
    $("jobs").prepend(this.root);
    $("now-section").hidden = false;
    $("recent-section").hidden = $("gallery").childElementCount === 0;
    cards.set(id, this);
    remember(id, request);
  }

  tile(index) {
    while (this.tiles.length <= index) {
      const tile = element("li", { className: "tile" }, element("div", { className: "frame waiting" }));
      this.tiles.push(tile);
      this.list.append(tile);
    }
    return this.tiles[index];
  }

  say(text) { this.status.textContent = text; }

  /// What each event of the job's stream does to the page.
  on = {
    queued: ({ queue_position: position, estimated_seconds: seconds }) => {
      const ahead = !position ? "Next in line" : `${position} ${position === 1 ? "request" : "requests"} ahead`;
      this.say(`${ahead}, done in ${duration(seconds)}.`);
    },
    started: () => this.say("Drawing …"),
    progress: ({ done, total }) => this.progress(done, total),
    preview: ({ image_index: index, b64_json: code }) => this.preview(index, code),
    picture: ({ image_index: index, image }) => this.picture(index, image),
    completed: (result) => {
      (result.data || []).forEach((image, index) => this.picture(index, image));
      const notes = (result.warnings || []).map((note) => ` Note: ${note}`).join("");
      this.end(`Done.${notes}`);
      announce(`Finished: ${this.request.prompt}`);
    },
    failed: ({ error }) => this.fail(new Problem(0, error)),
    cancelled: () => { this.end("Cancelled."); announce(`Cancelled: ${this.request.prompt}`); this.offerAgain(); },
  };

  progress(done, total) {
    const now = performance.now();
    if (!this.clock || now - this.connected < REPLAY_MS) this.clock = { now, done };
    const left = ((now - this.clock.now) / 1000 / (done - this.clock.done)) * (total - done);
    this.bar.value = this.share = total ? done / total : 0;
    this.say(Number.isFinite(left) && left > 0 ? `Drawing, ${duration(left)} left.` : "Drawing …");
    showTitle();
  }

  preview(index, code) {
    const tile = this.tile(index);
    if (tile.dataset.id) return;
    const image = tile.querySelector("img") || element("img", { className: "preview", alt: `Preview of picture ${index + 1}` });
    image.onload = () => sharpen(image);
    const kind = { "/": "jpeg", U: "webp" }[code[0]] || "png"; // how base64 of each begins
    image.src = `data:image/${kind};base64,${code}`;
    tile.firstChild.replaceChildren(image);
  }

  picture(index, made) {
    const id = made?.image_id;
    const tile = this.tile(index);
    if (!id || tile.dataset.id) return;
    fillTile(tile, id, { seed: made.seed, prompt: this.request.prompt, request: this.request });
    document.querySelector(`#gallery [data-id="${id}"]`)?.remove();
  }

  end(text) {
    this.ended = true;
    this.say(text);
    this.bar.hidden = true;
    this.tiles.filter((tile) => !tile.dataset.id).forEach((tile) => tile.remove());
    this.hadFocus = document.activeElement === this.cancel;
    this.cancel.remove();
    forget(this.id);
    showTitle();
  }

  fail(problem) {
    this.end("");
    this.status.className = "problem";
    this.say(problem.words);
    announce(problem.words);
    this.offerAgain();
  }

  offerAgain() {
    const again = element("button", { type: "button", textContent: "Try again", onclick: () => { again.remove(); draw(this.request); } });
    this.root.querySelector(".job-head").append(again);
    if (this.hadFocus) again.focus();
  }

  async callOff() {
    this.cancel.disabled = true;
    this.say("Cancelling …");
    try {
      await call(`/v1/jobs/${this.id}/cancel`, { method: "POST" });
    } catch (problem) {
      this.cancel.disabled = false;
      this.say(problem.words);
    }
  }

  /// Follows the job to its end, across lost connections.
  async follow() {
    let last = 0;
    let wait = RETRY_FIRST_MS;
    while (!this.ended) {
      await this.waitForStream();
      try {
        this.connected = performance.now();
        for await (const { name, id, data } of events(this.id, last)) {
          last = id || last;
          wait = RETRY_FIRST_MS;
          this.on[name]?.(data);
          if (this.ended) break;
        }
      } catch (error) {
        const gone = error.status >= 400 && error.status < 500 && error.status !== 429;
        if (gone) this.fail(error);
        else this.say("The connection was lost; trying again …");
      } finally {
        Card.streams -= 1;
      }
      if (this.ended) return;
      await sleep(wait);
      wait = Math.min(wait * 2, RETRY_LAST_MS);
    }
  }

  static streams = 0;

  /// With many jobs at once the later ones ask now and then, until a connection is free.
  async waitForStream() {
    while (Card.streams >= STREAMS) {
      await sleep(POLL_MS);
      const view = await get(`/v1/jobs/${this.id}`).catch(() => null);
      if (view?.state === "queued") this.on.queued(view);
    }
    Card.streams += 1;
  }
}

function showTitle() {
  const running = [...cards.values()].filter((card) => !card.ended);
  const share = running.reduce((sum, card) => sum + card.share, 0) / running.length;
  document.title = running.length ? `${Math.round(share * 100)} % · Plaudit` : "Plaudit";
}

// ---- pictures

/// Small pictures are shown pixel by pixel, not blurred.
function sharpen(image) {
  image.classList.toggle("small", Math.max(image.naturalWidth, image.naturalHeight) <= SMALL_SIDE);
}

const address = (id) => `/v1/images/${id}`;
const fileName = ({ prompt, seed }) => `${prompt.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 48).replace(/^-|-$/g, "") || "picture"}-${seed}.png`;

function fillTile(tile, id, facts) {
  pictures.set(id, facts);
  tile.dataset.id = id;
  const image = element("img", { alt: "", loading: "lazy", onload: () => sharpen(image), onerror: () => missing(tile), src: address(id) });
  const open = element("button", { type: "button", className: "frame", onclick: () => view(id) }, image);
  open.setAttribute("aria-label", `Enlarge: ${facts.prompt}, seed ${facts.seed}`);
  const save = element("a", { className: "button", href: address(id), download: fileName(facts), textContent: "Download" });
  save.setAttribute("aria-label", `Download: ${facts.prompt}, seed ${facts.seed}`);
  const seed = element("button", { type: "button", textContent: `Seed ${facts.seed}`, title: "Copy the seed", onclick: () => copy(facts.seed) });
  seed.setAttribute("aria-label", `Copy seed ${facts.seed}`);
  tile.replaceChildren(open, thumbs(id, facts), element("div", { className: "under" }, save, seed));
}

/// A picture that the safety checker withheld has no file, nor has one whose time is over.
function missing(tile) {
  const note = element("span", { className: "withheld", textContent: "This picture was withheld or has expired" });
  tile.replaceChildren(element("div", { className: "frame" }, note));
}

/// Browsers offer the clipboard to secure pages only; elsewhere the seed goes into the form.
async function copy(seed) {
  try {
    await navigator.clipboard.writeText(String(seed));
    announce(`Seed ${seed} copied`);
  } catch {
    $("more").open = true;
    $("seed").value = seed;
    $("lock").checked = true;
    announce(`Seed ${seed} is in the form and kept`);
  }
}

let viewed = null;

function view(id) {
  const facts = pictures.get(id);
  viewed = id;
  const picture = $("viewer-picture");
  picture.onload = () => {
    sharpen(picture);
    $("viewer-size").textContent = ` · ${picture.naturalWidth} × ${picture.naturalHeight}`;
  };
  Object.assign(picture, { src: address(id), alt: `Picture of ${facts.prompt}` });
  $("viewer-prompt").textContent = facts.prompt;
  const { num_inference_steps: steps, guidance_scale: guidance, scheduler } = facts.request;
  const shown = [`seed ${facts.seed}`, steps && `${steps} steps`, guidance && `guidance ${guidance}`, scheduler];
  $("viewer-facts").textContent = shown.filter(Boolean).join(" · ");
  Object.assign($("viewer-download"), { href: address(id), download: fileName(facts) });
  const all = order();
  $("viewer-before").disabled = all[0] === id;
  $("viewer-after").disabled = all.at(-1) === id;
  if (!$("viewer").open) $("viewer").showModal();
}

const order = () => [...document.querySelectorAll(".tile[data-id]")].map((tile) => tile.dataset.id);
function turn(by) {
  const all = order();
  const next = all[all.indexOf(viewed) + by];
  if (next) view(next);
}

function reuse() {
  const { request, seed } = pictures.get(viewed);
  fillForm({ ...request, seed });
  $("lock").checked = true;
  $("viewer").close();
  $("prompt").focus();
}

// ---- the gallery

let oldest = null;

async function loadGallery() {
  const page = await get(`/v1/images?limit=${GALLERY_PAGE}${oldest ? `&before=${oldest}` : ""}`);
  for (const record of page.data) {
    const id = record.image_id;
    oldest = id;
    if (pictures.has(id)) continue;
    const request = record.parameters || {};
    const tile = element("li", { className: "tile" });
    fillTile(tile, id, { seed: record.seed, prompt: request.prompt || "", request });
    tile.append(element("p", { className: "caption", textContent: request.prompt || "" }));
    $("gallery").append(tile);
  }
  $("older").hidden = !page.has_more;
  $("empty").hidden = pictures.size > 0 || cards.size > 0;
  $("recent-section").hidden = $("gallery").childElementCount === 0 && $("empty").hidden;
}

// ---- the form

const PLACES = ["on the beach", "in the forest", "in the city", "in the snow", "in the desert", "at night", "on a plain background"];
const COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"];
const OBJECTS = ["star", "heart", "fish", "mug", "tree", "car", "cat", "house", "moon", "flower", "umbrella", "boat"];
const COUNTS = ["one", "two", "three", "four"];
const EXAMPLES = ["two blue stars on the beach", "an orange cat at night", "three pink flowers", "a green tree in the desert"];

function random32() { return crypto.getRandomValues(new Uint32Array(1))[0]; }
const pick = (list) => list[random32() % list.length];

function idea() {
  const count = pick(COUNTS);
  const object = pick(OBJECTS);
  const plural = count === "one" || object === "fish" ? object : `${object}s`;
  return `${count} ${pick(COLOURS)} ${plural} ${pick(PLACES)}`;
}

function showExamples() {
  const chip = (text, prompt) => element("li", {}, element("button", {
    type: "button", textContent: text, onclick: () => { $("prompt").value = prompt(); $("prompt").focus(); },
  }));
  $("examples").append(...EXAMPLES.map((text) => chip(text, () => text)), chip("Another idea", idea));
}

const FIELDS = ["prompt", "n", "best_of", "negative_prompt", "num_inference_steps", "guidance_scale", "scheduler", "size", "seed"];

function fillForm(values) {
  for (const name of FIELDS) if (values[name] !== undefined && values[name] !== null) form.elements[name].value = values[name];
  showValues();
}

function showValues() {
  for (const id of ["n", "steps", "guidance", "best-of"]) $(`${id}-value`).textContent = $(id).value;
}

function request() {
  if (!$("lock").checked || $("seed").value === "") $("seed").value = random32();
  const of = (name) => form.elements[name].value;
  // Somebody looks at this page: as a job alone it would take what others leave.
  const asked = { prompt: of("prompt").trim(), response_format: "url", partial_images: PREVIEWS, priority: "interactive" };
  for (const name of ["n", "num_inference_steps", "guidance_scale", "seed"]) asked[name] = Number(of(name));
  if (Number(of("best_of")) > asked.n) asked.best_of = Number(of("best_of"));
  for (const name of ["negative_prompt", "scheduler", "size"]) if (of(name).trim()) asked[name] = of(name).trim();
  return asked;
}

async function draw(asked) {
  const problem = $("problem");
  problem.hidden = true;
  $("draw").disabled = true;
  try {
    const view = await (await call("/v1/jobs", { method: "POST", body: asked })).json();
    const card = new Card(view.id, asked);
    if (view.state === "queued") card.on.queued(view);
    announce(`Drawing ${asked.prompt}`);
    card.root.scrollIntoView({ block: "nearest" });
    card.follow();
  } catch (error) {
    problem.textContent = error.words || String(error);
    problem.hidden = false;
    if (error.code === "invalid_api_key") $("key").focus();
  } finally {
    $("draw").disabled = false;
  }
}

function submit(event) {
  event.preventDefault();
  if ($("key").value) sessionStorage.setItem("plaudit.key", $("key").value);
  const asked = request();
  write("plaudit.form", { ...asked, lock: $("lock").checked });
  if (asked.prompt) draw(asked);
}

// ---- start

/// Jobs of before the reload: those the browser remembers and those the server knows as ours.
async function reattach() {
  const known = new Map(remembered().map((job) => [job.id, job.request]));
  for (const state of ["running", "queued"]) {
    const { data } = await get(`/v1/jobs?state=${state}`);
    for (const job of data) if (!known.has(job.id)) known.set(job.id, { prompt: job.prompt, n: 1 });
  }
  for (const [id, asked] of [...known].reverse()) {
    const view = await get(`/v1/jobs/${id}`).catch((problem) => problem);
    const live = view.state === "queued" || view.state === "running";
    if (live && !cards.has(id)) new Card(id, asked).follow();
    if (view.state === "failed") new Card(id, asked).fail(new Problem(0, view.error));
    if (!live && !(view instanceof Problem && view.status === 0)) forget(id);
  }
}

async function showModel() {
  const info = await get("/info");
  $("model").textContent = `${info.model_version} on ${info.device}`;
  $("n").max = info.max_pictures;
  $("steps").max = info.max_steps;
  $("best-of").max = info.max_candidates;
  $("best-of-field").hidden = info.max_candidates === 1;
  if (read("plaudit.form", {}).best_of) $("best-of").value = read("plaudit.form", {}).best_of;
  if (read("plaudit.form", {}).guidance_scale === undefined) $("guidance").value = info.guidance_scale;
  showValues();
  const model = (await get("/v1/models")).data[0];
  const option = (value, text) => element("option", { value, textContent: text.replace("x", " × ") });
  const kept = $("size").value || read("plaudit.form", {}).size || "";
  $("size").replaceChildren(option("", `the model's own (${model.size})`), ...otherSizes(model).map((size) => option(size, size)));
  $("size").value = kept;
  if ($("size").selectedIndex < 0) $("size").value = "";
  $("size-field").hidden = $("size").options.length === 1;
}

/// Landscape, portrait and a larger square, where the model can draw them.
function otherSizes({ size, size_multiple: multiple, max_side: most }) {
  const LONGER = 1.5;
  const [width, height] = size.split("x").map(Number);
  const longer = (side) => Math.min(Math.round((side * LONGER) / multiple) * multiple, most);
  const sizes = [[longer(width), height], [width, longer(height)], [longer(width), longer(height)]];
  return [...new Set(sizes.map(([w, h]) => `${w}x${h}`))].filter((other) => other !== size);
}

function listen() {
  form.addEventListener("submit", submit);
  form.addEventListener("input", showValues);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
  });
  $("older").addEventListener("click", () => loadGallery().catch(tell));
  $("viewer-before").addEventListener("click", () => turn(-1));
  $("viewer-after").addEventListener("click", () => turn(1));
  $("viewer-reuse").addEventListener("click", reuse);
  $("viewer-close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  });
  $("key").addEventListener("change", () => { sessionStorage.setItem("plaudit.key", $("key").value); start(); });
}

function tell(error) {
  $("problem").textContent = error.words || String(error);
  $("problem").hidden = false;
}

// One after the other: the first answer brings the session's cookie.
async function start() {
  $("problem").hidden = true;
  try {
    await showModel();
    await reattach();
    await loadGallery();
  } catch (error) {
    tell(error);
  }
}

const kept = read("plaudit.form", {});
fillForm(kept);
$("lock").checked = Boolean(kept.lock);
if ($("seed").value === "") $("seed").value = random32();
showExamples();
showValues();
listen();
start();
