// Both directions in one window: what is done on one side arrives on the other, and nothing that somebody types is lost.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { add, close, edit, eventually, field, inStep, launch, live, open, pane, picture, row, shows } from "../browser.js";

describe("the demo's page", () => {
  let browser;
  let page;
  before(async () => (browser = await launch()));
  after(() => browser.close());
  beforeEach(async () => {
    page = await open(browser, "/");
    await live(page);
  });
  afterEach(() => close(page));

  test("opens with both sides in step", async () => {
    assert.equal(new URL(page.url()).pathname, "/demo/stripe-customers");
    for (const email of ["ada@example.com", "alan@example.com", "katherine@example.com"]) {
      await row(page, "here", email).waitFor();
      await row(page, "there", email).waitFor();
      await inStep(page, email);
    }
    // One person who was on both sides before is one person still.
    assert.equal(await pane(page, "here").getByRole("form", { name: "Grace Hopper" }).count(), 1);
    assert.equal(await pane(page, "there").getByRole("form", { name: "Grace Hopper" }).count(), 1);
    await picture(page, "demo");
  });

  test("whoever is added here appears there", async () => {
    await add(page, "here", { name: "Mary Shelley", email: "mary@example.com", phone: "+44 20 7946 0001" });
    await row(page, "there", "mary@example.com").waitFor();
    await shows(page, "there", "mary@example.com", "phone", "+44 20 7946 0001");
    await inStep(page, "mary@example.com");
    const hop = page.locator(".feed .entry", { hasText: "mary@example.com" }).first();
    assert.match(await hop.innerText(), /Created in stripe/);
    assert.equal(await field(pane(page, "here").locator("form.add"), "name").inputValue(), "", "ready for the next");
  });

  test("whoever is added there appears here", async () => {
    await add(page, "there", { name: "Jane Austen", email: "jane@example.com" });
    await row(page, "here", "jane@example.com").waitFor();
    await inStep(page, "jane@example.com");
    const hop = page.locator(".feed .entry", { hasText: "jane@example.com" }).first();
    assert.match(await hop.innerText(), /Created here/);
  });

  test("edits travel both ways, field by field", async () => {
    await add(page, "here", { name: "Emily", email: "emily@example.com", phone: "1" });
    await inStep(page, "emily@example.com");
    await edit(page, "there", "emily@example.com", { name: "Emily Brontë" });
    await shows(page, "here", "emily@example.com", "name", "Emily Brontë");
    await edit(page, "here", "emily@example.com", { phone: "+44 1535 640 188" });
    await shows(page, "there", "emily@example.com", "phone", "+44 1535 640 188");
    await shows(page, "there", "emily@example.com", "name", "Emily Brontë");
    await inStep(page, "emily@example.com");
  });

  test("what somebody types is not overwritten by what arrives, and arrives all the same", async () => {
    await add(page, "here", { name: "Agatha", email: "agatha@example.com", phone: "1" });
    await inStep(page, "agatha@example.com");
    const mine = row(page, "here", "agatha@example.com");
    await field(mine, "name").fill("Agatha Christie");
    await edit(page, "there", "agatha@example.com", { phone: "2" });
    await shows(page, "here", "agatha@example.com", "phone", "2");
    assert.equal(await field(mine, "name").inputValue(), "Agatha Christie", "still there, not saved yet");
    await shows(page, "there", "agatha@example.com", "name", "Agatha");
    await mine.getByRole("button", { name: "Save" }).click();
    await shows(page, "there", "agatha@example.com", "name", "Agatha Christie");
    await shows(page, "there", "agatha@example.com", "phone", "2");
  });

  test("a second window follows the first", async () => {
    const other = await open(browser, "/demo");
    await live(other);
    await add(page, "here", { name: "Doris Lessing", email: "doris@example.com" });
    await row(other, "here", "doris@example.com").waitFor();
    await row(other, "there", "doris@example.com").waitFor();
    await close(other);
  });

  test("deletes travel both ways", async () => {
    await add(page, "here", { name: "Left", email: "left@example.com" });
    await add(page, "there", { name: "Right", email: "right@example.com" });
    await inStep(page, "left@example.com");
    await inStep(page, "right@example.com");
    await row(page, "here", "left@example.com").getByRole("button", { name: "Delete Left" }).click();
    await row(page, "there", "right@example.com").getByRole("button", { name: "Delete Right" }).click();
    await row(page, "here", "left@example.com").waitFor({ state: "detached" });
    await row(page, "there", "left@example.com").waitFor({ state: "detached", timeout: 40_000 });
    await row(page, "here", "right@example.com").waitFor({ state: "detached", timeout: 40_000 });
  });

  test("a refusal is said and nothing typed is lost", async () => {
    const form = pane(page, "here").locator("form.add");
    await field(form, "name").fill("Nobody");
    // The browser itself would not send it.
    await form.evaluate((element) => (element.noValidate = true));
    await form.getByRole("button", { name: "Add" }).click();
    await page.locator(".toast.bad", { hasText: "email" }).waitFor();
    assert.equal(await field(form, "name").inputValue(), "Nobody");
  });

  test("a stored script stays text, on both sides and on every page", async () => {
    const payload = `<img src=x onerror="alert('stored')"><script>alert('stored')</script>`;
    await add(page, "there", { name: payload, email: "mallory@example.com", phone: '"><b>1' });
    await row(page, "here", "mallory@example.com").waitFor();
    await shows(page, "here", "mallory@example.com", "name", payload);
    const id = await row(page, "here", "mallory@example.com").getAttribute("data-record");
    for (const path of ["/records/customers", `/records/customers/${id}`, `/records/customers/${id}/explain`, "/history"]) {
      await page.goto(new URL(path, page.url()).href);
      assert.match(await page.content(), /stored/, path);
      assert.equal(await page.locator("main img, main script, main b").count(), 0, path);
    }
    await page.goto(new URL("/demo", page.url()).href);
    await row(page, "here", "mallory@example.com").locator("button.remove").click();
    await row(page, "there", "mallory@example.com").waitFor({ state: "detached", timeout: 40_000 });
  });

  test("everything can be done by keyboard", async () => {
    await field(pane(page, "here").locator("form.add"), "name").focus();
    await page.keyboard.type("Virginia Woolf");
    await page.keyboard.press("Tab");
    await page.keyboard.type("virginia@example.com");
    await page.keyboard.press("Enter");
    await row(page, "there", "virginia@example.com").waitFor();
    await inStep(page, "virginia@example.com");
    await field(row(page, "there", "virginia@example.com"), "phone").focus();
    await page.keyboard.type("42");
    await page.keyboard.press("Enter");
    await shows(page, "here", "virginia@example.com", "phone", "42");
  });

  test("without the script it works by reloading", async () => {
    const plain = await open(browser, "/demo", { javaScriptEnabled: false });
    await add(plain, "here", { name: "Ursula", email: "ursula@example.com" });
    await row(plain, "here", "ursula@example.com").waitFor();
    await eventually(async () => {
      await plain.reload();
      assert.equal(await row(plain, "there", "ursula@example.com").count(), 1);
    });
    await close(plain);
  });

  test("it is readable in the dark and on a telephone", async () => {
    const dark = await open(browser, "/demo", { colorScheme: "dark" });
    await live(dark);
    await picture(dark, "demo-dark");
    await close(dark);
    const small = await open(browser, "/demo", { viewport: { width: 400, height: 800 } });
    await live(small);
    const wider = await small.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wider, 0, "nothing sticks out");
    await picture(small, "demo-small");
    await close(small);
  });
});
