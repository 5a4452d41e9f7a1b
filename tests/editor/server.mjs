// A client for yaml-language-server: starts it, opens documents, asks questions. Only what the tests need of LSP.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

export class Server {
  #child;
  #buffer = Buffer.alloc(0);
  #next = 1;
  #waiting = new Map();
  #diagnostics = new Map();

  static async start() {
    const server = new Server();
    await server.#request("initialize", {
      processId: process.pid,
      rootUri: null,
      capabilities: {
        workspace: { configuration: true },
        textDocument: {
          completion: { completionItem: { documentationFormat: ["markdown"], snippetSupport: false } },
          hover: { contentFormat: ["markdown"] },
          publishDiagnostics: {},
        },
      },
    });
    server.#notify("initialized", {});
    server.#notify("workspace/didChangeConfiguration", { settings: {} });
    return server;
  }

  constructor() {
    this.#child = spawn(process.execPath, [require.resolve("yaml-language-server/bin/yaml-language-server"), "--stdio"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdout.on("data", (chunk) => this.#read(chunk));
  }

  /** Opens a document and gives its diagnostics once the server has some to say, or says that there are none. */
  async open(uri, text) {
    const said = new Promise((resolve) => this.#diagnostics.set(uri, resolve));
    this.#notify("textDocument/didOpen", { textDocument: { uri, languageId: "yaml", version: 1, text } });
    return said;
  }

  async complete(uri, position) {
    const answer = await this.#request("textDocument/completion", { textDocument: { uri }, position });
    return answer.items ?? answer;
  }

  async hover(uri, position) {
    const answer = await this.#request("textDocument/hover", { textDocument: { uri }, position });
    return answer?.contents?.value ?? "";
  }

  async stop() {
    await this.#request("shutdown", null);
    const gone = once(this.#child, "exit");
    this.#notify("exit", null);
    await gone;
  }

  #request(method, params) {
    const id = this.#next++;
    this.#send({ id, method, params });
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #notify(method, params) {
    this.#send({ method, params });
  }

  #send(message) {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    this.#child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  #read(chunk) {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      const head = this.#buffer.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = Number(/Content-Length: (\d+)/i.exec(this.#buffer.subarray(0, head).toString())[1]);
      if (this.#buffer.length < head + 4 + length) return;
      const body = this.#buffer.subarray(head + 4, head + 4 + length).toString();
      this.#buffer = this.#buffer.subarray(head + 4 + length);
      this.#take(JSON.parse(body));
    }
  }

  #take(message) {
    if (message.method === undefined) {
      const { resolve, reject } = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error) reject(new Error(message.error.message));
      else resolve(message.result);
    } else if (message.id !== undefined) {
      this.#send({ id: message.id, result: this.#answer(message) });
    } else if (message.method === "textDocument/publishDiagnostics") {
      const { uri, diagnostics } = message.params;
      this.#diagnostics.get(uri)?.(diagnostics);
    }
  }

  /** What the server asks of an editor: settings. Schemas come from modelines alone, not from the network. */
  #answer({ method, params }) {
    if (method !== "workspace/configuration") return null;
    const yaml = { validate: true, hover: true, completion: true, schemaStore: { enable: false }, schemas: {} };
    return params.items.map(({ section }) => (section === "yaml" ? yaml : null));
  }
}
