// The made-up shield behind mock.mjs: attacks, packets and a really signed log. The same seed gives the same attacks.
import { createHash, generateKeyPairSync, sign } from "node:crypto";

export const classNames = ["scan", "enumeration", "brute-force", "web-attack", "exploit", "malware", "c2", "tunnel", "dga", "spoofing",
  "lateral-movement", "credential-access", "exfiltration", "flood", "plc-stop", "unauthorized-write"];
const grave = { scan: 3, enumeration: 3, flood: 2, "brute-force": 2, "web-attack": 2, exploit: 1, malware: 1, c2: 1, tunnel: 2, dga: 2 };
const places = ["DE", "US", "US", "NL", "CN", "BR", "FR", "SG", "AU", "ZA", "IN", "JP", ""];
const base = Date.UTC(2026, 4, 11, 6, 0, 0);

// A page that took these bytes for markup would show it: they are in stories, rules and packets.
export const hostile = `<img src=x onerror="document.title='taken'">`;

function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function makeAttacks(count, seed = 7) {
  const next = random(seed);
  const one = (list) => list[Math.floor(next() * list.length)];
  const attacks = [];
  for (let id = 1; id <= count; id++) {
    const name = one(classNames);
    const unproven = name === "flood" || name === "spoofing";
    const host = 1 + Math.floor(next() * 60), country = unproven ? "" : places[host % places.length];
    const origin = unproven ? "unproven" : country ? `198.51.100.${host}` : next() < 0.5 ? `10.9.0.${id % 20}` : "2001:db8:7:1::/64";
    const first = base + Math.floor(next() * 36e5 * 30);
    const last = first + Math.floor(next() * 18e5);
    const open = id > count - 6;
    const target = one(["10.20.1.0/24", "10.20.2.0/24", "plant", "web servers"]);
    attacks.push({
      id, state: open ? "opened" : "closed", class: name, techniques: ["T1046"], severity: grave[name] ?? 2,
      risk: next() < 0.85 ? "real" : one(["decoy", "none"]), side: origin.startsWith("10.") ? "inside" : "outside",
      outcome: one(["foiled", "contained", "observed", "observed"]), result: one(["failed", "failed", "unknown", "succeeded"]), authorised: id % 37 === 0, overflow: false,
      origin, origin_kind: unproven ? "unproven" : origin.includes("/") ? "prefix" : "ip", country, asn: "", target, target_ips: 1 + (id % 9), ports: [one([22, 80, 443, 445, 502])], subject: "",
      first_ms: first, last_ms: last, closed_ms: open ? 0 : last + 6e5, observations: 1 + Math.floor(next() * 900), flows: 1 + Math.floor(next() * 300),
      packets: 3 + Math.floor(next() * 9000), bytes: 300 + Math.floor(next() * 9e6), alerts: unproven ? 0 : 1 + (id % 2), incident: 1 + (id >> 2), leaf: open ? -1 : id * 2,
      story: id === 1 ? `${origin} sent ${hostile} to ${target}. The answer is unknown.` : `${origin} tried ${name} on ${target}. The target's answers are known in part.`,
    });
  }
  return attacks;
}

export function detail(a, all) {
  return {
    ...a,
    origin_detail: { ip: a.origin_kind === "ip" ? a.origin : "", prefix: a.origin_kind === "prefix" ? a.origin : "", mac: "", vlan: 0, domain: "", proven: a.origin_kind !== "unproven",
      sources: [{ ip: "198.51.100.77", observations: 12, country: "US" }, { ip: "203.0.113.9", observations: 3, country: "" }], sources_count: 2 },
    target_detail: { group: a.target, ips: ["10.20.1.4", "10.20.1.5"], ports: a.ports, proto: 6, count: a.target_ips },
    alerts_detail: a.alerts ? [{ gid: 1, sid: 9000 + a.id, rev: 2, msg: `Request with ${hostile}`, count: a.observations, file: "rules/web.rules", line: 12 + a.id,
      rule: `alert http any any -> any any (msg:"Request with markup"; flow:to_server,established; http.uri; content:"/cgi-bin/"; content:"${hostile.replaceAll('"', "|22|")}"; classtype:web-application-attack; sid:${9000 + a.id}; rev:2;)` }] : [],
    detectors: a.alerts ? [] : ["flood"], class_definition: `An origin that tries ${a.class} on a target group.`,
    related: all.filter((b) => b.incident === a.incident && b.id !== a.id), packets_kept: a.id % 11 === 0 ? 0 : 60, packets_hash: a.id % 11 === 0 ? "" : sha(Buffer.from("p" + a.id)).toString("hex"),
  };
}

export function packet(a, n) {
  const text = n === 1 ? `GET /cgi-bin/x?y=${hostile} HTTP/1.1\r\nHost: www.example\r\n\r\n` : `answer ${n} \u0000\u0001\u0002\u00ff`;
  const payload = Buffer.from(text, "latin1");
  const data = Buffer.concat([Buffer.from("0200000000010200000000020800" + "4500", "hex"), Buffer.alloc(38, n), payload]);
  return { n, time_ns: `${a.first_ms + n}123456`, wire: data.length, data: data.toString("base64"), payload_offset: 54,
    summary: `198.51.100.7:40000 -> 10.20.1.4:80 TCP PSH,ACK ${payload.length} bytes`, marks: n === 1 ? [[58, 67], [71, 71 + hostile.length]] : [] };
}

