// The sandbox under test: a client of the official library for it, and its steering.

import http from "node:http";
import { once } from "node:events";
import Stripe from "stripe";

const base = process.env.SANDBOX_URL;
if (!base) throw new Error("SANDBOX_URL names the sandbox to test, such as http://127.0.0.1:12111");
const { hostname, port } = new URL(base);

/**
 * A client of the official library that talks to the sandbox. When it retries, the library leaves the refused answer
 * unread, which keeps this process alive until its timeout: hence a short one.
 */
export function client(options = {}, key = "sk_test_node") {
  const where = { host: hostname, port: Number(port), protocol: "http" };
  return new Stripe(key, { ...where, timeout: 5_000, maxNetworkRetries: 0, ...options });
}

/** Calls the sandbox's steering. */
export async function steer(method, path, body) {
  const answer = await fetch(`${base}/_sandbox${path}`, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** Queues a fault for the next request it can happen to. */
export function inject(action, matcher = {}) {
  return steer("POST", "/faults", { ...matcher, action });
}

/** How often a kind of fault has fired. */
export async function fired(kind) {
  return (await steer("GET", "/faults")).fired[kind];
}

let counter = 0;

/** An email nobody else uses. */
export function freshEmail(name = "ann") {
  counter += 1;
  return `${name}.${process.pid}.${counter}@x.io`;
}

/**
 * Starts a receiver of webhooks on a free port. `answer` gives the status for the nth request, counted from 0.
 * `next()` waits for the next request and gives its raw body and its headers.
 */
export async function receiver(answer = () => 200) {
  const waiting = [];
  const got = [];
  let count = 0;
  const server = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    response.writeHead(answer(count++)).end();
    const hook = { body: Buffer.concat(parts), headers: request.headers };
    const taker = waiting.shift();
    if (taker) taker(hook);
    else got.push(hook);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    next: () => (got.length ? Promise.resolve(got.shift()) : new Promise((resolve) => waiting.push(resolve))),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
