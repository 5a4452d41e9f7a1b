// The sandbox Salesforce, as jsforce sees it.

import assert from "node:assert/strict";
import test from "node:test";
import jsforce from "jsforce";
import { freshEmail, steer } from "./sandbox.js";

const base = process.env.SANDBOX_URL;
const app = { clientId: "bothways_app", clientSecret: "bothways_app_secret", loginUrl: base };

/** A connection by client credentials. */
async function connect() {
  const connection = new jsforce.Connection({ instanceUrl: base, version: "62.0", oauth2: app });
  await connection.authorize({ grant_type: "client_credentials" });
  return connection;
}

const sf = await connect();

function settings(changes) {
  return steer("POST", "/salesforce/settings", changes);
}

function code(errorCode) {
  return (error) => {
    assert.equal(error.errorCode ?? error.name, errorCode);
    return true;
  };
}

test("records are created, read, changed and deleted", async () => {
  const made = await sf.sobject("Contact").create({ LastName: " Öster ", Email: "a@x.io" });
  assert.deepEqual({ success: made.success, errors: made.errors }, { success: true, errors: [] });
  const read = await sf.sobject("Contact").retrieve(made.id);
  assert.equal(read.LastName, "Öster");
  assert.equal(read.attributes.type, "Contact");
  assert.equal((await sf.sobject("Contact").update({ Id: made.id, Phone: "1" })).success, true);
  assert.equal((await sf.sobject("Contact").retrieve(made.id)).Phone, "1");
  assert.equal((await sf.sobject("Contact").destroy(made.id)).success, true);
  await assert.rejects(sf.sobject("Contact").retrieve(made.id), code("ENTITY_IS_DELETED"));
  await assert.rejects(sf.sobject("Contact").create({ FirstName: "nameless" }), code("REQUIRED_FIELD_MISSING"));
});

test("an upsert creates, then changes, and never guesses", async () => {
  const key = freshEmail("key");
  const made = await sf.sobject("Account").upsert({ Bothways_Id__c: key, Name: "Acme" }, "Bothways_Id__c");
  assert.equal(made.created, true);
  const again = await sf.sobject("Account").upsert({ Bothways_Id__c: key, Name: "Acme Inc" }, "Bothways_Id__c");
  assert.deepEqual({ id: again.id, created: again.created }, { id: made.id, created: false });
  assert.equal((await sf.sobject("Account").retrieve(made.id)).Name, "Acme Inc");

  for (const LastName of ["One", "Two"]) await sf.sobject("Contact").create({ LastName, Legacy_Key__c: key });
  const guess = sf.sobject("Contact").upsert({ Legacy_Key__c: key, LastName: "Three" }, "Legacy_Key__c");
  await assert.rejects(guess, (error) => {
    assert.equal(error.name, "MULTIPLE_CHOICES");
    assert.equal(error.data.length, 2);
    return true;
  });
  const found = await sf.sobject("Contact").find({ Legacy_Key__c: key }, ["LastName"]).sort("LastName");
  assert.deepEqual(found.map((contact) => contact.LastName), ["One", "Two"]);
});

test("long results are paged", async () => {
  const Title = freshEmail("title");
  const records = Array.from({ length: 25 }, (_, n) => ({ LastName: `c${String(n).padStart(2, "0")}`, Title }));
  const made = await sf.sobject("Contact").create(records);
  assert.equal(made.filter((result) => result.success).length, 25);
  await settings({ page_size: 10 });
  try {
    const query = `SELECT Id FROM Contact WHERE Title = '${Title}' ORDER BY LastName`;
    const first = await sf.query(query);
    assert.deepEqual([first.totalSize, first.done, first.records.length], [25, false, 10]);
    const second = await sf.queryMore(first.nextRecordsUrl);
    const third = await sf.queryMore(second.nextRecordsUrl);
    assert.equal(third.done, true);
    const walked = [first, second, third].flatMap((page) => page.records.map((record) => record.Id));
    assert.deepEqual(walked, made.map((result) => result.id));
    assert.equal((await sf.query(query, { autoFetch: true, maxFetch: 100 })).records.length, 25);
  } finally {
    await settings({ page_size: 2000 });
  }
});

