import type { Fate, Interface, Interfaces, Ledger as Answer, Reason } from "../api";
import { useAnswer } from "../live";
import { Shown } from "../parts";
import { Stack } from "../plot";
import { number, time } from "../text";

const fates: [keyof Fate, string, string][] = [
  ["inspected", "inspected", "went the whole way"],
  ["bypassed", "bypassed", "let through uninspected, as configured"],
  ["dropped", "dropped by the kernel", "came faster than they were taken; never seen"],
  ["shed", "shed", "taken and not inspected, for want of time or memory"],
  ["undecodable", "undecodable", "not packets, or broken ones"],
];

/** Where every packet went. */
export function Ledger() {
  const asked = useAnswer<Answer>("/api/ledger");
  return (
    <>
      <h1>Ledger</h1>
      <Shown asked={asked}>{(l) => (
        <>
          <p class={`verdict ${l.balanced ? "right" : "wrong"}`} data-balanced={l.balanced} aria-live="polite">{sentence(l)}</p>
          <section><h2>Packets by fate</h2><Totals l={l} /></section>
          <ByInterface />
          <section><h2>Minute by minute</h2>{l.minutes.length ? <Minutes l={l} /> : <p class="quiet">No minute has passed yet. The first appears here by itself.</p>}</section>
        </>
      )}</Shown>
    </>
  );
}

const lostOf = (f: Fate) => f.dropped + f.shed;

function sentence(l: Answer): string {
  if (!l.balanced) return "The ledger does not balance: some packets have no fate. This is a fault of the shield; please report it.";
  if (l.total.received === 0) return "The ledger balances: no packet has come yet.";
  const lost = lostOf(l.total);
  return `The ledger balances: each of ${number(l.total.received)} packets has exactly one fate. ${lost ? `${number(lost)} of them were lost to inspection.` : "None was lost to inspection."}`;
}

function Totals({ l }: { l: Answer }) {
  const all = l.total.received;
  const share = (n: number) => (n === 0 || all === 0 ? "" : n === all ? "100 %" : `${Math.min(99.999, Math.max(0.001, (n / all) * 100)).toFixed(3)} %`);
  return (
    <div class="wide">
      <table class="fates">
        <thead><tr><th scope="col">Fate</th><th scope="col" class="n">Packets</th><th scope="col" class="n">Share</th><th scope="col">What it means</th></tr></thead>
        <tbody>{fates.map(([k, name, text]) => <tr key={k} class={(k === "dropped" || k === "shed") && l.total[k] ? "lost" : ""}><th scope="row">{name}</th><td class="n">{number(l.total[k])}</td><td class="n">{share(l.total[k])}</td><td>{text}</td></tr>)}</tbody>
        <tfoot><tr><th scope="row">received</th><td class="n">{number(all)}</td><td /><td>the sum of the fates above</td></tr></tfoot>
      </table>
    </div>
  );
}

function Minutes({ l }: { l: Answer }) {
  const m = l.minutes, first = m[0]!, last = m[m.length - 1]!;
  const steps = Math.min(10_000, Math.round((last.at_ms - first.at_ms) / 60e3) + 1);
  const series = fates.map(([k, name]) => {
    const counts = new Array<number>(steps).fill(0);
    for (const x of m) {
      const at = Math.round((x.at_ms - first.at_ms) / 60e3);
      if (at < steps) counts[at] = x[k];
    }
    return { name, counts };
  }).filter((s) => s.counts.some((n) => n > 0));
  const rows = m.toReversed();
  return (
    <>
      <Stack data={{ from_ms: first.at_ms, to_ms: last.at_ms + 60e3, step_ms: 60e3, series }} what="Packets a minute" height={180} />
      <details>
        <summary>The figures of the last {m.length} minutes</summary>
        <div class="wide">
          <table>
            <thead><tr><th scope="col">Minute, UTC</th><th scope="col" class="n">received</th>{fates.map(([k, name]) => <th scope="col" class="n" key={k}>{name}</th>)}<th scope="col" class="n">open attacks</th></tr></thead>
            <tbody>{rows.map((x) => <tr key={x.at_ms} class={lostOf(x) ? "lost" : ""}><td class="nowrap">{time(x.at_ms).slice(0, 16)}</td><td class="n">{number(x.received)}</td>{fates.map(([k]) => <td class="n" key={k}>{x[k] ? number(x[k]) : ""}</td>)}<td class="n">{x.open}</td></tr>)}</tbody>
          </table>
        </div>
      </details>
    </>
  );
}

const modes: Record<Interface["mode"], string> = { tap: "watched", bridge: "in the way, as a bridge", nfqueue: "in the way, at the firewall's queue", "": "watched" };
const failures: Record<Interface["on_failure"], string> = { "": "", pass: "traffic passes while the shield is silent", block: "traffic is stopped while the shield is silent" };

const whys: Record<string, string> = {
  rule: "a rule says bypass", bytes: "the conversation was long enough", depth: "past the depth of reassembly", tls: "encrypted by TLS", ssh: "encrypted by SSH",
  unwatched: "nobody stood in the way", overrun: "more waited than there is room for", blocked: "the source is blocked", damaged: "a ring block's headers lied",
};

/** Each interface of a live run, and the fate of its packets. */
function ByInterface() {
  const asked = useAnswer<Interfaces>("/api/interfaces");
  return (
    <section>
      <h2>By interface</h2>
      <Shown asked={asked}>{({ items }) => (items.length ? <Faces items={items} /> : <p class="quiet" data-interfaces="0">No interface is watched: this run plays recordings.</p>)}</Shown>
    </section>
  );
}

function Faces({ items }: { items: Interface[] }) {
  return (
    <div class="wide">
      <table data-interfaces={items.length}>
        <thead><tr><th scope="col">Interface</th><th scope="col">How</th><th scope="col">Filter</th><th scope="col" class="n">received</th>{fates.map(([k, name]) => <th scope="col" class="n" key={k}>{name}</th>)}<th scope="col">Why not inspected</th></tr></thead>
        <tbody>{items.map((x) => (
          <tr key={x.name} class={lostOf(x) || !x.up ? "lost" : ""}>
            <th scope="row"><code>{x.name}</code> {x.up ? "up" : <strong>down</strong>}</th>
            <td>{modes[x.mode]}{x.on_failure && <>; {failures[x.on_failure]}</>}</td>
            <td>{x.filter ? <code>{x.filter}</code> : "everything"}</td>
            <td class="n">{number(x.received)}</td>
            {fates.map(([k]) => <td class="n" key={k}>{number(x[k])}</td>)}
            <td><Reasons of={[...x.bypassed_by, ...x.shed_by]} /></td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}

function Reasons({ of }: { of: Reason[] }) {
  if (!of.length) return <>–</>;
  return <>{of.map((r, i) => <span class="nowrap" key={r.why}>{i > 0 && ", "}{number(r.packets)}: {whys[r.why] ?? r.why}</span>)}</>;
}
