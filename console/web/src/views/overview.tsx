import { useCallback } from "preact/hooks";
import type { Classes, Figures, Summary, Timeline } from "../api";
import { useAnswer } from "../live";
import { Brief, Shown } from "../parts";
import { Stack } from "../plot";
import { address, go, having } from "../route";
import { number, time } from "../text";

/** The first screen: three figures that are never added up, attacks over time, what needs a person now. */
export function Overview({ query }: { query: URLSearchParams }) {
  const summary = useAnswer<Summary>(address("/api/summary", query));
  const timeline = useAnswer<Timeline>(address("/api/timeline", query));
  const classes = useAnswer<Classes>("/api/classes", false).value;
  const choose = useCallback((from: number, to: number) => go(address("/", having(query, { from: String(from), to: String(to) }))), [query.toString()]);
  return (
    <>
      <h1 class="hidden">Overview</h1>
      {query.get("from") && <p class="chosen">From {time(Number(query.get("from")))} to {time(Number(query.get("to")))} UTC. <a href="/">All times</a></p>}
      <Shown asked={summary}>{(s) => (
        <>
          <section class="figures" aria-label="Figures">
            {(["foiled", "contained", "observed"] as const).map((name) => <Figure key={name} name={name} value={s[name]} query={query} classes={classes} />)}
          </section>
          <p class="apart">
            <Apart name="open" value={s.open} to={address("/attacks", having(query, { state: "opened" }))} text="still going on, counted when they end" />
            <Apart name="decoy" value={s.decoy} to={address("/attacks", having(query, { risk: "decoy", state: "closed" }))} text="on decoys" />
            <Apart name="without risk" value={s.none} to={address("/attacks", having(query, { risk: "none", state: "closed" }))} text="that every target refused" />
            <Apart name="authorised" value={s.authorised} to={address("/attacks", having(query, { authorised: "1" }))} text="of your own scanners, never counted" />
          </p>
          <div class="two first">
            <section class="needs">
              <h2>Needs a person now</h2>
              {s.needs.length ? <Brief rows={s.needs} /> : <p class="quiet">Nothing: no attack of severity 1 or 2 succeeded or may have.</p>}
              {s.needs_total > s.needs.length && <p><a href={wanting(query)}>All {number(s.needs_total)} that need a person</a></p>}
              {s.needs.length > 0 && <p class="quiet">Severity 1 or 2, not stopped by the shield, and not known to have failed.</p>}
            </section>
            <div>
              <section>
                <h2>Attacks over time</h2>
                <Shown asked={timeline}>{(t) => <Stack data={t} what="Attacks by class, when first seen" chosen={choose} />}</Shown>
              </section>
              <section>
                <h2>By class</h2>
                {s.classes.length ? <ByClass classes={s.classes} query={query} /> : <p class="quiet">No attack yet. The first appears here by itself.</p>}
              </section>
            </div>
          </div>
        </>
      )}</Shown>
    </>
  );
}

function Figure({ name, value, query, classes }: { name: string; value: number; query: URLSearchParams; classes?: Classes }) {
  const to = address("/attacks", having(query, { outcome: name, risk: "real", state: "closed", authorised: "0" }));
  return (
    <article class={`figure ${name}`}>
      <a href={to}><strong data-figure={name}>{number(value)}</strong><span>attacks {name}</span></a>
      <details>
        <summary>What this means</summary>
        <p>{classes?.outcomes.find((o) => o.name === name)?.definition}</p>
        <p>{classes?.definition}</p>
        <p>The three figures count different things and are never added up.</p>
      </details>
    </article>
  );
}

/** The list's address with the filter that stands behind "needs a person". */
function wanting(query: URLSearchParams): string {
  const q = having(query, { risk: "real", authorised: "0", sort: "severity" });
  for (const [name, values] of Object.entries({ severity: ["1", "2"], result: ["succeeded", "unknown"], outcome: ["contained", "observed"] })) {
    q.delete(name);
    for (const v of values) q.append(name, v);
  }
  return address("/attacks", q);
}

function Apart({ name, value, to, text }: { name: string; value: number; to: string; text: string }) {
  return <span><a href={to}><b>{number(value)}</b> {name}</a> <small>{text}</small></span>;
}

function ByClass({ classes, query }: { classes: Figures[]; query: URLSearchParams }) {
  const columns = ["foiled", "contained", "observed", "open"] as const;
  return (
    <div class="wide">
      <table>
        <thead><tr><th scope="col">Class</th>{columns.map((c) => <th scope="col" class="n">{c}</th>)}</tr></thead>
        <tbody>
          {classes.map((c) => (
            <tr key={c.name}>
              <th scope="row"><a href={address("/attacks", having(query, { class: c.name ?? "" }))}>{c.name}</a></th>
              {columns.map((k) => <td class="n">{c[k] ? number(c[k]) : ""}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
