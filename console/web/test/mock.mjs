// A shield for tests of the page: serves dist and the console's API with made-up attacks. `node test/mock.mjs [port]`
// prints the setup address. MOCK_KIND=live|recording|demo, MOCK_EMPTY=1 for a shield that has seen nothing.
import { createServer } from "node:http";
import { readFileSync, existsSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { classNames, detail, hostile, makeAttacks, makeLedger, makeLog, packet } from "./fake.mjs";

const dist = join(fileURLToPath(new URL(".", import.meta.url)), "..", "dist");
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml", ".woff2": "font/woff2" };
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const token = "MOCKTOKEN";

/** Starts a shield; resolves to its addresses and close(). */
export function start({ port = 0, kind = "demo", empty = false } = {}) {
  const attacks = empty ? [] : makeAttacks(240);
  const shield = { kind, attacks, proof: makeLog(attacks, `dejpha/${kind}/ab12cd34`), password: "", streams: new Set(), tries: 0, started: Date.now() };
  const server = createServer((req, res) => serve(shield, req, res).catch((e) => answer(res, 500, { error: String(e) })));
  server.unref(); // a test that fails half-way does not hold the process up
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => {
    const url = `http://127.0.0.1:${server.address().port}/`;
    resolve({
      url, setup: `${url}#setup=${token}`, shield,
      change: () => { for (const s of shield.streams) s.write('event: change\ndata: {}\n\n'); },
      close: () => { server.closeAllConnections(); return new Promise((r) => server.close(r)); },
    });
  }));
}

function answer(res, code, body, headers = {}) {
  res.writeHead(code, { "Content-Type": "application/json", ...headers });
  res.end(JSON.stringify(body));
}

async function serve(shield, req, res) {
  res.setHeader("Content-Security-Policy", policy);
  res.setHeader("X-Content-Type-Options", "nosniff");
  const url = new URL(req.url, "http://here");
  if (!url.pathname.startsWith("/api/")) return file(res, url.pathname);
  const inside = /dejpha_session=yes/.test(req.headers.cookie ?? "");
  const name = url.pathname.slice(5);
  if (name === "session") return answer(res, 200, { state: inside ? "in" : shield.password ? "login" : "setup" });
  if (req.method === "POST") return post(shield, req, res, name);
  if (!inside) return answer(res, 401, { error: "log in first" });
  const one = /^attacks\/(\d+)(?:\/(.+))?$/.exec(name);
  if (one) return single(shield, res, Number(one[1]), one[2] ?? "", url.searchParams);
  const room = rooms[name];
  if (!room) return answer(res, 404, { error: "no such address" });
  return room(shield, res, url.searchParams);
}

async function post(shield, req, res, name) {
  if (!req.headers["content-type"]?.startsWith("application/json")) return answer(res, 415, { error: "want application/json" });
  if (req.headers.origin !== `http://${req.headers.host}`) return answer(res, 403, { error: "requests from other sites are refused" });
  let text = "";
  for await (const part of req) text += part;
  const body = JSON.parse(text || "{}");
  const enter = { "Set-Cookie": "dejpha_session=yes; Path=/; HttpOnly; SameSite=Strict" };
  if (name === "logout") return answer(res, 200, { state: "login" }, { "Set-Cookie": "dejpha_session=; Path=/; Max-Age=0" });
  if (name === "blocks/undo") {
    const before = shield.blocks?.length;
    shield.blocks = shield.blocks?.filter((b) => b.prefix !== body.prefix);
    shield.undone = body;
    return shield.blocks?.length === before ? answer(res, 404, { error: `${body.prefix} is not blocked` }) : answer(res, 200, { prefix: body.prefix });
  }
  if (name === "rules/reload") {
    shield.reloads = (shield.reloads ?? 0) + 1;
    await new Promise((r) => setTimeout(r, 150)); // long enough that a second press would come in between
    return shield.broken ? answer(res, 400, { error: shield.broken }) : answer(res, 200, { said: "rules reloaded in 0.21 s: 41 in force, 0 refused; tried on 900 built-in packets; 12 of 12 searches are the old ones" });
  }
  if (name === "setup") {
    if (body.token !== token) return answer(res, 403, { error: "the setup token is wrong; take the newest address printed at the start" });
    if (body.password.length < 10) return answer(res, 400, { error: "the password needs at least 10 characters" });
    shield.password = body.password;
    return answer(res, 200, { state: "in" }, enter);
  }
  if (name === "login") return body.password === shield.password && shield.password ? answer(res, 200, { state: "in" }, enter) : answer(res, 403, { error: "wrong password" });
  return answer(res, 404, { error: "no such address" });
}

