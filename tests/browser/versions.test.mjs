// The page at /versions in a real browser against a real server (PLAUDIT_URL) whose registry the command (PLAUDIT) writes to as well (PLAUDIT_DATA).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";
import { tuned } from "./pack.mjs";

const { PLAUDIT_URL: url, PLAUDIT: binary, PLAUDIT_DATA: data, CHROMIUM: executablePath, AXE: axe, SCREENSHOT_VERSIONS: screenshot } = process.env;
const LOAD_MS = 60_000; // far above what verifying and loading a version takes: a busy machine is no fault of the page
const SOUND = 1e-6; // below the tolerance of golden outputs
const DAMAGING = 0.5; // far above it
const PACK = resolve("../../onnx/packs/miniature");

let browser, context, page, complaints, folder, admin, client, first, second, damaged;

const plaudit = (...words) => execFileSync(binary, [...words, "--data", data], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], cwd: resolve("../..") }).trim();

/// As `gate.json` of docs/gate.md, so that there is something to show.
function evidence(champion, candidate) {
  const measure = (name, compared, found, bound, verdict) => ({ name, on: "all", champion: 0.61, candidate: 0.64, compared, found, bound, reference: null, verdict });
  return {
    schema: 1, kind: "generator", verdict: "inconclusive", champion, candidate,
    asked: { prompts: 6, pictures: 2, steps: 4, seed: 1, reward: null },
    measures: [
      measure("reward", "difference", { value: 0.031, low: -0.004, high: 0.066 }, { low: -0.03, high: null }, "pass"),
      measure("CMMD", "distance", { value: null, low: null, high: null }, { low: null, high: 0.04 }, "inconclusive"),
    ],
    left_out: [{ name: "flagged", reason: "the pack has no safety checker" }], on_sheet: [],
  };
}

before(async () => {
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  folder = mkdtempSync(join(tmpdir(), "plaudit-versions-"));
  admin = plaudit("keys", "create", "operator", "--role", "admin").split("\n").at(-1);
  client = plaudit("keys", "create", "somebody").split("\n").at(-1);
  first = await champion();
  second = tuned(PACK, join(folder, "second"), SOUND);
  damaged = tuned(PACK, join(folder, "damaged"), DAMAGING);
  writeFileSync(join(folder, "gate.json"), JSON.stringify(evidence(first, second)));
  writeFileSync(join(folder, "training.json"), JSON.stringify({ method: "a shift of the last bias", by: SOUND }));
  plaudit("registry", "publish", "generator", join(folder, "second"), "--parent", first, "--evidence", join(folder, "gate.json"), "--training", join(folder, "training.json"));
  plaudit("registry", "publish", "generator", join(folder, "damaged"), "--parent", first);
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1000, height: 850 } });
  page = await context.newPage();
  page.setDefaultTimeout(LOAD_MS);
  complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => { if (/Content Security Policy/.test(message.text())) complaints.push(message.text()); });
  await page.goto(`${url}/versions`);
});
afterEach(async () => {
  await context.close();
  assert.deepEqual(complaints, [], "the page threw, or broke its own policy");
});

async function api(path) {
  const answer = await fetch(`${url}${path}`, { headers: { Authorization: `Bearer ${admin}` } });
  assert.equal(answer.status, 200, path);
  return (await answer.json()).data;
}
async function champion() {
  return (await api("/v1/admin/versions?kind=generator")).find(({ alias }) => alias === "champion").version;
}
async function signIn(key = admin) {
  await page.getByLabel("Admin key", { exact: true }).fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  if (key === admin) await card(first).waitFor();
}

const card = (version) => page.locator(`#versions > [data-version="${version}"]`);
const dialog = () => page.getByRole("dialog");
const said = (words) => page.locator("#announcer", { hasText: words }).waitFor();
const open = (name) => page.getByRole("button", { name, exact: true }).click();

/// Opens what a button asks, says why, and says yes.
async function act(name, reason) {
  await open(name);
  await dialog().getByLabel("Reason").fill(reason);
  await dialog().getByRole("button", { name, exact: true }).click();
}
async function shownAsChampion(version) {
  await card(version).locator(".badge", { hasText: "champion" }).waitFor();
  assert.equal(await page.locator("#versions .badge", { hasText: "champion" }).count(), 2, "a generator and a reward");
  await page.locator('[data-swap="generator"]', { hasText: `${version} serves.` }).waitFor();
}

