// The other pages: records with search and editing, history, explanation, status.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { add, close, eventually, inStep, launch, live, open, picture, url } from "../browser.js";

describe("records, history, status", () => {
  let browser;
  let page;
  before(async () => (browser = await launch()));
  after(() => browser.close());
  beforeEach(async () => (page = await open(browser, "/records")));
  afterEach(() => close(page));

  test("a record is found, opened, edited and explained", async () => {
    await page.getByRole("searchbox").fill("turing");
    await page.keyboard.press("Enter");
    const line = page.locator("tbody tr", { hasText: "Alan Turing" });
    await line.waitFor();
    assert.equal(await page.locator("tbody tr").count(), 1);
    assert.match(await line.innerText(), /in step/);
    await picture(page, "records");
    await line.getByRole("link").first().click();
    await live(page);
    await page.getByLabel("phone").fill("+44 1908 640 404");
    await page.getByRole("button", { name: "Save" }).click();
    // The line of history arrives by itself.
    await page.locator(".feed .entry", { hasText: "+44 1908 640 404" }).waitFor();
    await page.locator(".live-place .chip.ok", { hasText: "in step" }).waitFor();
    assert.equal(await page.getByLabel("phone").inputValue(), "+44 1908 640 404");
    await picture(page, "record");
    await page.getByRole("link", { name: "Explain this record" }).click();
    await page.getByRole("heading", { name: "Why it is as it is" }).waitFor();
    assert.match(await page.locator("main").innerText(), /stripe-customers\.yaml/);
    // Its webhook may still be on the way.
    await eventually(async () => {
      await page.reload();
      await page.getByRole("heading", { name: "Told by the other side" }).waitFor({ timeout: 1000 });
    });
    await picture(page, "explain");
  });

  test("a new record is added by its form and shows where else it lives", async () => {
    await page.getByRole("link", { name: "Add" }).click();
    await page.getByLabel("name").fill("Toni Morrison");
    await page.getByLabel("email").fill("toni@example.com");
    await picture(page, "new");
    await page.getByRole("button", { name: "Add" }).click();
    await live(page);
    await page.locator(".live-place code", { hasText: /^cus_/ }).waitFor();
    await page.getByText("Delete…").click();
    await page.getByRole("button", { name: "Delete this record" }).click();
    await page.waitForURL("**/records/customers");
    assert.equal(await page.getByText("Toni Morrison").count(), 0);
  });

  test("the list follows by itself", async () => {
    await live(page);
    const demo = await open(browser, "/demo");
    await add(demo, "there", { name: "Simone Weil", email: "simone@example.com" });
    const line = page.locator("tbody tr", { hasText: "simone@example.com" });
    await line.waitFor();
    await line.locator(".chip.ok").waitFor();
    await inStep(demo, "simone@example.com");
    await close(demo);
  });

  test("history is filtered", async () => {
    await page.goto(`${url}/history`);
    await live(page);
    await page.locator(".feed .entry").first().waitFor();
    await page.getByLabel("What happened").selectOption("link");
    await page.getByRole("button", { name: "Filter" }).click();
    await page.waitForURL("**op=link**");
    const lines = await page.locator(".feed .entry").allInnerTexts();
    assert.ok(lines.length >= 1);
    for (const line of lines) assert.match(line, /Linked with (stripe|salesforce)/);
    assert.ok(["stripe", "salesforce"].every((service) => lines.some((line) => line.includes(`Linked with ${service}`))));
    await picture(page, "history");
  });

  test("a mapping is compared in full, paused and resumed", async () => {
    await page.goto(`${url}/status`);
    await live(page);
    const card = page.locator("article", { hasText: "stripe-customers" });
    await card.locator(".chip", { hasText: "running" }).waitFor();
    await picture(page, "status");
    const passed = () => card.locator("div", { has: page.locator("dt", { hasText: "Last full pass" }) }).locator("time").getAttribute("datetime");
    const before = await passed();
    await card.getByRole("button", { name: "Full pass now" }).click();
    await eventually(async () => assert.notEqual(await passed(), before));
    await card.getByRole("button", { name: "Pause" }).click();
    await card.locator(".chip", { hasText: "paused" }).waitFor();
    await card.getByRole("button", { name: "Resume" }).click();
    await card.locator(".chip", { hasText: "running" }).waitFor();
  });

  test("every page says what it is, and has one heading of the first rank", async () => {
    for (const path of ["/demo", "/records/customers", "/records/customers/new", "/waiting", "/history", "/status"]) {
      await page.goto(url + path);
      assert.match(await page.title(), / · Bothways$/, path);
      await eventually(async () => assert.equal(await page.locator("h1").count(), 1, path));
    }
  });
});
