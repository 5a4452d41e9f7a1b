// Conflicts: a field that was changed on both sides waits, is shown with all its values, and goes where a person says.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { add, close, edit, eventually, inStep, launch, live, open, picture, row, shows, url } from "../browser.js";

describe("deciding conflicts", () => {
  let browser;
  let page;
  before(async () => (browser = await launch()));
  after(() => browser.close());
  beforeEach(async () => {
    page = await open(browser, "/demo");
    await live(page);
  });
  afterEach(() => close(page));

  // Lets the same fields differ on both sides: paused, edited twice, resumed.
  async function disagree(email, here, there) {
    await add(page, "here", { name: "Before", email, phone: "0" });
    await inStep(page, email);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Resume" }).waitFor();
    await edit(page, "here", email, here);
    await edit(page, "there", email, there);
    for (const [name, value] of Object.entries(there)) await shows(page, "there", email, name, value);
    await page.getByRole("button", { name: "Resume" }).click();
    await row(page, "here", email).locator(".chip.bad", { hasText: "conflict" }).waitFor();
    return row(page, "here", email).getAttribute("data-record");
  }

  async function openItem(id) {
    await page.goto(`${url}/waiting`);
    await live(page);
    const item = page.locator("article.item", { has: page.getByRole("link", { name: `customers ${id}`, exact: true }) });
    await item.waitFor();
    return item;
  }

  async function back() {
    await page.goto(`${url}/demo`);
    await live(page);
  }

  test("shows what both sides agreed on and what each says now, and keeps what a person enters", async () => {
    const email = "conflict.value@example.com";
    const id = await disagree(email, { name: "Said here" }, { name: "Said there" });
    assert.match(await page.locator("nav .count").innerText(), /^1/);
    const item = await openItem(id);
    const text = await item.innerText();
    for (const words of ["Before", "Said here", "Said there", "conflict"]) assert.ok(text.includes(words), words);
    await picture(page, "waiting");
    await item.getByLabel("Another value for name").fill("Agreed by hand");
    assert.ok(await item.locator('input[value="value"]').isChecked(), "entering a value chooses it");
    await item.getByRole("button", { name: "Decide" }).click();
    await item.waitFor({ state: "detached" });
    await page.getByText("Nothing waits for you").waitFor();
    await eventually(async () => assert.equal(await page.locator("nav .count").count(), 0));
    await back();
    await shows(page, "here", email, "name", "Agreed by hand");
    await shows(page, "there", email, "name", "Agreed by hand");
    await inStep(page, email);
  });

  test("keeps one side's value for each field", async () => {
    const email = "conflict.sides@example.com";
    const id = await disagree(email, { name: "Name here", phone: "1" }, { name: "Name there", phone: "2" });
    const item = await openItem(id);
    await item.getByRole("group", { name: "name" }).getByText("Keep ours").click();
    await item.getByRole("group", { name: "phone" }).getByText("Keep stripe's").click();
    await item.getByRole("button", { name: "Decide" }).click();
    await item.waitFor({ state: "detached" });
    await back();
    for (const side of ["here", "there"]) {
      await shows(page, side, email, "name", "Name here");
      await shows(page, side, email, "phone", "2");
    }
    await inStep(page, email);
  });

  test("one button keeps all of one side", async () => {
    const email = "conflict.all@example.com";
    const id = await disagree(email, { name: "A", phone: "1" }, { name: "B", phone: "2" });
    const item = await openItem(id);
    await item.getByRole("button", { name: "Keep everything in stripe" }).click();
    await item.waitFor({ state: "detached" });
    await back();
    await shows(page, "here", email, "name", "B");
    await shows(page, "here", email, "phone", "2");
  });

  test("a decision about values that moved is refused and the new ones are shown", async () => {
    const email = "conflict.stale@example.com";
    const id = await disagree(email, { name: "Here" }, { name: "There" });
    const item = await openItem(id);
    await item.getByText("Keep stripe's", { exact: true }).click();
    const other = await open(browser, "/demo");
    await edit(other, "there", email, { name: "There, later" });
    // What a person is deciding on does not change under their hands; the badge's page in the other window shows that it has moved.
    await other.goto(`${url}/waiting`);
    await other.locator("article.item", { hasText: "There, later" }).waitFor();
    await close(other);
    assert.ok(!(await item.innerText()).includes("There, later"));
    await item.getByRole("button", { name: "Decide" }).click();
    await page.locator(".toast.bad", { hasText: "moved" }).waitFor();
    await eventually(async () => assert.ok((await item.innerText()).includes("There, later")));
    await item.getByText("Keep stripe's", { exact: true }).click();
    await item.getByRole("button", { name: "Decide" }).click();
    await item.waitFor({ state: "detached" });
    await back();
    await shows(page, "here", email, "name", "There, later");
  });
});
