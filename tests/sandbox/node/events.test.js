// Events and webhooks, as the official library reads and verifies them.

import assert from "node:assert/strict";
import test from "node:test";
import Stripe from "stripe";
import { client, freshEmail, inject, receiver, steer } from "./sandbox.js";

const stripe = client();

/** The events about one customer, oldest first. */
async function eventsOf(id) {
  const events = await stripe.events.list({ limit: 100 }).autoPagingToArray({ limit: 10_000 });
  return events.filter((event) => event.data.object.id === id).reverse();
}

test("events tell what changed and who caused it", async () => {
  const { id } = await stripe.customers.create({ name: "Ann", metadata: { a: "1" } });
  const key = freshEmail("key");
  await stripe.customers.update(id, { name: "Eve", metadata: { b: "2" } }, { idempotencyKey: key });
  await steer("POST", `/customers/${id}`, { phone: "+49 1" });
  await stripe.customers.del(id);

  const events = await eventsOf(id);
  assert.deepEqual(
    events.map((event) => event.type),
    ["customer.created", "customer.updated", "customer.updated", "customer.deleted"],
  );
  const [created, byApi, byHand] = events;
  assert.equal(created.object, "event");
  assert.equal(created.livemode, false);
  assert.equal(created.data.previous_attributes, undefined);
  assert.deepEqual(byApi.data.previous_attributes, { name: "Ann", metadata: { b: null } });
  assert.equal(byApi.request.idempotency_key, key);
  assert.deepEqual(byHand.data.previous_attributes, { phone: null });
  assert.equal(byHand.request.id, null);
  assert.deepEqual({ ...(await stripe.events.retrieve(byApi.id)) }, { ...byApi });
});

test("the feed is filtered, paged and kept for 30 days", async () => {
  const { id } = await stripe.customers.create({ name: "Ann" });
  const [created] = await eventsOf(id);
  await stripe.customers.update(id, { name: "Eve" });
  await stripe.customers.del(id);
  const ours = async (params) =>
    (await stripe.events.list(params)).data.filter((e) => e.data.object.id === id).map((e) => e.type);
  assert.deepEqual(await ours({ ending_before: created.id }), ["customer.deleted", "customer.updated"]);
  const types = ["customer.created", "customer.deleted"];
  assert.deepEqual(await ours({ types, created: { gte: created.created } }), types.toReversed());
  assert.equal((await stripe.events.list({ type: "customer.deleted", limit: 1 })).data.length, 1);
  await steer("POST", "/clock", { advance_ms: 31 * 86_400_000 });
  await assert.rejects(stripe.events.retrieve(created.id), { code: "resource_missing", statusCode: 404 });
  assert.deepEqual((await stripe.events.list()).data, []);
  await steer("POST", "/clock", { offset_ms: 0 });
});

test("webhook endpoints come and go", async () => {
  const made = await stripe.webhookEndpoints.create({
    url: "http://127.0.0.1:9/hook",
    enabled_events: ["customer.created"],
    description: "ours",
    metadata: { a: "1" },
  });
  assert.match(made.secret, /^whsec_/);
  assert.equal(made.status, "enabled");
  assert.equal((await stripe.webhookEndpoints.retrieve(made.id)).secret, undefined);
  const changed = await stripe.webhookEndpoints.update(made.id, { disabled: true, enabled_events: ["*"] });
  assert.equal(changed.status, "disabled");
  assert.deepEqual(changed.enabled_events, ["*"]);
  assert.ok((await stripe.webhookEndpoints.list()).data.some((endpoint) => endpoint.id === made.id));
  assert.equal((await stripe.webhookEndpoints.del(made.id)).deleted, true);
  await assert.rejects(stripe.webhookEndpoints.retrieve(made.id), { code: "resource_missing" });
  await assert.rejects(stripe.webhookEndpoints.create({ url: "nowhere", enabled_events: ["*"] }), { param: "url" });
});

test("deliveries are verified, repeated, and signed by both secrets during a roll", async () => {
  const hooks = await receiver((n) => (n === 0 ? 500 : 200));
  const endpoint = await stripe.webhookEndpoints.create({ url: hooks.url, enabled_events: ["customer.created"] });
  const verify = ({ body, headers }, secret) =>
    stripe.webhooks.constructEvent(body, headers["stripe-signature"], secret);
  try {
    const { id } = await stripe.customers.create({ name: "Ann" });
    const refused = await hooks.next();
    const event = verify(refused, endpoint.secret);
    assert.equal(event.type, "customer.created");
    assert.equal(event.data.object.id, id);
    assert.equal(event.pending_webhooks, 1);
    assert.throws(() => verify(refused, "whsec_other"), Stripe.errors.StripeSignatureVerificationError);
    assert.throws(
      () => verify({ ...refused, body: Buffer.concat([refused.body, Buffer.from(" ")]) }, endpoint.secret),
      Stripe.errors.StripeSignatureVerificationError,
    );
    assert.equal(verify(await hooks.next(), endpoint.secret).id, event.id);

    const { secret } = await steer("POST", `/webhook_endpoints/${endpoint.id}/roll`, { overlap_seconds: 3600 });
    await inject({ kind: "delivery_duplicated" });
    await stripe.customers.create({ name: "Eve" });
    const [one, two] = [await hooks.next(), await hooks.next()];
    assert.equal(verify(one, endpoint.secret).id, verify(two, secret).id);
    assert.throws(() => verify(two, "whsec_other"), Stripe.errors.StripeSignatureVerificationError);
  } finally {
    await stripe.webhookEndpoints.del(endpoint.id);
    hooks.close();
  }
});
