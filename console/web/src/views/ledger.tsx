import type { Fate, Ledger as Answer } from "../api";
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
