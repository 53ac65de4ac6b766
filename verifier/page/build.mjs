// Puts the program and its page into one file that works offline: node build.mjs WASM WASM_EXEC.JS OUT
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const [wasm, exec, out] = process.argv.slice(2);
const near = (name) => readFileSync(new URL(name, import.meta.url), "utf8");
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const parts = { css: near("page.css"), exec: readFileSync(exec, "utf8"), script: near("page.js"), wasm: gzipSync(readFileSync(wasm), { level: 9 }).toString("base64") };
parts.policy = `default-src 'none'; script-src ${hash(parts.exec)} ${hash(parts.script)} 'wasm-unsafe-eval'; style-src ${hash(parts.css)}; base-uri 'none'; form-action 'none'`;
writeFileSync(out, near("page.html").replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]));