const sha = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const leafHash = (leaf) => sha(Buffer.from([0]), leaf);
const node = (left, right) => sha(Buffer.from([1]), left, right);
const split = (n) => 2 ** Math.floor(Math.log2(n - 1));
const root = (hashes) => (hashes.length === 1 ? hashes[0] : node(root(hashes.slice(0, split(hashes.length))), root(hashes.slice(split(hashes.length)))));

function inclusion(hashes, i) {
  if (hashes.length === 1) return [];
  const k = split(hashes.length);
  return i < k ? [...inclusion(hashes.slice(0, k), i), root(hashes.slice(k))] : [...inclusion(hashes.slice(k), i - k), root(hashes.slice(0, k))];
}

const order = { outcome: ["foiled", "contained", "observed"], result: ["succeeded", "failed", "unknown"], risk: ["real", "decoy", "none"] };
/** The openings of an attack's private part, and the commitment that they hash to. */
function openingsOf(a) {
  const d = detail(a, []), o = d.origin_detail, t = d.target_detail, json = (v) => Buffer.from(JSON.stringify(v));
  const values = [json({ ip: o.ip || undefined, prefix: o.prefix || undefined, proven: o.proven, sources: o.sources.map((s) => ({ ip: s.ip, count: s.observations })), source_count: o.sources_count }), json(t),
    json(d.alerts_detail.map(({ rule, file, line, ...x }) => x)), d.packets_hash ? Buffer.from(d.packets_hash) : null, json(d.detectors), null,
    json({ id: a.id, technique: a.techniques, observations: a.observations, flows: a.flows, incident: a.incident }), Buffer.alloc(8, a.id)];
  const openings = values.map((value, i) => ({ salt: sha(Buffer.from([a.id & 255, i])).subarray(0, 16), value }));
  const length = (v) => { const b = Buffer.alloc(4); b.writeUInt32BE(v.length); return b; };
  const commitments = openings.map(({ salt, value }, i) => (value ? sha(Buffer.from([0x20, i]), salt, length(value), value) : sha(Buffer.from([0x20, i]), salt)));
  return { openings, commitment: sha(Buffer.from([0x21]), ...commitments) };
}

/** An attack's leaf as docs/evidence.md says. */
export function leafOf(a) {
  const b = Buffer.alloc(200);
  b[0] = b[1] = 1;
  b.writeUInt16BE(order.risk.indexOf(a.risk) | (a.side === "inside" ? 4 : 0), 2);
  b.writeUInt16BE(classNames.indexOf(a.class), 4);
  b[6] = order.outcome.indexOf(a.outcome) * 3 + order.result.indexOf(a.result);
  b[7] = a.severity;
  [a.id, a.closed_ms * 1000 + 7, a.first_ms * 1000 + 8, a.last_ms * 1000 + 9, a.packets, 0, a.bytes, 0].forEach((v, i) => b.writeBigUInt64BE(BigInt(v), 8 + 8 * i));
  openingsOf(a).commitment.copy(b, 136);
  return b;
}

/** A log of the attacks under one signed checkpoint; gives the proof of each. */
export function makeLog(attacks, origin) {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const key = Buffer.concat([Buffer.from([1]), publicKey.export({ format: "der", type: "spki" }).subarray(-32)]);
  const id = sha(Buffer.from(origin + "\n"), key).subarray(0, 4);
  const leaves = [Buffer.from("the log begins")];
  for (const a of attacks) if (a.leaf >= 0) leaves[a.leaf] = leafOf(a);
  const hashes = Array.from(leaves, (leaf) => leafHash(leaf ?? Buffer.from("totals")));
  const top = root(hashes), size = hashes.length;
  const text = `${origin}\n${size}\n${top.toString("base64")}\n`;
  const checkpoint = `${text}\n\u2014 ${origin} ${Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]).toString("base64")}\n`;
  return (a) => ({
    sealed: true, index: a.leaf, leaf: leaves[a.leaf].toString("hex"), size, path: inclusion(hashes, a.leaf).map((h) => h.toString("hex")), root: top.toString("hex"), checkpoint,
    verifier: `${origin}+${id.toString("hex")}+${key.toString("base64")}`, key_fingerprint: sha(key).toString("hex").slice(0, 16), ordinal: a.id,
    cell: { class: a.class, outcome: a.outcome, result: a.result, risk: a.risk, side: a.side }, openings: openingsOf(a).openings.map(({ salt, value }) => ({ salt: salt.toString("base64"), value: value?.toString("base64") ?? null })),
    caveats: ["The proof shows that this record was in the log when the checkpoint was signed, and has not changed since.", "It does not show that the attack was not staged, nor who stood behind an address."],
  });
}

export function makeLedger() {
  const names = ["received", "inspected", "bypassed", "dropped", "shed", "undecodable"];
  const minutes = Array.from({ length: 60 }, (_, i) => {
    const inspected = 4000 + Math.round(2500 * Math.sin(i / 6)), dropped = i === 40 ? 210 : 0, undecodable = i % 7;
    return { at_ms: base + i * 60e3, received: inspected + dropped + undecodable, inspected, bypassed: 0, dropped, shed: 0, undecodable, open: i % 9 };
  });
  const total = Object.fromEntries(names.map((n) => [n, minutes.reduce((sum, m) => sum + m[n], 0)]));
  return { total, open: 6, balanced: true, minutes };
}
