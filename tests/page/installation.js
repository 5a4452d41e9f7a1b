// A real installation, as small as can be: a table, the shipped mappings, `bothways run`, and a sandbox Stripe in a process of its own.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../..");
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

export async function install() {
  const folder = mkdtempSync(join(tmpdir(), "bothways-installation-"));
  const file = join(folder, "app.db");
  const sql = (statement) => once("sqlite3", ["-cmd", ".timeout 5000", file, statement]).trim();
  sql(TABLE);
  const sandbox = await start(process.env.BOTHWAYS_SANDBOX_BIN, ["--listen", "127.0.0.1:0"], {}, /(http:\S+)/);
  const stripe = sandbox.match[1];
  const env = { STRIPE_BASE_URL: stripe, STRIPE_API_KEY: "sk_test_page" };
  const settings = ["--database", `sqlite://${file}`, "--mappings", join(root, "mappings")];
  once(process.env.BOTHWAYS_BIN, ["migrate", ...settings], env);
  const listen = ["--listen", "127.0.0.1:0", "--hooks-listen", "127.0.0.1:0"];
  const ready = /page +(http:\S+?)(\/login\S*)[\s\S]*token +(\S+)[\s\S]*\bready\b/;
  const running = await start(process.env.BOTHWAYS_BIN, ["run", ...settings, ...listen], env, ready);
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
    async stop() {
      await running.stop();
      await sandbox.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
