import type { Alert, Classes, Detail, Named } from "../api";
import { useAnswer } from "../live";
import { Brief, Place, Result, Severity, Shown } from "../parts";
import { PacketsOf } from "../packets";
import { ProofOf } from "../seal";
import { address } from "../route";
import { bytes, country, number, severityName, span, time } from "../text";

/** One attack: its story, facts, course, packets, rules, proof and what belongs with it. */
export function Attack({ id, query }: { id: string; query: URLSearchParams }) {
  const asked = useAnswer<Detail>(`/api/attacks/${id}`);
  const classes = useAnswer<Classes>("/api/classes", false).value;
  return (
    <Shown asked={asked}>{(a) => (
      <article class="attack">
        <p class="path"><a href="/attacks">Attacks</a> / {a.id >= erasedFrom ? `leaf ${a.leaf}` : number(a.id)}</p>
        <h1><Severity level={a.severity} /> {a.class} <small>{a.id >= erasedFrom ? "its number is erased" : `attack ${a.id}`}</small></h1>
        <p class="story">{a.story}</p>
        <p class="tags"><Result row={a} /> {a.state === "opened" ? <span class="tag open">still open, not counted yet</span> : <span class={`tag ${a.outcome}`}>{a.outcome}</span>}
          {a.state === "withdrawn" && <span class="tag">withdrawn: no longer counted</span>}
          {a.risk !== "real" && <span class="tag">risk {a.risk}</span>} {a.authorised && <span class="tag">authorised: shown, never counted</span>} {a.overflow && <span class="tag">overflow: many small attacks that count as one</span>}</p>
        <div class="two">
          <section><h2>Facts</h2><Facts a={a} classes={classes} /></section>
          <section><h2>Course</h2><Course a={a} /><Sources a={a} /></section>
        </div>
        <section id="packets"><h2>Packets</h2><PacketsOf a={a} query={query} /></section>
        <section><h2>What recognised it</h2><Recognised a={a} /></section>
        <section id="proof"><h2>Proof</h2>{classes && <ProofOf a={a} classes={classes.classes.map((c) => c.name)} />}</section>
        {a.related.length > 0 && <section><h2>Belongs to the same incident</h2><Brief rows={a.related} />
          <p><a href={address("/attacks", { incident: a.incident, sort: "first_seen" })}>The whole incident {a.incident}</a></p></section>}
      </article>
    )}</Shown>
  );
}

const erasedFrom = 2 ** 52; // see console/index: numbers of attacks that were found erased

const protocols: Record<number, string> = { 1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP" };

const sides: Record<string, string> = { outside: "the origin is outside the protected networks", inside: "the origin is inside the protected networks: one of your own hosts attacks" };

function Facts({ a, classes }: { a: Detail; classes?: Classes }) {
  const o = a.origin_detail, t = a.target_detail;
  const meaning = (list: Named[] | undefined, name: string) => list?.find((x) => x.name === name)?.definition;
  const facts: [string, preact.ComponentChildren][] = [
    ["Class", <>{a.class} <small>{a.class_definition}</small></>],
    ["Techniques", a.techniques.length > 0 && <>{a.techniques.join(", ")} <small>names of MITRE ATT&amp;CK</small></>],
    ["Severity", severityName[a.severity]],
    ["Result", <>{a.result} <small>{meaning(classes?.results, a.result)}</small></>],
    ["Outcome", <>{a.state === "opened" ? "open" : a.outcome} <small>{a.state === "opened" ? "judged when it ends" : meaning(classes?.outcomes, a.outcome)}</small></>],
    ["Withdrawn", a.withdrawn && <>{a.withdrawn} <small>as who signed the log wrote it; it was counted, and a correction takes it back</small></>],
    ["Origin", <><a href={address("/attacks", { origin: a.origin })}>{a.origin}</a> <Place code={a.country} /> <small>{a.origin_kind === "erased" ? "fell to erasure or retention; the count stays proven" : o.proven ? "proven by two-way contact" : "unproven: the address may be forged"}</small></>],
    ["Target", a.target !== "" && <><a href={address("/attacks", { target: a.target })}>{a.target}</a> <small>{t.ips.slice(0, 6).join(", ")}{t.count > 6 && `, ${number(t.count)} in all`}</small></>],
    ["Ports", t.ports.length ? `${protocols[t.proto] ?? ""} ${t.ports.slice(0, 12).join(", ")}${t.ports.length > 12 ? " …" : ""}` : ""],
    ["Subject", a.subject],
    ["Side", <>{a.side} <small>{sides[a.side]}</small></>],
    ["Risk", <>{a.risk} <small>{meaning(classes?.risks, a.risk)}</small></>],
    ["Seen", <>{number(a.observations)} {a.observations === 1 ? "observation" : "observations"} in {number(a.flows)} {a.flows === 1 ? "flow" : "flows"}, {number(a.packets)} {a.packets === 1 ? "packet" : "packets"}, {bytes(a.bytes)}
      {a.state === "opened" && <small>as it stood when the attack was opened; told in full when it ends</small>}</>],
  ];
  return <dl class="facts">{facts.filter(([, v]) => v).map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>;
}

function Course({ a }: { a: Detail }) {
  return (
    <ol class="course">
      <li><b>first seen</b> <time>{time(a.first_ms)}</time></li>
      <li><b>last seen</b> <time>{time(a.last_ms)}</time> <small>{span(a.last_ms - a.first_ms)} after</small></li>
      {a.closed_ms ? <li><b>closed</b> <time>{time(a.closed_ms)}</time> <small>{span(a.closed_ms - a.last_ms)} of quiet; counted here</small></li> :
        <li class="quiet"><b>still open</b> <small>closes when it has been quiet for its class's gap</small></li>}
      {a.leaf >= 0 && <li><b>sealed</b> <small>as leaf {number(a.leaf)} of the log</small></li>}
    </ol>
  );
}

function Sources({ a }: { a: Detail }) {
  const o = a.origin_detail;
  if (o.sources.length < 2) return null;
  return (
    <details>
      <summary>{number(o.sources_count)} source addresses{o.proven ? "" : ", as claimed"}</summary>
      <table>
        <thead><tr><th scope="col">Address</th><th scope="col">Country</th><th scope="col" class="n">Observations</th></tr></thead>
        <tbody>{o.sources.map((s) => <tr key={s.ip}><td class="mono">{s.ip}</td><td>{country(s.country)}</td><td class="n">{number(s.observations)}</td></tr>)}</tbody>
      </table>
    </details>
  );
}

function Recognised({ a }: { a: Detail }) {
  return (
    <>
      {a.detectors.length > 0 && <p>By behaviour: {a.detectors.join(", ")}. No rule is needed for that.</p>}
      {a.alerts_detail.map((x) => <Rule key={`${x.gid}:${x.sid}`} x={x} />)}
      {a.detectors.length + a.alerts_detail.length === 0 && <p class="quiet">Nothing is told of rules or detectors.</p>}
    </>
  );
}

function Rule({ x }: { x: Alert }) {
  return (
    <figure class="rule">
      <figcaption><b>{x.msg}</b> <small>{x.gid}:{x.sid}:{x.rev}, {number(x.count)} {x.count === 1 ? "time" : "times"}{x.file && <>, <code>{x.file}:{x.line}</code></>}</small></figcaption>
      {x.rule ? <pre tabIndex={0} aria-label={`Text of rule ${x.sid}`}>{x.rule}</pre> : <p class="quiet">The text of this rule is not loaded now.</p>}
    </figure>
  );
}