function file(res, path) {
  let name = join(dist, normalize(path));
  if (!extname(path) || path === "/") name = join(dist, "index.html");
  if (!name.startsWith(dist) || !existsSync(name)) { res.writeHead(404); return res.end("not here"); }
  res.writeHead(200, { "Content-Type": types[extname(name)] ?? "application/octet-stream" });
  res.end(readFileSync(name));
}

function single(shield, res, id, what, q) {
  const a = shield.attacks.find((x) => x.id === id);
  if (!a) return answer(res, 404, { error: `there is no attack ${id}` });
  if (what === "") return answer(res, 200, detail(a, shield.attacks));
  if (what === "proof") return answer(res, 200, a.leaf < 0 ? { sealed: false, caveats: ["This attack is not sealed yet."] } : shield.proof(a));
  const total = a.id % 11 === 0 ? 0 : 60;
  if (what === "packets.pcap") { res.writeHead(200, { "Content-Disposition": `attachment; filename="attack-${id}.pcap"` }); return res.end("pcap"); }
  const offset = Number(q.get("offset") ?? 0), limit = Number(q.get("limit") ?? 50);
  const items = [];
  for (let n = offset; n < Math.min(total, offset + limit); n++) items.push(packet(a, n + 1));
  return answer(res, 200, { total, link: 1, items });
}

/** The attacks that pass a query's filter. */
function passing(shield, q) {
  const any = (name, value) => !q.has(name) || q.getAll(name).includes(String(value));
  const text = (q.get("q") ?? "").toLowerCase().split(/\s+/);
  return shield.attacks.filter((a) => ["class", "outcome", "risk", "result", "severity", "side", "state", "incident"].every((f) => any(f, a[f])) &&
    (!q.has("country") || q.getAll("country").some((c) => (c === "none" ? "" : c) === a.country)) && any("origin", a.origin) && any("target", a.target) &&
    (!q.get("authorised") || (q.get("authorised") === "1") === a.authorised) && text.every((w) => `${a.origin} ${a.target} ${a.class} ${a.story}`.toLowerCase().includes(w)) &&
    (!q.get("from") || a.last_ms >= Number(q.get("from"))) && (!q.get("to") || a.first_ms < Number(q.get("to"))));
}

function figures(attacks) {
  const f = { foiled: 0, contained: 0, observed: 0, decoy: 0, none: 0, authorised: 0, open: 0 };
  for (const a of attacks) f[a.authorised ? "authorised" : a.state === "opened" ? "open" : a.risk !== "real" ? a.risk : a.outcome]++;
  return f;
}

const named = (list) => list.map((name) => ({ name, definition: `What ${name} means, in one sentence.` }));
const keys = { last_seen: "last_ms", first_seen: "first_ms" };

