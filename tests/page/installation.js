// A real installation, as small as can be: a table, the shipped mappings, `bothways run`, and a sandbox Stripe in a process of its own.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../..");
const TERMINAL = join(root, "tests/terminal");
const TABLE = "create table customers(id integer primary key, name text, email text not null, phone text, archived_at text)";

// Starts a program and waits until what it prints matches. Returns the match and a way to stop it.
function start(program, args, env, pattern) {
  const child = spawn(program, args, { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } });
  const stop = () =>
    new Promise((resolve) => {
      child.once("exit", resolve);
      child.kill("SIGINT");
    });
  return new Promise((resolve, reject) => {
    let text = "";
    const read = (chunk) => {
      text += chunk;
      const match = text.match(pattern);
      if (match) resolve({ match, stop });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${program} ended with ${code}: ${text}`)));
  });
}

function once(program, args, env = {}) {
  const done = spawnSync(program, args, { env: { ...process.env, ...env }, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${done.stderr || done.error}`);
  return done.stdout;
}

// A copy of the shipped documents of customers, with the lines of the mapping that `change` names replaced by others.
function documents(folder, change) {
  const copy = join(folder, "mappings");
  mkdirSync(copy, { recursive: true });
  for (const name of ["customers.yaml", "stripe-customers.yaml"]) {
    let text = readFileSync(join(root, "mappings", name), "utf8");
    for (const [line, other] of Object.entries(name === "stripe-customers.yaml" ? change : {})) {
      if (!text.includes(line)) throw new Error(`${name} has no line \`${line}\``);
      text = text.replace(line, other);
    }
    writeFileSync(join(copy, name), text);
  }
  return copy;
}

export async function install(change = {}) {
  const folder = mkdtempSync(join(tmpdir(), "bothways-installation-"));
  const file = join(folder, "app.db");
  const sql = (statement) => once("sqlite3", ["-cmd", ".timeout 5000", file, statement]).trim();
  sql(TABLE);
  const sandbox = await start(process.env.BOTHWAYS_SANDBOX_BIN, ["--listen", "127.0.0.1:0"], {}, /(http:\S+)/);
  const stripe = sandbox.match[1];
  const env = { STRIPE_BASE_URL: stripe, STRIPE_API_KEY: "sk_test_page" };
  const settings = ["--database", `sqlite://${file}`, "--mappings", documents(folder, change)];
  once(process.env.BOTHWAYS_BIN, ["migrate", ...settings], env);
  const listen = ["--listen", "127.0.0.1:0", "--hooks-listen", "127.0.0.1:0"];
  const ready = /page +(http:\S+?)(\/login\S*)[\s\S]*token +(\S+)[\s\S]*\bready\b/;
  // The address that logs in is printed to a terminal alone.
  const run = (listen, pattern) => start(TERMINAL, [process.env.BOTHWAYS_BIN, "run", ...settings, ...listen], env, pattern);
  let running = await run(listen, ready);
  const [, base, login, token] = running.match;
  return {
    base,
    login,
    token,
    sql,
    // All customers of the sandbox, deleted ones not.
    async customers() {
      const answer = await fetch(`${stripe}/v1/customers?limit=100`, { headers: { Authorization: `Bearer ${env.STRIPE_API_KEY}` } });
      return (await answer.json()).data;
    },
    // Deletes a customer as another program would.
    async remove(id) {
      await fetch(`${stripe}/v1/customers/${id}`, { method: "DELETE", headers: { Authorization: `Bearer ${env.STRIPE_API_KEY}` } });
    },
    // Changes a customer as another program would.
    async update(id, fields) {
      const headers = { Authorization: `Bearer ${env.STRIPE_API_KEY}` };
      await fetch(`${stripe}/v1/customers/${id}`, { method: "POST", headers, body: new URLSearchParams(fields) });
    },
    // Has the sandbox answer lists with nothing in them, or as usual again.
    async listNothing(nothing) {
      const fault = { action: { kind: "empty_list" }, times: 0 };
      const request = nothing ? { method: "POST", body: JSON.stringify([fault]) } : { method: "DELETE" };
      const answer = await fetch(`${stripe}/_sandbox/faults`, request);
      if (!answer.ok) throw new Error(await answer.text());
    },
    // Stops it, changes the mapping, starts it again at the same address. Returns where one logs in.
    async remap(change) {
      await running.stop();
      documents(folder, change);
      const same = ["--listen", new URL(base).host, "--hooks-listen", "127.0.0.1:0"];
      const again = /page +http:\S+?(\/login\S*)[\s\S]*\bready\b/;
      running = await run(same, again);
      return running.match[1];
    },
    async stop() {
      await running.stop();
      await sandbox.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
