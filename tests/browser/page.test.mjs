// The page at / in a real browser against a real server (PLAUDIT_URL). `run.sh` starts both.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { chromium } from "playwright-core";

const { PLAUDIT_URL: url, CHROMIUM: executablePath, AXE: axe, SCREENSHOT: screenshot } = process.env;
const PICTURE_MS = 60_000; // far above what a picture takes: a busy machine is no fault of the page
const LONG_STEPS = "100"; // long enough to reload or cancel in between

let browser, context, page, complaints;

before(async () => { browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] }); });
after(() => browser?.close());

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1200, height: 850 }, acceptDownloads: true });
  page = await context.newPage();
  page.setDefaultTimeout(PICTURE_MS);
  complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => { if (/Content Security Policy/.test(message.text())) complaints.push(message.text()); });
  await page.goto(url);
});
afterEach(async () => {
  await context.close();
  assert.deepEqual(complaints, [], "the page threw, or broke its own policy");
});

const set = (selector, value) => page.$eval(selector, (input, value) => {
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}, value);

async function draw(prompt, { n = "1", steps = "4" } = {}) {
  await set("#n", n);
  await set("#steps", steps);
  await page.fill("#prompt", prompt);
  await page.press("#prompt", "Control+Enter");
  await page.waitForSelector(".job");
}

async function bytes(id) {
  return (await (await context.request.get(`${url}/v1/images/${id}`)).body()).toString("base64");
}

test("a prompt becomes pictures, with progress and previews on the way", async () => {
  await draw("two blue stars on the beach", { n: "4", steps: "40" });
  assert.equal(await page.locator(".job .tile").count(), 4, "the tiles are there at once");
  await page.waitForFunction(() => document.querySelector(".job progress").value > 0);
  await page.waitForSelector(".job img.preview");
  await page.waitForFunction(() => document.querySelectorAll(".job .tile[data-id]").length === 4);
  await page.waitForFunction(() => [...document.querySelectorAll(".job img")].every((image) => image.naturalWidth > 0));
  await page.getByText("Done.").waitFor();
  if (screenshot) {
    await page.setViewportSize({ width: 1200, height: 600 });
    await page.screenshot({ path: screenshot });
  }
});

test("a reload goes on with the running job and finds its pictures", async () => {
  await draw("an orange cat at night", { n: "2", steps: LONG_STEPS });
  await page.waitForFunction(() => document.querySelector(".job progress").value > 0);
  const job = await page.locator(".job").getAttribute("data-job");
  await page.reload();
  await page.waitForSelector(`.job[data-job="${job}"] progress`);
  await page.waitForFunction(() => document.querySelectorAll(".job .tile[data-id]").length === 2);
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll("#gallery .tile[data-id]").length === 2);
});

test("another browser does not see them", async () => {
  await draw("a red star");
  await page.waitForSelector(".job .tile[data-id]");
  const other = await (await browser.newContext()).newPage();
  await other.goto(url);
  await other.waitForFunction(() => document.querySelector("#model").textContent !== "");
  assert.equal(await other.locator(".tile").count(), 0);
  await other.context().close();
});

test("cancel ends the job and offers to try again", async () => {
  await draw("a green tree in the desert", { n: "4", steps: LONG_STEPS });
  await page.getByRole("button", { name: /^Cancel/ }).click();
  await page.getByText("Cancelled.").waitFor();
  await page.getByRole("button", { name: "Try again" }).waitFor();
  const job = await page.locator(".job").getAttribute("data-job");
  assert.equal((await (await context.request.get(`${url}/v1/jobs/${job}`)).json()).state, "cancelled");
});

test("a kept seed draws the same picture again", async () => {
  await page.click("summary");
  await page.fill("#seed", "7");
  await page.check("#lock");
  for (let i = 0; i < 2; i++) {
    await draw("a blue car in the city");
    await page.waitForFunction((many) => document.querySelectorAll(".job .tile[data-id]").length === many, i + 1);
  }
  const ids = await page.$$eval(".job .tile[data-id]", (tiles) => tiles.map((tile) => tile.dataset.id));
  assert.notEqual(ids[0], ids[1]);
  assert.equal(await page.inputValue("#seed"), "7");
  await page.getByRole("button", { name: "Copy seed 7" }).first().waitFor();
  const size = (id) => page.$eval(`[data-id="${id}"] img`, (image) => image.naturalWidth);
  assert.equal(await size(ids[0]), await size(ids[1]));
  assert.equal(await bytes(ids[0]), await bytes(ids[1]));
});