const rooms = {
  status: (s, res) => answer(res, 200, { kind: s.kind, source: s.kind === "live" ? "wlan0" : "the project's own samples", origin: `dejpha/${s.kind}/ab12cd34`, key: "5f1c9d2e8a7b6c40", version: "0.1.0", started_ms: s.started,
    now_ms: Date.now(), stopped: s.kind === "recording", log_size: 600, country_db: "", time_first_ms: 0, time_last_ms: 0, behind: false, fault: "" }),
  classes: (s, res) => answer(res, 200, { definition: "One attack is one origin trying one class of attack on one target group, until it is quiet for the class's gap.", table: "accounts/1",
    outcomes: named(["foiled", "contained", "observed"]), risks: named(["real", "decoy", "none"]), results: named(["succeeded", "failed", "unknown"]),
    classes: classNames.map((name) => ({ name, definition: `An origin that tries ${name}.`, severity: 2, techniques: ["T1046"], gap_s: 300 })) }),
  summary: (s, res, q) => {
    const attacks = passing(s, q);
    const needs = attacks.filter((a) => a.severity <= 2 && a.result !== "failed" && a.risk === "real" && a.outcome !== "foiled" && !a.authorised).sort((a, b) => b.last_ms - a.last_ms);
    const classes = classNames.map((name) => ({ name, ...figures(attacks.filter((a) => a.class === name)) })).filter((c) => attacks.some((a) => a.class === c.name));
    answer(res, 200, { ...figures(attacks), classes, needs: needs.slice(0, 5), needs_total: needs.length });
  },
  timeline: (s, res, q) => {
    const attacks = passing(s, q);
    const from = Number(q.get("from")) || Math.min(...attacks.map((a) => a.first_ms)), to = Number(q.get("to")) || Math.max(...attacks.map((a) => a.last_ms));
    if (!attacks.length) return answer(res, 200, { from_ms: 0, to_ms: 0, step_ms: 1000, series: [] });
    const steps = Number(q.get("buckets") ?? 120), step = Math.max(1000, Math.floor((to - from) / steps) + 1);
    const series = classNames.filter((n) => attacks.some((a) => a.class === n)).map((name) => {
      const counts = new Array(steps).fill(0);
      for (const a of attacks) if (a.class === name) counts[Math.max(0, Math.min(steps - 1, Math.floor((a.first_ms - from) / step)))]++;
      return { name, counts };
    });
    answer(res, 200, { from_ms: from, to_ms: from + steps * step, step_ms: step, series });
  },
  attacks: (s, res, q) => {
    const sort = q.get("sort") || "-last_seen", falling = sort.startsWith("-"), name = sort.replace("-", "");
    const key = keys[name] ?? name;
    const list = passing(s, q).sort((a, b) => (falling ? -1 : 1) * (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0) || b.last_ms - a.last_ms || b.id - a.id);
    const offset = Number(q.get("offset") ?? 0);
    answer(res, 200, { total: list.length, items: list.slice(offset, offset + Number(q.get("limit") ?? 50)) });
  },
  origins: (s, res, q) => {
    const by = new Map(), countries = new Map();
    let unplaced = 0;
    for (const a of passing(s, q)) {
      const o = by.get(a.origin) ?? { origin: a.origin, kind: a.origin_kind, country: a.country, attacks: 0, severity: 4, last_ms: 0 };
      by.set(a.origin, { ...o, attacks: o.attacks + 1, severity: Math.min(o.severity, a.severity), last_ms: Math.max(o.last_ms, a.last_ms) });
      a.country ? countries.set(a.country, (countries.get(a.country) ?? 0) + 1) : unplaced++;
    }
    answer(res, 200, { countries: [...countries].sort().map(([code, attacks]) => ({ code, attacks })), unplaced, items: [...by.values()].sort((a, b) => b.attacks - a.attacks).slice(0, Number(q.get("limit") ?? 200)) });
  },
  ledger: (s, res) => answer(res, 200, s.attacks.length ? makeLedger() : { ...makeLedger(), total: { received: 0, inspected: 0, bypassed: 0, dropped: 0, shed: 0, undecodable: 0 }, minutes: [] }),
  blocks: (s, res) => {
    s.blocks ??= s.attacks.length ? [
      { prefix: "198.51.100.7", by: "exploit: proven points 100 of 100: block for 10m", attack: 5, since_ms: Date.UTC(2026, 4, 11, 9), until_ms: Date.UTC(2026, 4, 11, 9, 10), rate: 0, packets: 12345, bytes: 6.1e6 },
      { prefix: "203.0.113.0/24", by: `root: ${hostile}`, attack: 0, since_ms: Date.UTC(2026, 4, 11, 8), until_ms: 0, rate: 50, packets: 0, bytes: 0 },
    ] : [];
    answer(res, 200, { way: "XDP native on eth0", mode: s.kind === "live" ? "on" : "rehearsal", total: s.blocks.length, items: s.blocks,
      price: s.kind === "live" ? null : { since_ms: Date.UTC(2026, 4, 11, 6), blocks: 14, hosts: 12, stopped: 45331, cost: 3, perhaps: 21, besides: 2 } });
  },
  interfaces: (s, res) => answer(res, 200, { items: s.kind !== "live" ? [] : [
    { name: "eth0", mode: "tap", on_failure: "", filter: `not host ${hostile}`, up: true, received: 1200345, inspected: 900000, bypassed: 300300, dropped: 0, shed: 0, undecodable: 45, bypassed_by: [{ why: "tls", packets: 300000 }, { why: "rule", packets: 300 }], shed_by: [] },
    { name: "eth1", mode: "bridge", on_failure: "block", filter: "", up: false, received: 70, inspected: 60, bypassed: 0, dropped: 3, shed: 7, undecodable: 0, bypassed_by: [], shed_by: [{ why: "blocked", packets: 7 }] },
  ] }),
  rules: (s, res) => answer(res, 200, s.reloads && !s.broken ? { on: true, busy: false, since_ms: Date.UTC(2026, 4, 11, 7), loaded: 41, refused: 0, refusals: [] } : {
    on: s.attacks.length > 0, busy: false, since_ms: Date.UTC(2026, 4, 11, 6), loaded: 40, refused: 1, refusals: [{ file: "rules/web.rules", line: 12, column: 34, sid: 9001, message: `unknown keyword "contnet" in ${hostile}` }] }),
  reports: (s, res) => answer(res, 200, { months: s.attacks.length ? [{ month: "2026-05", name: "May 2026", over: false }, { month: "2026-04", name: "April 2026", over: true }] : [] }),
  events: (s, res) => {
    res.writeHead(200, { "Content-Type": "text/event-stream" });
    res.write(": open\n\n");
    s.streams.add(res);
    res.on("close", () => s.streams.delete(res));
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const m = await start({ port: Number(process.argv[2] ?? 0), kind: process.env.MOCK_KIND, empty: process.env.MOCK_EMPTY === "1" });
  console.log(m.setup);
  setInterval(() => {}, 1 << 30); // until it is interrupted
}
