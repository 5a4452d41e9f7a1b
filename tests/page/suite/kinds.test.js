// Every kind of record that the demo runs has its two panes: invoices at Stripe, accounts and contacts at Salesforce, both directions,
// and what a record refers to is followed.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { add, close, edit, eventually, field, inStep, launch, live, open, pane, picture, row, shows } from "../browser.js";

describe("every kind of record", () => {
  let browser;
  let page;
  before(async () => (browser = await launch()));
  after(() => browser.close());
  beforeEach(async () => {
    page = await open(browser, "/demo");
    await live(page);
  });
  afterEach(() => close(page));

  const turnTo = async (catalog) => {
    await page.getByRole("navigation", { name: "What is shown" }).getByRole("link", { name: catalog }).click();
    await page.getByRole("heading", { level: 2, name: catalog }).waitFor();
    await live(page);
  };

  test("has a page of its own, beside its service", async () => {
    const tabs = page.getByRole("navigation", { name: "What is shown" }).getByRole("link");
    const words = (await tabs.allInnerTexts()).map((text) => text.replace(/\s+/g, " "));
    assert.deepEqual(words, [
      "customers Stripe (sandbox)",
      "invoices Stripe (sandbox)",
      "accounts Salesforce (sandbox)",
      "contacts Salesforce (sandbox)",
    ]);
    for (const catalog of ["customers", "invoices", "accounts", "contacts"]) {
      await turnTo(catalog);
      assert.equal(await page.locator('.tabs [aria-current="page"]').count(), 1);
      await picture(page, `demo-${catalog}`);
    }
  });

  test("an invoice goes out to Stripe, and what Stripe makes of it comes back", async () => {
    await turnTo("invoices");
    const mark = { memo: "Looms, mended" };
    await add(page, "here", { customer_id: "Ada Lovelace", currency: "eur", due_at: "2031-01-31T12:00:00Z", ...mark });
    await row(page, "there", mark).waitFor();
    await shows(page, "there", mark, "customer_id", "Ada Lovelace");
    await inStep(page, mark);
    await edit(page, "there", mark, { total: "1250" });
    await shows(page, "here", mark, "total", "12.5");
    for (const status of ["open", "paid"]) {
      await edit(page, "there", mark, { status });
      await shows(page, "here", mark, "status", status);
    }
    assert.match(await field(row(page, "here", mark), "number").inputValue(), /-\d+$/);
    assert.equal(await field(row(page, "here", mark), "total").isEditable(), false, "Stripe says what it is worth");
  });

  test("an invoice made at Stripe comes in, and edits of either side arrive", async () => {
    await turnTo("invoices");
    const mark = { currency: "chf" };
    await add(page, "there", { customer_id: "Katherine Johnson", total: "900", memo: "Orbits", ...mark });
    await row(page, "here", mark).waitFor();
    await shows(page, "here", mark, "customer_id", "Katherine Johnson");
    await edit(page, "here", mark, { memo: "Orbits, checked" });
    await shows(page, "there", mark, "memo", "Orbits, checked");
    await edit(page, "there", mark, { memo: "Orbits, flown" });
    await shows(page, "here", mark, "memo", "Orbits, flown");
    await inStep(page, mark);
  });

  test("an invoice leads to its customer, on both sides", async () => {
    await turnTo("invoices");
    for (const [side, mark] of [["here", "alan@example.com"], ["there", "alan@example.com"]]) {
      await row(page, side, { memo: "Enigma, repaired" }).getByRole("link", { name: "Alan Turing" }).click();
      await page.waitForURL(`**/demo/stripe-customers#${side}-*`);
      const id = decodeURIComponent(new URL(page.url()).hash.slice(1));
      assert.equal(await row(page, side, mark).getAttribute("id"), id);
      await turnTo("invoices");
    }
  });

  test("an invoice waits for a customer that is not linked yet, and goes once it is", async () => {
    await page.getByRole("button", { name: "Pause" }).click();
    await page.locator(".note", { hasText: "Paused" }).waitFor();
    await add(page, "here", { name: "Hedy Lamarr", email: "hedy@example.com" });
    await row(page, "here", "hedy@example.com").waitFor();
    await turnTo("invoices");
    const mark = { memo: "Frequencies, hopped" };
    await add(page, "here", { customer_id: "Hedy Lamarr", currency: "usd", due_at: "2031-01-31T12:00:00Z", ...mark });
    await row(page, "here", mark).locator(".chip.wait", { hasText: "waiting" }).waitFor();
    assert.equal(await row(page, "there", mark).count(), 0, "nothing is sent");
    await picture(page, "demo-waits");
    await turnTo("customers");
    await page.getByRole("button", { name: "Resume" }).click();
    await inStep(page, "hedy@example.com");
    await turnTo("invoices");
    await inStep(page, mark);
    await shows(page, "there", mark, "customer_id", "Hedy Lamarr");
  });

  test("accounts travel both ways", async () => {
    await turnTo("accounts");
    await add(page, "here", { name: "Difference Engines", website: "https://difference.example", employees: "3" });
    await shows(page, "there", { name: "Difference Engines" }, "employees", "3");
    await edit(page, "there", { name: "Difference Engines" }, { phone: "+44 20 7946 0303" });
    await shows(page, "here", { name: "Difference Engines" }, "phone", "+44 20 7946 0303");
    await add(page, "there", { name: "Compilers", industry: "Software" });
    await shows(page, "here", { name: "Compilers" }, "industry", "Software");
    await edit(page, "here", { name: "Compilers" }, { industry: "Languages" });
    await shows(page, "there", { name: "Compilers" }, "industry", "Languages");
    await inStep(page, { name: "Compilers" });
  });

  test("contacts travel both ways, with their accounts", async () => {
    await turnTo("contacts");
    await add(page, "here", { first_name: "Charles", last_name: "Babbage", email: "charles@engines.example", account_id: "Analytical Engines", opted_out: "false" });
    await shows(page, "there", "charles@engines.example", "account_id", "Analytical Engines");
    await edit(page, "there", "charles@engines.example", { account_id: "Orbital Mechanics", opted_out: "true" });
    await shows(page, "here", "charles@engines.example", "account_id", "Orbital Mechanics");
    await shows(page, "here", "charles@engines.example", "opted_out", "true");
    await add(page, "there", { last_name: "Jackson", email: "mary@orbital.example", account_id: "Orbital Mechanics" });
    await shows(page, "here", "mary@orbital.example", "account_id", "Orbital Mechanics");
    await edit(page, "here", "mary@orbital.example", { account_id: "Analytical Engines" });
    await shows(page, "there", "mary@orbital.example", "account_id", "Analytical Engines");
    await inStep(page, "mary@orbital.example");
    await row(page, "there", "mary@orbital.example").getByRole("link", { name: "Analytical Engines" }).click();
    await page.waitForURL("**/demo/salesforce-accounts#there-*");
  });

  test("what somebody chose is not overwritten by what arrives", async () => {
    await turnTo("contacts");
    const mark = "katherine@orbital.example";
    const mine = row(page, "here", mark);
    await field(mine, "account_id").selectOption({ label: "Analytical Engines" });
    await edit(page, "there", mark, { phone: "+1 757 555 0162" });
    await shows(page, "here", mark, "phone", "+1 757 555 0162");
    await shows(page, "here", mark, "account_id", "Analytical Engines");
    await shows(page, "there", mark, "account_id", "Orbital Mechanics");
    await mine.getByRole("button", { name: "Save" }).click();
    await shows(page, "there", mark, "account_id", "Analytical Engines");
  });

  test("a service's refusal is said in its own words", async () => {
    await turnTo("accounts");
    await add(page, "there", { name: "Counted", employees: "many" });
    await page.locator(".toast.bad", { hasText: "NumberOfEmployees is a whole number" }).waitFor();
    await turnTo("contacts");
    await add(page, "there", { first_name: "Nameless" });
    await page.locator(".toast.bad", { hasText: "LastName" }).waitFor();
  });

  test("it can be done by keyboard, and nothing sticks out on a telephone", async () => {
    await turnTo("contacts");
    const form = pane(page, "here").locator("form.add");
    await field(form, "first_name").focus();
    for (const word of ["Annie", "Easley"]) {
      await page.keyboard.type(word);
      await page.keyboard.press("Tab");
    }
    await page.keyboard.type("Orbital");
    await page.keyboard.press("Tab");
    await page.keyboard.type("annie@orbital.example");
    await page.keyboard.press("Enter");
    await shows(page, "there", "annie@orbital.example", "account_id", "Orbital Mechanics");
    for (const path of ["stripe-invoices", "salesforce-accounts", "salesforce-contacts"]) {
      const small = await open(browser, `/demo/${path}`, { viewport: { width: 360, height: 780 } });
      await live(small);
      const wider = await small.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wider, 0, `nothing sticks out of ${path}`);
      const nameless = await small.locator("main :is(input:not([type=hidden]), select)").evaluateAll((all) => all.filter((one) => !one.labels?.[0]?.textContent.trim()).length);
      assert.equal(nameless, 0, `every control of ${path} has a name`);
      await picture(small, `${path}-small`);
      await close(small);
    }
  });

  test("without the script it works by reloading", async () => {
    const plain = await open(browser, "/demo/salesforce-contacts", { javaScriptEnabled: false });
    await add(plain, "here", { last_name: "Vaughan", email: "dorothy@orbital.example", opted_out: "false" });
    await eventually(async () => {
      await plain.reload();
      assert.equal(await row(plain, "there", "dorothy@orbital.example").count(), 1);
    });
    await close(plain);
  });
});