test("each record of a collection has its own result", async () => {
  const results = await sf.sobject("Contact").create([{ LastName: "One" }, { Email: "nobody" }, { LastName: "Three" }]);
  assert.deepEqual(results.map((result) => result.success), [true, false, true]);
  assert.equal(results[1].errors[0].statusCode, "INVALID_EMAIL_ADDRESS");
  const ids = [results[0].id, results[2].id];
  const changed = await sf.sobject("Contact").update(ids.map((Id) => ({ Id, Phone: "1" })));
  assert.deepEqual(changed.map((result) => result.id), ids);
  const read = await sf.sobject("Contact").retrieve(ids);
  assert.deepEqual(read.map((contact) => contact.Phone), ["1", "1"]);
  const both = sf.sobject("Contact").create([{ LastName: "Four" }, {}], { allOrNone: true });
  const codes = (await both).map((result) => result.errors[0].statusCode);
  assert.deepEqual(codes, ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"]);
  assert.deepEqual((await sf.sobject("Contact").destroy(ids)).map((result) => result.success), [true, true]);
});

test("deleted records are found by scanAll and by the replication call", async () => {
  const { id } = await sf.sobject("Contact").create({ LastName: "gone" });
  await sf.sobject("Contact").destroy(id);
  const query = `SELECT IsDeleted FROM Contact WHERE Id = '${id}'`;
  assert.equal((await sf.query(query)).totalSize, 0);
  assert.equal((await sf.query(query, { scanAll: true })).records[0].IsDeleted, true);
  await steer("POST", "/clock", { advance_ms: 120_000 });
  try {
    const now = Date.now() + 120_000;
    const got = await sf.sobject("Contact").deleted(new Date(now - 600_000), new Date(now));
    assert.ok(got.deletedRecords.some((record) => record.id === id));
    const month = new Date(now - 31 * 86_400_000);
    await assert.rejects(sf.sobject("Contact").updated(month, new Date(now)), code("INVALID_REPLICATION_DATE"));
  } finally {
    await steer("POST", "/clock", { offset_ms: 0 });
  }
});

test("a duplicate rule is passed only by its header", async () => {
  const Email = freshEmail();
  await sf.sobject("Contact").create({ LastName: "Lee", Email });
  await settings({ duplicate_rule: "alert" });
  try {
    await assert.rejects(sf.sobject("Contact").create({ LastName: "Li", Email }), code("DUPLICATES_DETECTED"));
    const headers = { "Sforce-Duplicate-Rule-Header": "allowSave=true" };
    assert.equal((await sf.sobject("Contact").create({ LastName: "Li", Email }, { headers })).success, true);
  } finally {
    await settings({ duplicate_rule: "off" });
  }
});

test("refresh tokens rotate and are used once", async () => {
  const { refresh_token: refreshToken } = await steer("POST", "/salesforce/consent");
  const oauth2 = new jsforce.OAuth2(app);
  const first = await oauth2.refreshToken(refreshToken);
  assert.notEqual(first.refresh_token, refreshToken);
  const connection = new jsforce.Connection({
    instanceUrl: base, version: "62.0", oauth2: app, accessToken: "ended", refreshToken: first.refresh_token,
  });
  let refreshed = 0;
  connection.on("refresh", () => { refreshed += 1; });
  assert.equal((await connection.query("SELECT Id FROM Organization")).totalSize, 1);
  assert.equal(refreshed, 1);
  await assert.rejects(oauth2.refreshToken(refreshToken), { name: "invalid_grant" });
  await assert.rejects(connection.query("SELECT Id FROM Organization"));
});

test("a person consents in the browser", async () => {
  const redirectUri = "http://127.0.0.1:9/back";
  const oauth2 = new jsforce.OAuth2({ ...app, redirectUri, useVerifier: true });
  const answer = await fetch(oauth2.getAuthorizationUrl({ state: "s" }), { redirect: "manual" });
  const back = new URL(answer.headers.get("location"));
  assert.equal(back.searchParams.get("state"), "s");
  const connection = new jsforce.Connection({ instanceUrl: base, version: "62.0", oauth2 });
  const user = await connection.authorize(back.searchParams.get("code"));
  assert.equal(user.organizationId, (await steer("GET", "/salesforce/state")).organization);
  assert.ok(connection.refreshToken);
  assert.equal((await connection.query("SELECT Id FROM Organization")).totalSize, 1);
});

test("the allowance is told and kept", async () => {
  await sf.query("SELECT Id FROM Organization");
  const { used, limit } = sf.limitInfo.apiUsage;
  assert.equal(limit, 100_000);
  await settings({ daily_requests: used + 1 });
  try {
    await sf.query("SELECT Id FROM Organization");
    await assert.rejects(sf.query("SELECT Id FROM Organization"), code("REQUEST_LIMIT_EXCEEDED"));
  } finally {
    await settings({ daily_requests: 100_000 });
  }
});

test("the service describes itself and who asks", async () => {
  const fields = (await sf.sobject("Contact").describe()).fields;
  assert.equal(fields.find((field) => field.name === "Bothways_Id__c").unique, true);
  assert.ok((await sf.describeGlobal()).sobjects.some((object) => object.name === "Account"));
  const { organization_id: organization } = await sf.identity();
  assert.equal((await steer("GET", "/salesforce/state")).organization, organization);
});
