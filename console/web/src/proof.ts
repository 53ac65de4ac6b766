// Checks in the browser what the shield says of a sealed attack. Nothing here trusts the server's own verdict: the
// leaf's bytes are read and hashed again, the path is walked again (RFC 6962), the note's signature is checked (C2SP).
import type { Detail, Proof, Row } from "./api";

export type Verdict = "right" | "wrong" | "unchecked";
export interface Step { name: string; verdict: Verdict; said: string }

/** What a leaf's bytes say; docs/evidence.md has the layout. */
export interface Leaf {
  class: number; outcome: string; result: string; risk: string; side: string; severity: number; ordinal: number;
  closed_ms: number; first_ms: number; last_ms: number; packets: number; bytes: number; commitment: Uint8Array;
}

type Bytes = Uint8Array<ArrayBuffer>;

const outcomes = ["foiled", "contained", "observed"], results = ["succeeded", "failed", "unknown"], risks = ["real", "decoy", "none"];
const notHere = "not checked by this browser";

export function unhex(text: string): Bytes {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new Error("not hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (b) => parseInt(b, 16));
}

export const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

export const unbase64 = (text: string): Bytes => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

async function sha256(...parts: (Uint8Array | number[])[]): Promise<Bytes> {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((v, i) => v === b[i]);

/** The root to which a leaf leads by its path (RFC 9162, 2.1.3.2); undefined when the path has the wrong length. */
export async function rootOf(leafHash: Bytes, index: number, size: number, path: Bytes[]): Promise<Bytes | undefined> {
  if (index < 0 || index >= size) return undefined;
  let at = index, last = size - 1, hash = leafHash;
  for (const p of path) {
    if (last === 0) return undefined;
    if (at % 2 === 1 || at === last) {
      hash = await sha256([1], p, hash);
      while (at % 2 === 0 && at !== 0) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
    } else {
      hash = await sha256([1], hash, p);
    }
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 ? hash : undefined;
}

/** Reads an attack's leaf; undefined when the bytes are not one. */
export function readLeaf(b: Bytes): Leaf | undefined {
  if (b.length !== 200 || b[0] !== 1 || b[1] !== 1) return undefined;
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  const wide = (at: number) => Number(v.getBigUint64(at));
  const ms = (at: number) => Number(v.getBigUint64(at) / 1000n);
  const flags = v.getUint16(2), mix = v.getUint8(6);
  return {
    class: v.getUint16(4), outcome: outcomes[Math.floor(mix / 3)] ?? "?", result: results[mix % 3] ?? "?", risk: risks[flags & 3] ?? "?", side: flags & 4 ? "inside" : "outside",
    severity: v.getUint8(7), ordinal: wide(8), closed_ms: ms(16), first_ms: ms(24), last_ms: ms(32), packets: wide(40), bytes: wide(56), commitment: b.slice(136, 168),
  };
}

/** A signed note taken apart: what is signed, and the signature of the key with this name and number. */
export function readNote(note: string, verifier: string) {
  const cut = note.lastIndexOf("\n\n");
  const [, name, id, key] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/s.exec(verifier) ?? [];
  if (cut < 0 || !name || !id || !key) return undefined;
  const text = note.slice(0, cut + 1);
  const [origin, size, root] = text.split("\n");
  for (const line of note.slice(cut + 2).split("\n")) {
    const [, who, signed] = /^\u2014 (\S+) (\S+)$/.exec(line) ?? [];
    if (who !== name || !signed) continue;
    const bytes = unbase64(signed);
    if (hex(bytes.slice(0, 4)) === id) return { text, origin: origin!, size: Number(size), root: root ?? "", name, id, key: unbase64(key), signature: bytes.slice(4) };
  }
  return undefined;
}

/** The differences between what a leaf says and what the page shows of its attack. */
export function differences(leaf: Leaf, row: Row, proof: Proof, classes: string[]): string[] {
  const shown: Record<string, unknown> = { ...row, ordinal: proof.ordinal, class: classes.length ? classes.indexOf(row.class) : leaf.class };
  return (["class", "outcome", "result", "risk", "side", "severity", "ordinal", "first_ms", "last_ms", "closed_ms", "packets", "bytes"] as const).filter((k) => leaf[k] !== shown[k]);
}

/** What the opened private part says, field by field, against what the page shows of its attack; names what differs. */
export function privateDifferences(values: (Bytes | undefined)[], a: Detail): string[] {
  const text = (i: number) => new TextDecoder().decode(values[i] ?? new Uint8Array());
  const json = (i: number) => JSON.parse(text(i) || "null") ?? {};
  const o = json(0), t = json(1), rest = json(6), shown = a.origin_detail, aim = a.target_detail;
  const list = (i: number): any[] => JSON.parse(text(i) || "null") ?? [];
  const pairs: Record<string, [unknown, unknown]> = {
    origin: [[o.ip ?? "", o.prefix ?? "", o.mac ?? "", o.vlan ?? 0, o.domain ?? "", o.proven, o.source_count], [shown.ip, shown.prefix, shown.mac, shown.vlan, shown.domain, shown.proven, shown.sources_count]],
    "origin's name": a.overflow ? ["", ""] : [o.ip ?? o.prefix ?? o.mac ?? o.domain ?? "", a.origin_kind === "unproven" ? "" : a.origin_kind === "mac" ? a.origin.slice(0, o.mac?.length) : a.origin],
    sources: [(o.sources ?? []).map((s: any) => [s.ip, s.count]), shown.sources.map((s) => [s.ip, s.observations])],
    target: [[t.group, t.ips ?? [], t.ports ?? [], t.proto ?? 0, t.count], [aim.group, aim.ips, aim.ports, aim.proto, aim.count]],
    alerts: [list(2).map((x) => [x.gid, x.sid, x.rev, x.msg, x.count]), a.alerts_detail.map((x) => [x.gid, x.sid, x.rev, x.msg, x.count])],
    packets: [text(3), a.packets_hash],
    detectors: [list(4), a.detectors],
    subject: [text(5), a.subject],
    "other fields": [[rest.id, rest.technique ?? [], rest.observations, rest.flows, rest.incident], [a.id, a.techniques, a.observations, a.flows, a.incident]],
  };
  return Object.entries(pairs).filter(([, [said, seen]]) => JSON.stringify(said) !== JSON.stringify(seen)).map(([name]) => name);
}

/** Opens the private part: its fields must hash to the leaf's commitment, and say what the page says. */
async function opened(proof: Proof, leaf: Leaf, a: Detail): Promise<Step[]> {
  const name = "The private part is the one the leaf binds";
  if (!proof.openings) return [{ name, verdict: "unchecked", said: "it was erased: who and what can no longer be checked, only that they were sealed" }];
  const values = proof.openings.map((o) => (o.value === null ? undefined : unbase64(o.value)));
  const commitments = await Promise.all(proof.openings.map((o, i) => {
    const value = values[i];
    return value ? sha256([0x20, i], unbase64(o.salt), [24, 16, 8, 0].map((n) => (value.length >>> n) & 255), value) : sha256([0x20, i], unbase64(o.salt));
  }));
  const bound = same(await sha256([0x21], ...commitments), leaf.commitment);
  const differ = bound ? privateDifferences(values, a) : [];
  return [
    judge(name, bound, `its ${commitments.length} fields hash to the leaf's commitment`, "its fields are not those that were sealed"),
    judge("The private part says what this page says", bound && differ.length === 0, "origin, targets, rules, detectors, techniques and the packets' hash are the same", bound ? `they differ in ${differ.join(", ")}` : "it cannot be told"),
  ];
}

async function signature(note: NonNullable<ReturnType<typeof readNote>>): Promise<Step> {
  const name = "The checkpoint bears the log's signature";
  const id = await sha256(new TextEncoder().encode(note.name + "\n"), note.key);
  if (note.key.length !== 33 || note.key[0] !== 1 || hex(id.slice(0, 4)) !== note.id) return { name, verdict: "wrong", said: "the key is not the one its name says" };
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey("raw", note.key.slice(1), "Ed25519", false, ["verify"]);
  } catch {
    return { name, verdict: "unchecked", said: `${notHere}: it does not know Ed25519` };
  }
  const ok = await crypto.subtle.verify("Ed25519", key, note.signature, new TextEncoder().encode(note.text));
  return { name, verdict: ok ? "right" : "wrong", said: ok ? `Ed25519 by ${note.name}` : "the signature does not fit the checkpoint" };
}

const judge = (name: string, ok: boolean, right: string, wrong: string): Step => ({ name, verdict: ok ? "right" : "wrong", said: ok ? right : wrong });

/** Checks a proof step by step, and that it is a proof of this attack. classes: names in the order of their numbers. */
export async function check(proof: Proof, row: Detail, classes: string[]): Promise<Step[]> {
  if (!globalThis.crypto?.subtle) return [{ name: "The proof", verdict: "unchecked", said: `${notHere}: it offers no cryptography at this address` }];
  try {
    return await steps(proof, row, classes);
  } catch (e) {
    return [{ name: "The proof", verdict: "wrong", said: `it cannot be read: ${(e as Error).message}` }];
  }
}

async function steps(proof: Proof, row: Detail, classes: string[]): Promise<Step[]> {
  const bytes = unhex(proof.leaf), leaf = readLeaf(bytes), done: Step[] = [];
  const differ = leaf ? differences(leaf, row, proof, classes) : [];
  done.push(judge("The leaf says what this page says", leaf !== undefined && differ.length === 0, "class, outcome, result, risk, side, severity, times, packets and bytes are the same",
    leaf ? `they differ in ${differ.join(", ")}` : "it is not the leaf of an attack"));
  if (leaf) done.push(...(await opened(proof, leaf, row)));
  const leafHash = await sha256([0], bytes);
  const root = await rootOf(leafHash, proof.index, proof.size, proof.path.map(unhex));
  const led = root !== undefined && hex(root) === proof.root;
  done.push(judge("The leaf leads to the root", led, `leaf ${proof.index} of ${proof.size}, in ${proof.path.length} steps`, "its path ends elsewhere"));
  const note = readNote(proof.checkpoint, proof.verifier);
  if (!note) return [...done, { name: "The checkpoint", verdict: "wrong", said: "it has no signature of the log's key" }];
  done.push(judge("The root is the checkpoint's", led && note.origin === note.name && note.size === proof.size && hex(unbase64(note.root)) === proof.root, `${note.origin}, ${note.size} leaves`, "the checkpoint names another root, size or log"));
  done.push(await signature(note));
  return done;
}
