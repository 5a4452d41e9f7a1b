// A second opinion on SOQL: what the sandbox takes, another parser takes too, and what it refuses for its grammar, so does
// that one.

import assert from "node:assert/strict";
import test from "node:test";
import { isQueryValid } from "@jetstreamapp/soql-parser-js";

const base = process.env.SANDBOX_URL;
const form = "grant_type=client_credentials&client_id=bothways_app&client_secret=bothways_app_secret";
const login = await fetch(`${base}/services/oauth2/token`, { method: "POST", body: form });
const headers = { authorization: `Bearer ${(await login.json()).access_token}` };

/** Whether the sandbox takes the query for one, whatever it finds. */
async function isTaken(soql) {
  const answer = await fetch(`${base}/services/data/v62.0/query?q=${encodeURIComponent(soql)}`, { headers });
  const body = await answer.json();
  return answer.ok || body[0].errorCode !== "MALFORMED_QUERY";
}

const queries = [
  "SELECT Id FROM Contact",
  "SELECT Id, SystemModstamp FROM Contact WHERE SystemModstamp >= 2026-01-02T03:04:05Z ORDER BY SystemModstamp, Id",
  "SELECT Id FROM Contact WHERE SystemModstamp > 2026-01-02T03:04:05.000+00:00 AND IsDeleted = false LIMIT 200",
  "SELECT Id FROM Contact WHERE LastName = 'O\\'Hara'",
  "SELECT Id FROM Contact WHERE LastName = 'back\\\\slash' OR LastName = 'new\\nline'",
  "SELECT Id FROM Contact WHERE LastName LIKE 'Smi%' AND (Title = null OR Title != 'VIP')",
  "SELECT Id FROM Contact WHERE Email IN ('a@x.io', 'b@x.io') ORDER BY LastName DESC NULLS LAST LIMIT 5 OFFSET 2",
  "SELECT Id FROM Contact WHERE Email NOT IN ('a@x.io')",
  "SELECT Id FROM Contact WHERE NOT LastName = 'x'",
  "SELECT Id FROM Contact WHERE (SystemModstamp > 2026-01-02T03:04:05Z OR (SystemModstamp = 2026-01-02T03:04:05Z AND Id > '003000000000001'))",
  "SELECT COUNT() FROM Contact",
  "select Id from Contact where Birthdate < 2000-01-01",
  "SELECT FROM Contact",
  "SELECT Id Contact",
  "SELECT Id FROM Contact WHERE",
  "SELECT Id FROM Contact WHERE LastName =",
  "SELECT Id FROM Contact WHERE LastName = 'O'Hara'",
  "SELECT Id FROM Contact WHERE LastName = \"x\"",
  "SELECT Id FROM Contact WHERE (LastName = 'x'",
  "SELECT Id FROM Contact LIMIT x",
  "SELECT Id, FROM Contact",
  "SELECT Id FROM Contact ORDER SystemModstamp",
  "SELECT Id FROM Contact WHERE Email IN ()",
];

for (const soql of queries) {
  test(`one opinion on: ${soql}`, async () => {
    assert.equal(await isTaken(soql), isQueryValid(soql));
  });
}
