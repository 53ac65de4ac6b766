import { useState } from "preact/hooks";
import { ask, type Refused, Refusal, type RuleSet } from "../api";
import { useAnswer } from "../live";
import { Shown } from "../parts";
import { number, time } from "../text";

/** What is in force, what was refused and why, and reading the rules again. */
export function Rules() {
  const asked = useAnswer<RuleSet>("/api/rules");
  return (
    <>
      <h1>Rules</h1>
      <Shown asked={asked}>{(r) => (r.on ? (
        <>
          <p data-rules={r.loaded}>{number(r.loaded)} rules are in force, read {time(r.since_ms)} UTC. {r.refused ? `${number(r.refused)} were refused.` : "None was refused."}</p>
          <Reload busy={r.busy} />
          <section>
            <h2>Refused</h2>
            {r.refusals.length ? <List items={r.refusals} all={r.refused} /> : <p class="quiet" data-refused="0">Every rule that was read is in force.</p>}
          </section>
        </>
      ) : <p data-rules="0">This run has no rules: it was started without them. Its own detectors go on.</p>)}</Shown>
    </>
  );
}

/** The button keeps the focus while it works, and what came of it is said beside it. */
function Reload({ busy }: { busy: boolean }) {
  const [working, work] = useState(false);
  const [said, say] = useState("");
  const [wrong, fail] = useState("");
  const reload = () => {
    if (working || busy) return;
    work(true);
    say("");
    fail("");
    ask<{ said: string }>("/api/rules/reload", {}).then((a) => say(a.said), (x: Refusal) => fail(x.message)).finally(() => work(false));
  };
  return (
    <section>
      <h2>Reload</h2>
      <p>The rule files are read again and tried on built-in captures; only then do the new rules take over, and no packet is lost. On any error those in force stay.</p>
      <p><button type="button" onClick={reload} aria-disabled={working || busy}>Reload the rules</button></p>
      <p role="status" aria-live="polite" data-said>{working || busy ? "Reading the rules …" : said}</p>
      {wrong && <p class="banner bad" role="alert" data-wrong>Not reloaded, the rules in force stay: {wrong}</p>}
    </section>
  );
}

function List({ items, all }: { items: Refused[]; all: number }) {
  return (
    <>
      {all > items.length && <p>The first {number(items.length)} of {number(all)}.</p>}
      <div class="wide">
        <table data-refused={all}>
          <thead><tr><th scope="col">Where</th><th scope="col" class="n">Rule</th><th scope="col">Why</th></tr></thead>
          <tbody>{items.map((x) => <tr key={`${x.file}:${x.line}:${x.column}`}><th scope="row"><code>{x.file}:{x.line}:{x.column}</code></th><td class="n">{x.sid || "–"}</td><td>{x.message}</td></tr>)}</tbody>
        </table>
      </div>
    </>
  );
}
