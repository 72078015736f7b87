// What AsyncAPI's own parser finds in documents: node asyncapi_parser.cjs NODE_MODULES FILE...
// One line of JSON for each file: its messages by operation, and what is wrong with it.
const fs = require("node:fs");
const [modules, ...files] = process.argv.slice(2);
const { Parser } = require(`${modules}/@asyncapi/parser`);

// With its references resolved and its traits applied.
const described = (message) => [
  message.id(),
  {
    headers: message.headers().json(),
    payload: message.payload().json(),
    examples: message.examples().all().map((each) => each.json()),
  },
];

(async () => {
  for (const file of files) {
    const { document, diagnostics } = await new Parser().parse(fs.readFileSync(file, "utf8"));
    const operations = document?.operations().all() ?? [];
    const messages = operations.map((operation) => [
      operation.id(),
      Object.fromEntries(operation.messages().all().map(described)),
    ]);
    const findings = diagnostics.map((each) => ({
      code: each.code,
      severity: ["error", "warning", "information", "hint"][each.severity],
      message: each.message,
      path: each.path.join("."),
    }));
    console.log(JSON.stringify({ operations: Object.fromEntries(messages), findings }));
  }
})();