test("without an admin key the page says what is needed and how to make one", async () => {
  await page.getByText("plaudit keys create NAME --role admin --data DIR").waitFor();
  assert.equal(await page.locator("#signed-in").isVisible(), false);
  for (const [key, words] of [["nonsense", /unknown or revoked/], [client, /an admin key is needed/i]]) {
    await signIn(key);
    await page.locator("#sign-in-problem", { hasText: words }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "admin-key");
    assert.equal(await page.evaluate(() => sessionStorage.length), 0, "a key that is none is not kept");
  }
});

test("a reload asks for no key again, another tab does", async () => {
  await signIn();
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await page.reload();
  await card(first).waitFor();
  const other = await context.newPage();
  await other.goto(`${url}/versions`);
  await other.getByLabel("Admin key", { exact: true }).waitFor();
  await open("Sign out");
  await page.getByLabel("Admin key", { exact: true }).waitFor();
  await page.reload();
  await page.getByLabel("Admin key", { exact: true }).waitFor();
});

test("a version tells where it comes from, and what the gate found", async () => {
  await signIn();
  await card(second).getByText("gate: inconclusive").first().waitFor();
  await card(second).locator("summary").click();
  const measures = card(second).getByRole("region", { name: "Measures of the gate" });
  assert.deepEqual(await measures.getByRole("row").nth(1).getByRole("cell").allTextContents(),
    ["all", "0.61", "0.64", "difference 0.031 (−0.004 to 0.066)", "≥ −0.03", "pass"]);
  assert.match(await measures.getByRole("row").nth(2).textContent(), /distance – \(– to –\)≤ 0.04inconclusive/);
  await card(second).getByText("Left out: flagged (the pack has no safety checker)").waitFor();
  assert.match(await card(second).getByRole("region", { name: "Training" }).textContent(), /a shift of the last bias/);
  assert.match(await card(second).locator("dl").textContent(), new RegExp(`Parent${first}`));
});

test("a promotion asks for a reason, names both versions, and is shown without a reload", async () => {
  await signIn();
  await page.evaluate(() => { globalThis.same = true; });
  await open(`Promote ${second}`);
  const asked = await page.locator("#act-facts").textContent();
  assert.match(asked, new RegExp(`Version${second}Expected champion${first}Gateinconclusive, against ${first}`));
  assert.equal(await page.evaluate(() => document.activeElement.id), "reason");
  await dialog().getByLabel("Reason").fill("   ");
  await page.keyboard.press("Enter");
  await dialog().getByText("A reason is needed.").waitFor();
  assert.equal(await champion(), first);
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Promote…", "the focus comes back");
  await act(`Promote ${second}`, "it is calmer");
  await said(`${second} is champion generator now.`);
  await shownAsChampion(second);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), second, "the focus is where it was done");
  assert.ok(await page.evaluate(() => globalThis.same), "no reload");
  assert.equal(await champion(), second);
  assert.match(await page.locator("#log li").first().textContent(), new RegExp(`${second} made champion, after ${first}it is calmer`));
  if (screenshot) await page.screenshot({ path: screenshot });
  await page.reload();
  await shownAsChampion(second);
});

test("a rollback makes an earlier champion champion again", async () => {
  await signIn();
  await open(`Roll back ${second}`);
  await dialog().getByLabel("Go back to").selectOption(first);
  await page.keyboard.press("Escape");
  await act(`Roll back ${second}`, "people frown");
  await said(`Gone back to ${first}`);
  await shownAsChampion(first);
  assert.equal(await champion(), first);
});

test("a trial begins, is seen by whoever looks, and ends", async () => {
  await signIn();
  await open(`Try ${second}`);
  await dialog().getByLabel("Share").fill("25");
  await dialog().getByLabel("Shadow requests").fill("0");
  await dialog().getByLabel("Reason").fill("who knows");
  await dialog().getByRole("button", { name: `Try ${second}` }).click();
  await said(`${second} is on trial.`);
  const trial = page.locator("#trial", { hasText: `${second} beside ${first}` });
  await trial.getByText("25 % of those who ask, 0 requests for nobody first").waitFor();
  await trial.getByText("canary", { exact: true }).waitFor();
  await card(second).locator(".badge", { hasText: "candidate" }).waitFor();
  assert.equal(await page.getByRole("button", { name: /^Try / }).count(), 0, "one at a time");
  assert.equal((await api("/v1/admin/trials"))[0].share, 0.25);
  await page.reload();
  await open(`End trial ${second}`);
  await dialog().getByLabel("Reason").fill("enough");
  await dialog().getByRole("button", { name: `End the trial of ${second}` }).click();
  await said(`The trial of ${second} is ended.`);
  await page.locator("#trial", { hasText: "None goes on." }).waitFor();
  assert.equal((await api("/v1/admin/trials"))[0].state, "withdrawn");
  await page.locator("#past-trials summary").click();
  await page.locator("#trials", { hasText: "enough" }).waitFor();
});

