// A headless Chromium on the page under test, and the words the tests speak: panes, rows, waiting for what should happen.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const url = (process.env.PAGE_URL ?? "http://127.0.0.1:7171/").replace(/\/$/, "");

// How long a change may take to reach the other side and the page. It takes far less; a busy machine needs patience.
export const PATIENCE = 15_000;

const pictures = process.env.PAGE_PICTURES ?? mkdtempSync(join(tmpdir(), "bothways-page-"));
mkdirSync(pictures, { recursive: true });

export async function launch() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
  });
  return browser;
}

// Opens a page in a context of its own. Everything the browser complains about (scripts that fail, what the content security policy
// blocks, addresses outside) ends up in `complaints`.
export async function open(browser, path, { base = url, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(`script: ${error.message}`));
  page.on("console", (message) => {
    // A refusal is an answer 4xx, which the browser notes as an error of the network.
    const refused = /Failed to load resource.*\b(401|409|422)\b/.test(message.text());
    if (message.type() === "error" && !refused) page.complaints.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on("dialog", async (dialog) => {
    page.complaints.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(base) && !request.url().startsWith("data:")) page.complaints.push(`outside: ${request.url()}`);
  });
  await page.goto(base + path);
  return page;
}

export async function close(page) {
  assert.deepEqual(page.complaints, []);
  await page.context().close();
}

export async function live(page) {
  await page.locator('[data-pulse="on"]').waitFor();
}

// "here" is the catalog's pane, "there" the other system's.
export function pane(page, side) {
  return page.locator(`section.pane.${side}`);
}

// What a row is found by: a field that stays the same while others change.
function named(mark) {
  return typeof mark === "string" ? ["email", mark] : Object.entries(mark)[0];
}

// The row with this e-mail, or with this value of another field: `{ memo: "Repairs" }`.
export function row(page, side, mark) {
  const [name, value] = named(mark);
  return pane(page, side).locator(`form.line:not(.add):has(input[name="field.${name}"][value="${value}"])`);
}

export function field(line, name) {
  return line.locator(`[name="field.${name}"]`);
}

// Types into the fields of a form, or chooses what they show by that name.
async function fill(form, values) {
  for (const [name, value] of Object.entries(values)) {
    const control = field(form, name);
    if (await control.evaluate((element) => element.tagName === "SELECT")) {
      // A choice may be on its way: what was just added on another page.
      await control.locator("option", { hasText: value }).first().waitFor({ state: "attached" });
      await control.selectOption({ label: value });
    } else await control.fill(value);
  }
}

export async function add(page, side, values) {
  const form = pane(page, side).locator("form.add");
  await fill(form, values);
  await form.getByRole("button", { name: "Add" }).click();
}

export async function edit(page, side, mark, values) {
  const line = row(page, side, mark);
  await fill(line, values);
  await line.getByRole("button", { name: "Save" }).click();
}

// Waits until a row's field shows a value; the page has to follow by itself.
export async function shows(page, side, mark, name, value) {
  const control = field(row(page, side, mark), name);
  const shown = (element) => (element.tagName === "SELECT" ? element.selectedOptions[0].textContent : element.value);
  await eventually(async () => assert.equal(await control.evaluate(shown, undefined, { timeout: 1000 }), value));
}

export async function inStep(page, mark) {
  await row(page, "here", mark).locator(".chip.ok", { hasText: "in step" }).waitFor();
}

// Tries until it holds, or says why it does not.
export async function eventually(check) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

// A picture of the whole page, for people to look at.
export async function picture(page, name) {
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}
