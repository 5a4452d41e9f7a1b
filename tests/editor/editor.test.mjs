// What a person gets who opens our documents in an editor: the modeline in the first line is all the set-up there is.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Server } from "./server.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
let server;
let opened = 0;

before(async () => {
  server = await Server.start();
});
after(() => server.stop());

/** Opens `text` as a new file beside `path`, so that the relative modeline leads to the schemas. */
async function open(path, text) {
  const uri = pathToFileURL(`${root}${path.replace(/[^/]*$/, `open-${++opened}.yaml`)}`).href;
  return { uri, text, diagnostics: await server.open(uri, text) };
}

/** The place of `|` in `text`, and the text without it. */
function cursor(text) {
  const at = text.indexOf("|");
  const lines = text.slice(0, at).split("\n");
  return { text: text.slice(0, at) + text.slice(at + 1), position: { line: lines.length - 1, character: lines.at(-1).length } };
}

async function completions(path, marked) {
  const { text, position } = cursor(marked);
  const { uri } = await open(path, text);
  const items = await server.complete(uri, position);
  return new Map(items.map((item) => [item.label, item.documentation?.value ?? item.documentation ?? ""]));
}

const mapping = (rest) => `# yaml-language-server: $schema=schema/mapping.schema.json
mapping: people
local: customers
remote: stripe/customers
fields:
  email: $.email
${rest}`;

describe("shipped documents", () => {
  for (const path of ["mappings/customers.yaml", "mappings/stripe-customers.yaml", "connectors/stripe/connector.yaml"]) {
    test(`${path} has nothing to complain about`, async () => {
      const { diagnostics } = await open(path, readFileSync(root + path, "utf8"));
      assert.deepEqual(diagnostics.map((d) => d.message), []);
    });
  }
});

describe("diagnostics", () => {
  test("an unknown key is marked where it stands", async () => {
    const { diagnostics } = await open("mappings/x.yaml", mapping("  name: { remote: $.name, normalise: [trim] }\n"));
    const found = diagnostics.find((d) => d.message.includes("normalise"));
    assert.ok(found, JSON.stringify(diagnostics));
    assert.deepEqual(found.range.start, { line: 6, character: 26 });
  });

  test("a wrong word is marked, and the right ones are named", async () => {
    const { diagnostics } = await open("mappings/x.yaml", mapping("conflicts: { winner: newset }\n"));
    assert.equal(diagnostics.length, 1, JSON.stringify(diagnostics));
    assert.deepEqual(diagnostics[0].range.start, { line: 6, character: 21 });
  });

  test("a call that is none is marked", async () => {
    const text = `# yaml-language-server: $schema=schema/connector.schema.json
connector: crm
http: { base_url: https://crm.example }
resources:
  people:
    id: $.id
    get: /people/{id}
`;
    const { diagnostics } = await open("mappings/x.yaml", text);
    assert.equal(diagnostics.length, 1, JSON.stringify(diagnostics));
    assert.equal(diagnostics[0].range.start.line, 6);
  });

  test("a file of several documents is checked by the schema of all kinds", async () => {
    const text = `# yaml-language-server: $schema=schema/bothways.schema.json
catalog: people
table: people
key: id
fields: { id: int }
---
mapping: people
local: people
remote: stripe/customers
fields: { id: { remote: $.metadata.id, direction: out } }
`;
    assert.deepEqual((await open("mappings/x.yaml", text)).diagnostics, []);
  });
});

describe("completion", () => {
  test("keys of a mapping, with what they mean", async () => {
    const items = await completions("mappings/x.yaml", mapping("|\n"));
    for (const key of ["identity", "creates", "conflicts", "deletes", "sync", "only", "on_create"]) {
      assert.ok(items.has(key), `${key} of ${[...items.keys()]}`);
    }
    assert.match(items.get("deletes"), /deleted on one side/);
    assert.ok(!items.has("fields"), "a key that is there is not offered again");
  });

  test("keys of a field", async () => {
    const items = await completions("mappings/x.yaml", mapping("  name:\n    remote: $.name\n    |\n"));
    for (const key of ["normalize", "direction", "as", "winner", "default"]) {
      assert.ok(items.has(key), `${key} of ${[...items.keys()]}`);
    }
  });

  test("words, with what they mean", async () => {
    const items = await completions("mappings/x.yaml", mapping("conflicts:\n  winner: |\n"));
    assert.deepEqual([...items.keys()].sort(), ["local", "manual", "newest", "remote"]);
    assert.match(items.get("manual"), /A person decides/);
  });

  test("codecs", async () => {
    const items = await completions("mappings/x.yaml", mapping("  name:\n    remote: $.name\n    as: |\n"));
    for (const codec of ["unix", "iso8601", "string", "base64"]) {
      assert.ok(items.has(codec), `${codec} of ${[...items.keys()]}`);
    }
  });

  test("choices, with what they mean", async () => {
    const text = `# yaml-language-server: $schema=../../mappings/schema/connector.schema.json
connector: crm
http:
  base_url: https://crm.example
  auth:
    |
`;
    const items = await completions("connectors/stripe/x.yaml", text);
    for (const choice of ["bearer", "basic", "header", "query", "oauth2"]) {
      assert.ok(items.has(choice), `${choice} of ${[...items.keys()]}`);
    }
    assert.match(items.get("basic"), /user and password/);
  });

  test("types of a catalog's fields", async () => {
    const text = `# yaml-language-server: $schema=schema/catalog.schema.json
catalog: people
table: people
key: id
fields:
  id: |
`;
    const items = await completions("mappings/x.yaml", text);
    for (const type of ["text", "text?", "int", "timestamp?"]) {
      assert.ok(items.has(type), `${type} of ${[...items.keys()]}`);
    }
  });
});

describe("hover", () => {
  const hover = async (marked) => {
    const { text, position } = cursor(marked);
    const { uri } = await open("mappings/x.yaml", text);
    return server.hover(uri, position);
  };

  test("a key says what it means and what its default is", async () => {
    assert.match(await hover(mapping("conflicts: { sk|ew: 2s }\n")), /times nearer than this are a tie.*Default: \\?`2s/s);
    assert.match(await hover(mapping("confl|icts: { skew: 2s }\n")), /one field was changed on both sides/);
  });

  test("a word says what it means", async () => {
    assert.match(await hover(mapping("conflicts: { winner: man|ual }\n")), /A person decides/);
  });
});