test("a reward is tried as a generator is", async () => {
  const source = join(folder, "reward");
  cpSync(join(PACK, "reward"), source, { recursive: true });
  const manifest = join(source, "manifest.json");
  writeFileSync(manifest, `${JSON.stringify({ ...JSON.parse(readFileSync(manifest, "utf8")), name: "another" }, null, 2)}\n`);
  const another = plaudit("registry", "publish", "reward", source).split("\n").at(-1);
  await signIn();
  await open(`Try ${another}`);
  await dialog().getByLabel("Reason").fill("new votes");
  await dialog().getByRole("button", { name: `Try ${another}` }).click();
  await said(`${another} is on trial.`);
  const trial = page.locator("#trial", { hasText: `${another} beside` });
  await trial.locator(".badge", { hasText: "reward" }).waitFor();
  await trial.getByText("canary", { exact: true }).waitFor();
  const [begun] = await api("/v1/admin/trials");
  assert.deepEqual([begun.kind, begun.version, begun.share], ["reward", another, 0.1]);
  await open(`End trial ${another}`);
  await dialog().getByLabel("Reason").fill("enough of it");
  await dialog().getByRole("button", { name: `End the trial of ${another}` }).click();
  await said(`The trial of ${another} is ended.`);
});

/// `run.sh` has the server pause a trial after one thumb on the candidate's pictures.
test("a trial that shows nothing waits for somebody, with the thumbs of both", async () => {
  await signIn();
  await open(`Try ${second}`);
  await dialog().getByLabel("Share").fill("99.9");
  await dialog().getByLabel("Shadow requests").fill("0");
  await dialog().getByLabel("Reason").fill("for nearly everybody");
  await dialog().getByRole("button", { name: `Try ${second}` }).click();
  await said(`${second} is on trial.`);
  await page.locator("#trial").getByRole("region", { name: "Thumbs" }).waitFor();
  const send = async (path, body) => {
    const headers = { Authorization: `Bearer ${client}`, "Content-Type": "application/json" };
    const answer = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.ok(answer.ok, `${path}: ${answer.status}`);
    return answer.json();
  };
  for (let drawn = "", tries = 0; drawn !== second; tries += 1) {
    assert.ok(tries < 20, "the candidate draws for its share");
    const made = await send("/v1/images/generations", { prompt: "a red star", num_inference_steps: 2, response_format: "url" });
    drawn = made.model_version;
    const [{ image_id: image, feedback_token: token }] = made.data;
    await send("/v1/feedback", { image_id: image, token, rating: "up" });
  }
  const trial = page.locator("#trial");
  await trial.getByText("paused", { exact: true }).waitFor();
  await trial.getByText("waits for somebody to decide").waitFor();
  const thumbs = trial.getByRole("region", { name: "Thumbs" }).getByRole("row", { name: `candidate ${second}` });
  assert.deepEqual(await thumbs.getByRole("cell").allTextContents(), ["1", "0", "100 %", "1"]);
  assert.match(await trial.locator("dl").textContent(), /Log evidence that it is liked less−?[\d.e−]+, enough from 3/);
  await open(`End trial ${second}`);
  await dialog().getByLabel("Reason").fill("one thumb is too few");
  await dialog().getByRole("button", { name: `End the trial of ${second}` }).click();
  await said(`The trial of ${second} is ended.`);
});

test("a champion that somebody else made is a conflict that is explained", async () => {
  await signIn();
  await open(`Promote ${second}`);
  plaudit("registry", "promote", "generator", second, "--expected", first, "--reason", "faster", "--actor", "night shift");
  plaudit("registry", "rollback", "generator", "--reason", "too fast", "--actor", "night shift");
  plaudit("registry", "promote", "generator", second, "--expected", first, "--reason", "at last", "--actor", "night shift");
  await dialog().getByLabel("Reason").fill("it is calmer still");
  await dialog().getByRole("button", { name: `Promote ${second}` }).click();
  const problem = dialog().getByRole("alert");
  await problem.waitFor();
  const words = await problem.textContent();
  assert.match(words, new RegExp(`The champion generator is ${second}, not ${first}: somebody promoted meanwhile`), "the API's own words");
  assert.match(words, new RegExp(`generator: ${second} made champion, after ${first}, by night shift: at last`), "what changed");
  assert.match(words, new RegExp(`The expected champion was ${first} and is ${second} now. There is nothing left to do`));
  await page.locator("#act-facts", { hasText: `Expected champion${second}` }).waitFor();
  assert.equal(await page.locator("#act-go").isVisible(), false);
  await page.keyboard.press("Escape");
  await shownAsChampion(second);
  assert.equal((await api("/v1/admin/promotions")).some(({ reason }) => reason === "it is calmer still"), false);
});

