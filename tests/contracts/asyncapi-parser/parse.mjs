import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const [file] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"), { source: file });
const told = diagnostics.map(({ severity, code, path, message }) => ({ severity, code, path: path.join("/"), message }));
const counts = document && {
  version: document.version(),
  channels: document.channels().length,
  operations: document.operations().length,
  messages: document.components().messages().length,
};
process.stdout.write(JSON.stringify({ diagnostics: told, document: counts ?? null }));
