// Customers, lists and errors, as the official library sees them.

import assert from "node:assert/strict";
import test from "node:test";
import Stripe from "stripe";
import { client, freshEmail, steer } from "./sandbox.js";

const stripe = client();

test("create, retrieve and update", async () => {
  const email = freshEmail();
  const made = await stripe.customers.create({
    email,
    name: "Ann Öster",
    address: { city: "Köln", line1: "Domplatte 1+2 & 3" },
    shipping: { name: "Ann", address: { city: "Bonn" } },
    preferred_locales: ["de", "en"],
    invoice_settings: { footer: "Danke", custom_fields: [{ name: "PO", value: "7" }] },
    metadata: { "order id": "6735", bothways: "u1" },
  });
  assert.match(made.id, /^cus_[0-9A-Za-z]{14}$/);
  assert.equal(made.object, "customer");
  assert.equal(made.livemode, false);
  assert.equal(made.address.line1, "Domplatte 1+2 & 3");
  assert.equal(made.address.state, null);
  assert.deepEqual(made.preferred_locales, ["de", "en"]);
  assert.deepEqual(made.invoice_settings.custom_fields, [{ name: "PO", value: "7" }]);
  assert.deepEqual(made.metadata, { "order id": "6735", bothways: "u1" });
  assert.match(made.lastResponse.requestId, /^req_/);
  assert.equal(made.lastResponse.apiVersion, Stripe.API_VERSION);
  assert.ok(Math.abs(made.created - Date.now() / 1000) < 60);

  assert.deepEqual({ ...(await stripe.customers.retrieve(made.id)) }, { ...made });
  const changed = await stripe.customers.update(made.id, { name: "Eve", email: "" });
  assert.equal(changed.name, "Eve");
  assert.equal(changed.email, null);
  assert.equal(changed.shipping.address.city, "Bonn");
});

test("metadata merges, removes and clears", async () => {
  const { id } = await stripe.customers.create({ metadata: { a: "1", b: "2" } });
  assert.deepEqual((await stripe.customers.update(id, { metadata: { b: "", c: "3" } })).metadata, { a: "1", c: "3" });
  assert.deepEqual((await stripe.customers.update(id, { metadata: { a: null } })).metadata, { c: "3" });
  assert.deepEqual((await stripe.customers.update(id, { phone: "1" })).metadata, { c: "3" });
  assert.deepEqual((await stripe.customers.update(id, { metadata: "" })).metadata, {});
});

test("deleted customers", async () => {
  const email = freshEmail();
  const { id } = await stripe.customers.create({ email });
  assert.deepEqual({ ...(await stripe.customers.del(id)) }, { id, object: "customer", deleted: true });
  assert.equal((await stripe.customers.retrieve(id)).deleted, true);
  assert.deepEqual((await stripe.customers.list({ email })).data, []);
  await assert.rejects(stripe.customers.update(id, { name: "x" }), { code: "resource_missing", statusCode: 404 });
});

test("lists are newest first and page automatically", async () => {
  const email = freshEmail();
  const expected = [];
  for (let n = 0; n < 25; n += 1) expected.unshift((await stripe.customers.create({ email, name: `c${n}` })).id);

  const walked = [];
  for await (const customer of stripe.customers.list({ email, limit: 10 })) walked.push(customer.id);
  assert.deepEqual(walked, expected);
  assert.deepEqual(
    (await stripe.customers.list({ email, limit: 3 }).autoPagingToArray({ limit: 100 })).map((c) => c.id),
    expected,
  );

  const first = await stripe.customers.list({ email });
  assert.equal(first.object, "list");
  assert.equal(first.url, "/v1/customers");
  assert.equal(first.data.length, 10);
  assert.equal(first.has_more, true);

  const backwards = [];
  const oldest = expected.at(-1);
  for await (const customer of stripe.customers.list({ email, limit: 10, ending_before: oldest })) {
    backwards.push(customer.id);
  }
  assert.deepEqual(backwards, expected.slice(0, -1).reverse());
});

test("email is matched exactly", async () => {
  const email = freshEmail("Case");
  const { id } = await stripe.customers.create({ email });
  assert.deepEqual((await stripe.customers.list({ email })).data.map((c) => c.id), [id]);
  assert.deepEqual((await stripe.customers.list({ email: email.toLowerCase() })).data, []);
});

test("created filters", async () => {
  const email = freshEmail();
  const early = await stripe.customers.create({ email });
  await steer("POST", "/clock", { advance_ms: 10_000 });
  const late = await stripe.customers.create({ email });
  await steer("POST", "/clock", { offset_ms: 0 });
  assert.ok(late.created >= early.created + 10);
  const ids = async (created) => (await stripe.customers.list({ email, created })).data.map((c) => c.id);
  assert.deepEqual(await ids({ gte: late.created }), [late.id]);
  assert.deepEqual(await ids({ gt: late.created }), []);
  assert.deepEqual(await ids({ lt: late.created }), [early.id]);
  assert.deepEqual(await ids({ lte: late.created, gt: early.created }), [late.id]);
  assert.deepEqual(await ids(early.created), [early.id]);
});

test("refusals become the library's errors", async () => {
  await assert.rejects(stripe.customers.create({ colour: "red" }), (error) => {
    assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError);
    assert.equal(error.statusCode, 400);
    assert.equal(error.code, "parameter_unknown");
    assert.equal(error.param, "colour");
    assert.match(error.requestId, /^req_/);
    assert.match(error.doc_url, /parameter-unknown$/);
    return true;
  });
  await assert.rejects(stripe.customers.retrieve("cus_nope"), { code: "resource_missing", param: "id" });
  await assert.rejects(stripe.customers.list({ limit: 101 }), { statusCode: 400, param: "limit" });
  await assert.rejects(stripe.customers.list({ starting_after: "cus_nope" }), { statusCode: 400 });
  await assert.rejects(stripe.customers.create({ email: "nobody" }), { code: "email_invalid", param: "email" });
  await assert.rejects(stripe.customers.create({ metadata: { k: "v".repeat(501) } }), { param: "metadata" });
  await assert.rejects(
    client({}, "pk_test_wrong").customers.list(),
    (error) => error instanceof Stripe.errors.StripeAuthenticationError && error.statusCode === 401,
  );
});

test("the account and its restricted keys", async () => {
  const account = await client({}, "rk_test_restricted").accounts.retrieveCurrent();
  assert.match(account.id, /^acct_/);
  assert.equal(account.object, "account");
});