test("after a conflict one can ask again, for the champion that there is now", async () => {
  await signIn();
  await open(`Roll back ${second}`);
  await dialog().getByLabel("Reason").fill("back to the first");
  plaudit("registry", "promote", "generator", first, "--expected", second, "--reason", "faster", "--actor", "night shift");
  await dialog().getByRole("button", { name: `Roll back ${second}` }).click();
  await dialog().getByText(`The expected champion was ${second} and is ${first} now. Ask again if that is what you want.`).waitFor();
  assert.equal(await champion(), first, "nothing was done");
  await dialog().getByRole("button", { name: `Roll back ${second}` }).click();
  await said(`Gone back to ${second}`);
  await shownAsChampion(second);
});

test("a version that is not sound is refused in the server's words", async () => {
  await signIn();
  const serving = await champion();
  await act(`Promote ${damaged}`, "why not");
  await dialog().getByRole("alert").getByText(/unet: its outputs are .* from the golden ones/).waitFor();
  assert.equal(await champion(), serving);
  await page.keyboard.press("Escape");
  await shownAsChampion(serving);
});

test("what others do is shown and said", async () => {
  await signIn();
  const [serving, next] = (await champion()) === first ? [first, second] : [second, first];
  await card(next).locator("summary").focus();
  await page.keyboard.press("Enter");
  plaudit("registry", "promote", "generator", next, "--expected", serving, "--reason", "from afar");
  await said(`New in the log: generator: ${next} made champion, after ${serving}.`);
  await shownAsChampion(next);
  assert.ok(await card(next).getByText("Manifest").isVisible(), "what was open stays open");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Details", "the focus stays");
});

test("everything works without a mouse", async () => {
  const tabTo = async (matches, words) => {
    for (let i = 0; i < 80; i++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(matches, words)) return;
    }
    assert.fail(`Tab never reaches ${words}`);
  };
  const named = (name) => document.activeElement.getAttribute("aria-label") === name || document.activeElement.textContent === name;
  await page.waitForFunction(() => document.activeElement.id === "admin-key");
  await page.keyboard.type(admin);
  await page.keyboard.press("Enter");
  await said("Signed in.");
  const serving = await champion();
  await tabTo(named, `Roll back ${serving}`);
  await page.keyboard.press("Enter");
  await page.keyboard.type("no hands");
  await tabTo(named, `Roll back ${serving}`);
  await page.keyboard.press("Space");
  await said("Gone back to");
  assert.notEqual(await champion(), serving);
});

test("a server that cannot be reached is said, and a key that is revoked asks for another", async () => {
  await signIn();
  await context.setOffline(true);
  await page.locator("#problem", { hasText: "The server cannot be reached. What is shown may be old." }).waitFor();
  await context.setOffline(false);
  await page.locator("#problem").waitFor({ state: "hidden" });
  await page.evaluate(() => sessionStorage.setItem("plaudit.admin-key", "revoked"));
  await page.locator("#sign-in-problem", { hasText: "unknown or revoked" }).waitFor();
  assert.equal(await page.locator("#signed-in").isVisible(), false);
});

test("a phone shows everything without scrolling sideways", async () => {
  await page.setViewportSize({ width: 360, height: 640 });
  await signIn();
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  for (const summary of await page.locator("summary:visible").all()) await summary.click();
  assert.ok(await fits());
  await open(`Promote ${damaged}`);
  assert.ok(await fits());
  assert.ok(await dialog().evaluate((dialog) => dialog.scrollWidth <= dialog.clientWidth));
});

test("axe finds nothing", { skip: axe ? false : "AXE does not name axe-core's axe.min.js" }, async () => {
  const check = async (where) => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(readFileSync(axe, "utf8"));
      const violations = await page.evaluate(async () => (await globalThis.axe.run()).violations.map((found) => found.id));
      assert.deepEqual(violations, [], `${where}, ${colorScheme}`);
    }
  };
  await check("signed out");
  await signIn();
  await card(second).locator("summary").click();
  await check("signed in");
  await open(`Promote ${damaged}`);
  await check("asking");
});