test("everything works without a mouse", async () => {
  const tabTo = async (matches) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(matches)) return;
    }
    assert.fail(`Tab never reaches ${matches}`);
  };
  await tabTo(() => document.activeElement.id === "prompt");
  await page.keyboard.type("three pink flowers");
  await tabTo(() => document.activeElement.id === "n");
  await page.keyboard.press("Home");
  await tabTo(() => document.activeElement.id === "draw");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".job .tile[data-id]");
  await tabTo(() => document.activeElement.matches(".job button.frame"));
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog[open]");
  await tabTo(() => document.activeElement.id === "viewer-download");
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog:not([open])", { state: "attached" });
  assert.ok(await page.evaluate(() => document.activeElement.matches(".job button.frame")), "the focus comes back");
});

const thumb = (rating) => page.locator(`.tile [data-rating="${rating}"]`).first();
const pressed = (rating, value) => page.waitForFunction(([rating, value]) =>
  document.querySelector(`.tile [data-rating="${rating}"]`)?.getAttribute("aria-pressed") === value, [rating, value]);
async function standing() {
  const { data } = await (await context.request.get(`${url}/v1/feedback`)).json();
  return data.map(({ image_id: id, rating }) => [id, rating]);
}

test("a vote survives a reload, is changed, and is taken back", async () => {
  await draw("a blue fish");
  await page.waitForSelector(".job .tile[data-id]");
  const id = await page.locator(".tile[data-id]").first().getAttribute("data-id");
  assert.equal(await page.locator(".undo").first().isVisible(), false);
  await thumb("up").click();
  await pressed("up", "true");
  assert.deepEqual(await standing(), [[id, "up"]]);
  await page.reload();
  await pressed("up", "true");
  await thumb("down").click();
  await pressed("down", "true");
  await pressed("up", "false");
  assert.deepEqual(await standing(), [[id, "down"]]);
  await page.getByRole("button", { name: "Take the vote back" }).click();
  await pressed("down", "false");
  assert.deepEqual(await standing(), []);
  await page.reload();
  await page.waitForSelector("#gallery .tile[data-id]");
  await pressed("up", "false");
});

test("votes need no mouse", async () => {
  await draw("a red heart");
  await page.waitForSelector(".job .tile[data-id]");
  await thumb("up").focus();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.rating), "down");
  await page.keyboard.press("Space");
  await pressed("down", "true");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await pressed("down", "false");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.rating), "up", "the focus is not lost with Undo");
});

test("a vote that does not reach the server says so and is not shown as given", async () => {
  await draw("a green moon");
  await page.waitForSelector(".job .tile[data-id]");
  await page.route("**/v1/feedback", (route) => (route.request().method() === "POST" ? route.abort() : route.continue()));
  await thumb("up").click();
  await page.waitForSelector(".vote-problem:not([hidden])");
  assert.match(await page.locator(".vote-problem").first().textContent(), /cannot be reached.*try again/i);
  assert.equal(await thumb("up").getAttribute("aria-pressed"), "false");
  await page.unroute("**/v1/feedback");
  await thumb("up").click();
  await pressed("up", "true");
  assert.equal((await standing()).length, 1);
});

test("a picture downloads under a name made of its prompt and seed", async () => {
  await page.click("summary");
  await page.fill("#seed", "11");
  await page.check("#lock");
  await draw("a yellow house in the snow");
  const link = page.getByRole("link", { name: /^Download/ });
  const [download] = await Promise.all([page.waitForEvent("download"), link.first().click()]);
  assert.equal(download.suggestedFilename(), "a-yellow-house-in-the-snow-11.png");
});

test("an error says what is wrong and what to do", async () => {
  await context.setOffline(true);
  await page.fill("#prompt", "a red heart");
  await page.press("#prompt", "Control+Enter");
  await page.waitForSelector("#problem:not([hidden])");
  assert.match(await page.textContent("#problem"), /cannot be reached.*try again/i);
});

test("a phone shows everything without scrolling sideways", async () => {
  await page.setViewportSize({ width: 320, height: 640 });
  await page.click("summary");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
});

test("axe finds nothing", { skip: axe ? false : "AXE does not name axe-core's axe.min.js" }, async () => {
  await draw("two green fish");
  await page.waitForSelector(".job .tile[data-id]");
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(readFileSync(axe, "utf8"));
    const violations = await page.evaluate(async () => (await globalThis.axe.run()).violations.map((found) => found.id));
    assert.deepEqual(violations, [], colorScheme);
  }
});
