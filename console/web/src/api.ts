// The console's API as types, and one function to ask it. docs/openapi.yaml describes it.

export interface Row {
  id: number; state: string; class: string; techniques: string[]; severity: number; risk: string; side: string;
  outcome: string; result: string; authorised: boolean; overflow: boolean; origin: string; origin_kind: string; country: string;
  target: string; target_ips: number; ports: number[]; subject: string; first_ms: number; last_ms: number;
  closed_ms: number; observations: number; flows: number; packets: number; bytes: number; alerts: number;
  incident: number; leaf: number; story: string;
}

export interface Alert { gid: number; sid: number; rev: number; msg: string; count: number; rule: string; file: string; line: number }

export interface Detail extends Row {
  origin_detail: { ip: string; prefix: string; mac: string; vlan: number; domain: string; proven: boolean; sources_count: number;
    sources: { ip: string; observations: number; country: string }[] };
  target_detail: { group: string; ips: string[]; ports: number[]; proto: number; count: number };
  alerts_detail: Alert[]; detectors: string[]; class_definition: string; related: Row[]; packets_kept: number; packets_hash: string;
  withdrawn: string;
}

export interface Packet { n: number; time_ns: string; wire: number; data: string; summary: string; payload_offset: number; marks: [number, number][] }
export interface Packets { total: number; link: number; items: Packet[] }

export interface Proof {
  sealed: boolean; index: number; leaf: string; size: number; path: string[]; root: string; checkpoint: string; verifier: string;
  key_fingerprint: string; ordinal: number; cell: Record<string, string>; openings: { salt: string; value: string | null }[] | null; caveats: string[];
}

export interface Status {
  kind: string; source: string; origin: string; key: string; version: string; started_ms: number; now_ms: number; stopped: boolean;
  log_size: number; country_db: string; time_first_ms: number; time_last_ms: number; fault: string; behind: boolean;
}

export interface Named { name: string; definition: string }
export interface Classes {
  definition: string; table: string; outcomes: Named[]; risks: Named[]; results: Named[];
  classes: (Named & { severity: number; techniques: string[]; gap_s: number })[];
}

export interface Figures { name?: string; foiled: number; contained: number; observed: number; decoy: number; none: number; authorised: number; open: number }
export interface Summary extends Figures { classes: Figures[]; needs: Row[]; needs_total: number }
export interface Timeline { from_ms: number; to_ms: number; step_ms: number; series: { name: string; counts: number[] }[] }
export interface List { total: number; items: Row[] }
export interface Origins {
  countries: { code: string; attacks: number }[]; unplaced: number;
  items: { origin: string; kind: string; country: string; attacks: number; severity: number; last_ms: number }[];
}
export interface Fate { received: number; inspected: number; bypassed: number; dropped: number; shed: number; undecodable: number }
export interface Ledger { total: Fate; open: number; balanced: boolean; minutes: (Fate & { at_ms: number; open: number })[] }

export interface Block { prefix: string; by: string; attack: number; since_ms: number; until_ms: number; rate: number; packets: number; bytes: number }
export interface Price { since_ms: number; blocks: number; hosts: number; stopped: number; cost: number; perhaps: number; besides: number }
export interface Blocks { way: string; mode: "on" | "rehearsal" | "off" | "none"; total: number; items: Block[]; price: Price | null }

export interface Reason { why: string; packets: number }
export interface Interface extends Fate { name: string; mode: "tap" | "bridge" | "nfqueue" | ""; on_failure: "pass" | "block" | ""; filter: string; up: boolean; bypassed_by: Reason[]; shed_by: Reason[] }
export interface Interfaces { items: Interface[] }
export interface Refused { file: string; line: number; column: number; sid: number; message: string }
export interface RuleSet { on: boolean; busy: boolean; since_ms: number; loaded: number; refused: number; refusals: Refused[] }

export interface Month { month: string; name: string; over: boolean }
export interface Months { months: Month[] }

/** What the server said in place of an answer; status 0 when it could not be reached. */
export class Refusal extends Error {
  constructor(readonly status: number, message: string) { super(message); }
}

/** Asks for path; throws a Refusal with a sentence for a person. */
export async function ask<T>(path: string, body?: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Refusal(0, "The shield does not answer. Is it still running?");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(answer.status, said.error ?? `The shield answered ${answer.status}.`);
  return said as T;
}
