// What a mapping would do is shown before it does it; it can be done once, put back, approved; and a change of it is held until then.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { close, eventually, launch, open, picture } from "../browser.js";
import { install } from "../installation.js";

describe("plans", () => {
  let browser;
  let own;
  let page;
  before(async () => {
    own = await install();
    browser = await launch();
    own.sql("insert into customers(name, email) values ('Ada', 'ada@example.com')");
    page = await open(browser, own.login, { base: own.base });
    await page.waitForURL("**/records/customers");
  });
  after(async () => {
    await browser?.close();
    await own?.stop();
  });

  const goto = async (path) => {
    await page.goto(own.base + path);
  };
  const PLAN = "/status/stripe-customers/plan";
  const items = (words) => page.locator("table.plan tbody tr", { hasText: words });

  test("what is shown is done once, and nothing else", async () => {
    await goto(PLAN);
    await items("create remote").waitFor();
    await picture(page, "plan-once");
    // A row changes after somebody has looked: what was shown is not what would happen, so it is shown again.
    own.sql("update customers set name = 'Ada Lovelace'");
    await page.getByRole("button", { name: "Do exactly this once" }).click();
    await page.getByRole("alert").getByText("has changed since it was shown").waitFor();
    assert.deepEqual(await own.customers(), []);
    await items("Ada Lovelace").waitFor();
    await page.getByRole("button", { name: "Do exactly this once" }).click();
    await page.waitForURL("**/history?pass=plan-*");
    assert.deepEqual((await own.customers()).map((c) => c.name), ["Ada Lovelace"]);
    // It was consent to this and to nothing else.
    own.sql("insert into customers(name, email) values ('Grace', 'grace@example.com')");
    await goto("/status");
    await page.locator("article .chip", { hasText: "observing" }).waitFor();
    await goto(PLAN);
    await items("Grace").waitFor();
    assert.equal(await page.locator("table.plan tbody tr").count(), 1);
  });

  test("an approved plan goes on by itself, and a record says which line decided", async () => {
    await page.getByRole("button", { name: "Approve this" }).click();
    await page.waitForURL("**/status");
    await eventually(async () => assert.equal((await own.customers()).length, 2));
    const ada = (await own.customers()).find((c) => c.email === "ada@example.com");
    await own.update(ada.id, { name: "Ada King" });
    await eventually(async () => assert.equal(own.sql("select name from customers where id = 1"), "Ada King"));
    await goto("/records/customers/1/explain");
    await page.getByText("Decided and written").waitFor();
    assert.match(await page.locator("main").innerText(), /stripe-customers\.yaml:\d+/);
    assert.match(await page.locator("main").innerText(), /rule/);
    await picture(page, "explain");
  });

  test("what sync wrote to a row is put back, and sync carries it", async () => {
    await goto("/history?local_id=1");
    const entry = page.locator(".entry", { hasText: "Ada King" }).first();
    await entry.getByRole("link", { name: "Put back" }).click();
    await page.getByText("to put back").waitFor();
    await picture(page, "revert");
    await page.getByRole("button", { name: "Put it back" }).click();
    await page.locator(".chip", { hasText: /^put back$/ }).waitFor();
    assert.equal(own.sql("select name from customers where id = 1"), "Ada Lovelace");
    await eventually(async () => assert.ok((await own.customers()).some((c) => c.name === "Ada Lovelace")));
  });

  test("a change of the mapping is held until its plan is approved", async () => {
    const login = await own.remap({ "name: $.name": "name: { remote: $.name, direction: in }" });
    await goto(login);
    await page.waitForURL("**/records/customers");
    await goto("/status");
    const card = page.locator("article", { hasText: "stripe-customers" });
    await card.locator(".chip", { hasText: "changed since approved" }).waitFor();
    await card.getByText("direction both was approved").waitFor();
    await picture(page, "held");
    own.sql("update customers set name = 'Countess' where id = 1");
    await eventually(async () => assert.ok((await own.customers()).some((c) => c.name === "Countess")), "as it was approved");
    await goto(PLAN);
    await page.getByText("Changed since it was approved").waitFor();
    await page.getByRole("button", { name: "Approve this" }).click();
    await page.waitForURL("**/status");
    await card.locator(".chip", { hasText: "running" }).waitFor();
    await close(page);
  });
});
