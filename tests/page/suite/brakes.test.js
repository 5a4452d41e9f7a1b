// What happens in bulk is withheld, shown record by record, and happens once somebody lets exactly that happen.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { close, eventually, launch, live, open, picture } from "../browser.js";
import { install } from "../installation.js";

const PEOPLE = 30;

describe("brakes", () => {
  let browser;
  let own;
  let page;
  before(async () => {
    own = await install({
      "from_local: manual }": "from_local: delete, confirm: irreversible }",
      "reconcile: 24h": "reconcile: 5s",
    });
    browser = await launch();
    const people = Array.from({ length: PEOPLE }, (_, n) => `('Person ${n}', 'p${n}@example.com')`);
    own.sql(`insert into customers(name, email) values ${people.join(", ")}`);
    page = await open(browser, own.login, { base: own.base });
    await page.waitForURL("**/records/customers");
    await goto("/status");
    await page.getByRole("link", { name: "Plan and approve" }).click();
    await page.getByRole("button", { name: "Approve this" }).click();
    await eventually(async () => assert.equal((await own.customers()).length, PEOPLE));
  });
  after(async () => {
    await browser?.close();
    await own?.stop();
  });

  const goto = async (path) => {
    await page.goto(own.base + path);
    await live(page);
  };
  const alert = (words) => page.locator("p.alert", { hasText: words });
  const badge = () => page.locator('[data-live="withheld"]').innerText();

  test("p12: a mass delete waits for one approval that names it", async () => {
    await goto("/status");
    own.sql("delete from customers where id <= 20");
    await alert("Withheld: 20 deletes").waitFor();
    assert.match(await badge(), /^20/);
    await picture(page, "withheld");
    assert.equal((await own.customers()).length, PEOPLE, "none is sent");
    await alert("Withheld: 20 deletes").getByRole("link").click();
    await live(page);
    assert.equal(await page.locator("tbody tr", { hasText: "delete the record at the service" }).count(), 20);
    await page.getByRole("button", { name: "Let exactly these 20 happen" }).waitFor();
    await picture(page, "brake");
    // One more meanwhile: the page follows, so nobody approves what they have not seen.
    own.sql("delete from customers where id = 21");
    const approve = page.getByRole("button", { name: "Let exactly these 21 happen" });
    await approve.waitFor();
    await page.getByLabel("Why").fill("they closed their accounts");
    await approve.click();
    await page.waitForURL("**/status");
    await eventually(async () => assert.equal((await own.customers()).length, PEOPLE - 21));
    await alert("Withheld").waitFor({ state: "detached" });
    assert.equal(await badge(), "");
    await goto("/history?op=delete");
    await eventually(async () => assert.equal(await page.locator(".entry", { hasText: "approved by" }).count(), 21));
    await picture(page, "approved");
  });

  test("p11: a side that suddenly lists nothing stops the full pass, and says so", async () => {
    await goto("/status");
    await own.listNothing(true);
    await alert("A full pass of stripe-customers was stopped").waitFor();
    assert.match(await alert("was stopped").innerText(), /the remote side lists nothing although links exist/);
    assert.match(await badge(), /^1/);
    await picture(page, "stopped");
    assert.equal(own.sql("select count(*) from customers"), String(PEOPLE - 21), "0 deletes");
    // It was a fault of the moment: the next pass finds everybody, and nothing has to be approved.
    await own.listNothing(false);
    await alert("was stopped").waitFor({ state: "detached", timeout: 40_000 });
    assert.equal((await own.customers()).length, PEOPLE - 21);
    await close(page);
  });
});
