// A real installation, where one logs in, approves what may happen, and decides what is left to a person.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { close, eventually, launch, live, open, picture } from "../browser.js";
import { install } from "../installation.js";

describe("an installation of one's own", () => {
  let browser;
  let own;
  let page;
  before(async () => {
    own = await install();
    browser = await launch();
    own.sql("insert into customers(name, email) values ('Ada', 'ada@example.com')");
    page = await open(browser, "/", { base: own.base });
  });
  after(async () => {
    await browser?.close();
    await own?.stop();
  });

  const goto = async (path) => {
    await page.goto(own.base + path);
    await live(page);
  };
  const item = (words) => page.locator("article.item", { hasText: words });

  test("nobody comes in without a token", async () => {
    assert.equal(new URL(page.url()).pathname, "/login");
    await picture(page, "login");
    await page.getByLabel("Token").fill("not-a-token");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").getByText("no valid token").waitFor();
    for (const path of ["/records/customers", "/status", "/api/status", "/openapi.json"]) {
      const answer = await page.request.get(own.base + path, { maxRedirects: 0 });
      assert.ok([303, 401].includes(answer.status()), path);
    }
  });

  test("the printed address lets one browser in, once", async () => {
    await page.goto(own.base + own.login);
    await page.waitForURL("**/records/customers");
    await live(page);
    const cookies = await page.context().cookies();
    assert.deepEqual(cookies.map((c) => [c.httpOnly, c.sameSite]), [[true, "Strict"]]);
    const other = await open(browser, own.login, { base: own.base });
    await other.getByText("used already").waitFor();
    await close(other);
  });

  test("an API token logs in too, and out again", async () => {
    const other = await open(browser, "/", { base: own.base });
    await other.getByLabel("Token").fill(own.token);
    await other.getByRole("button", { name: "Log in" }).click();
    await other.waitForURL("**/records/customers");
    await other.getByRole("button", { name: "Log out" }).click();
    await other.waitForURL("**/login");
    await other.goto(`${own.base}/records/customers`);
    assert.equal(new URL(other.url()).pathname, "/login");
    await close(other);
  });

  test("a new mapping only observes until it is approved on the page", async () => {
    await goto("/status");
    const card = page.locator("article", { hasText: "stripe-customers" });
    await card.locator(".chip", { hasText: "observing" }).waitFor();
    await picture(page, "observing");
    assert.deepEqual(await own.customers(), []);
    await card.getByRole("link", { name: "Plan and approve" }).click();
    // What it would do is shown before anybody can let it.
    const row = page.locator("table.plan tbody tr", { hasText: "create remote" });
    await row.waitFor();
    assert.match(await row.innerText(), /ada@example\.com/);
    assert.match(await page.locator(".numbers").innerText(), /records to create there/i);
    await picture(page, "plan");
    await page.getByRole("button", { name: "Approve this" }).click();
    await page.waitForURL("**/status");
    await card.locator(".chip", { hasText: "running" }).waitFor();
    await goto("/records/customers");
    await page.locator("tbody tr", { hasText: "ada@example.com" }).locator(".chip.ok").waitFor();
    assert.deepEqual((await own.customers()).map((c) => c.email), ["ada@example.com"]);
  });

  test("what another program writes into the table shows up by itself", async () => {
    await goto("/records/customers");
    own.sql("insert into customers(name, email) values ('Grace', 'grace@example.com')");
    await page.locator("tbody tr", { hasText: "grace@example.com" }).locator(".chip.ok").waitFor();
    own.sql("update customers set name = 'Grace Hopper' where email = 'grace@example.com'");
    await page.locator("tbody tr", { hasText: "Grace Hopper" }).waitFor();
  });

  test("a delete that is left to a person is decided on the page", async () => {
    await goto("/records/customers");
    await page.locator("tbody tr", { hasText: "grace@example.com" }).getByRole("link").click();
    await page.getByText("Delete…").click();
    await page.getByRole("button", { name: "Delete this record" }).click();
    await page.waitForURL("**/records/customers");
    await goto("/waiting");
    const decision = page.locator("article.item", { has: page.locator(".chip", { hasText: "delete" }) });
    await decision.waitFor({ timeout: 30_000 });
    await picture(page, "waiting-delete");
    await decision.getByRole("button", { name: "Delete it in stripe too" }).click();
    await decision.waitFor({ state: "detached", timeout: 30_000 });
    await eventually(async () => assert.deepEqual((await own.customers()).map((c) => c.email), ["ada@example.com"]));
  });

  test("a record that was deleted elsewhere can be created there again", async () => {
    const [ada] = await own.customers();
    await own.remove(ada.id);
    await goto("/waiting");
    const decision = page.locator("article.item", { hasText: ada.id });
    await decision.waitFor({ timeout: 40_000 });
    await decision.getByRole("button", { name: "Create it in stripe again" }).click();
    await decision.waitFor({ state: "detached", timeout: 30_000 });
    await eventually(async () => assert.deepEqual((await own.customers()).map((c) => c.email), ["ada@example.com"]));
    assert.notEqual((await own.customers())[0].id, ada.id);
  });

  test("what the service refuses waits until it is mended, tried again or dropped", async () => {
    const long = `${"x".repeat(600)}@example.com`;
    own.sql(`insert into customers(name, email) values ('Too long', '${long}'), ('Long too', 'y${long}')`);
    await goto("/waiting");
    await eventually(async () => assert.equal(await page.locator("article.item").count(), 2));
    await picture(page, "waiting-refused");
    const id = own.sql("select id from customers where name = 'Too long'");
    own.sql("update customers set email = 'mended@example.com' where name = 'Too long'");
    await item(`customers ${id}`).waitFor({ state: "detached" });
    await eventually(async () => assert.ok((await own.customers()).some((c) => c.email === "mended@example.com")));
    // Trying again what is not mended brings it back.
    const other = page.locator("article.item");
    const since = () => other.locator("time").getAttribute("datetime", { timeout: 1000 });
    const before = await since();
    await other.getByRole("button", { name: "Try again" }).click();
    await eventually(async () => assert.notEqual(await since(), before));
    await other.getByRole("button", { name: "Dismiss" }).click();
    await page.getByText("Nothing waits for you").waitFor();
    await close(page);
  });
});
