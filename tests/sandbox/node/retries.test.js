// Idempotency keys, and what the official library does about failures.

import assert from "node:assert/strict";
import test from "node:test";
import Stripe from "stripe";
import { client, fired, freshEmail, inject, steer } from "./sandbox.js";

const stripe = client();
const creates = { method: "POST", path: "/v1/customers" };

async function countByEmail(email) {
  return (await stripe.customers.list({ email })).data.length;
}

test("a repeated key gives the first answer again", async () => {
  const params = { email: freshEmail(), name: "Ann" };
  const options = { idempotencyKey: freshEmail("key") };
  const first = await stripe.customers.create(params, options);
  await stripe.customers.update(first.id, { name: "Eve" });
  const again = await stripe.customers.create(params, options);
  assert.deepEqual({ ...again }, { ...first });
  assert.equal(again.lastResponse.headers["idempotent-replayed"], "true");
  assert.equal(await countByEmail(params.email), 1);

  await assert.rejects(
    stripe.customers.create({ ...params, name: "Zoe" }, options),
    (error) => error instanceof Stripe.errors.StripeIdempotencyError && error.statusCode === 400,
  );
});

test("a key is new again after a day", async () => {
  const params = { email: freshEmail() };
  const options = { idempotencyKey: freshEmail("key") };
  const first = await stripe.customers.create(params, options);
  await steer("POST", "/clock", { advance_ms: 24 * 3_600_000 });
  assert.notEqual((await stripe.customers.create(params, options)).id, first.id);
  await steer("POST", "/clock", { offset_ms: 0 });
});

test("a lock timeout is retried by the library, a rate limit is not", async () => {
  const patient = client({ maxNetworkRetries: 2 });
  const email = freshEmail();
  const before = await fired("lock_timeout429");
  await inject({ kind: "lock_timeout429" }, creates);
  await inject({ kind: "key_in_use409" }, creates);
  await patient.customers.create({ email });
  assert.equal(await fired("lock_timeout429"), before + 1);
  assert.equal(await countByEmail(email), 1);

  await inject({ kind: "rate_limited429", retry_after: 3 }, creates);
  await assert.rejects(patient.customers.create({ email }), (error) => {
    assert.ok(error instanceof Stripe.errors.StripeRateLimitError);
    assert.equal(error.headers["retry-after"], "3");
    return true;
  });
  assert.equal(await countByEmail(email), 1);
});

test("the rate limiter itself answers 429", async () => {
  await steer("POST", "/rate_limit", { per_second: 0.001, burst: 1 });
  try {
    await stripe.customers.list({ limit: 1 });
    await assert.rejects(stripe.customers.list({ limit: 1 }), { type: "StripeRateLimitError", code: "rate_limit" });
  } finally {
    await steer("POST", "/rate_limit", null);
  }
});

test("a lost answer is repeated under one key and makes one customer", async () => {
  const email = freshEmail();
  const before = await fired("lost_answer");
  await inject({ kind: "lost_answer" }, creates);
  const made = await client({ maxNetworkRetries: 1 }).customers.create({ email });
  assert.equal(made.lastResponse.headers["idempotent-replayed"], "true");
  assert.equal(await fired("lost_answer"), before + 1);
  assert.equal(await countByEmail(email), 1);
});

test("a saved 500 is not retried and is given again", async () => {
  const email = freshEmail();
  const options = { idempotencyKey: freshEmail("key"), maxNetworkRetries: 0 };
  await inject({ kind: "saved_error500", executed: true }, creates);
  await assert.rejects(stripe.customers.create({ email }, options), { type: "StripeAPIError", statusCode: 500 });
  const before = (await steer("GET", "/state")).requests.replays;
  await assert.rejects(
    stripe.customers.create({ email }, { ...options, maxNetworkRetries: 2 }),
    (error) => error.headers["stripe-should-retry"] === "false",
  );
  assert.equal((await steer("GET", "/state")).requests.replays, before + 1);
  assert.equal(await countByEmail(email), 1);
});

test("a dropped connection and a 403 become the library's errors", async () => {
  await inject({ kind: "lost_request" }, creates);
  await inject({ kind: "lost_request" }, creates);
  await assert.rejects(stripe.customers.create({}), { type: "StripeConnectionError" });
  await inject({ kind: "forbidden403" }, creates);
  await assert.rejects(stripe.customers.create({}), { type: "StripePermissionError", statusCode: 403 });
});
