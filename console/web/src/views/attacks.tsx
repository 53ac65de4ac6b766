import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Classes, List, Row } from "../api";
import { useAnswer } from "../live";
import { Place, Result, Severity, Shown } from "../parts";
import { address, go, having } from "../route";
import { number, severityName, time } from "../text";

const pageSize = 50;

const choices: [string, string, string[]][] = [
  ["outcome", "Outcome", ["foiled", "contained", "observed"]],
  ["result", "Result", ["succeeded", "failed", "unknown"]],
  ["severity", "Severity", ["1", "2", "3", "4"]],
  ["risk", "Risk", ["real", "decoy", "none"]],
  ["side", "Side", ["inside", "outside"]],
  ["state", "State", ["opened", "closed", "withdrawn"]],
];

/** The list of attacks; filters, order and page live in the address. */
export function Attacks({ query }: { query: URLSearchParams }) {
  const page = Math.max(1, Number(query.get("page")) || 1);
  const asked = new URLSearchParams(query);
  asked.delete("page");
  asked.set("limit", String(pageSize));
  asked.set("offset", String((page - 1) * pageSize));
  const list = useAnswer<List>(address("/api/attacks", asked));
  const filtered = [...query.keys()].some((k) => k !== "sort" && k !== "page");
  return (
    <>
      <h1>Attacks</h1>
      <Filters query={query} />
      <Shown asked={list}>{(l) => (
        <>
          <p class="total" aria-live="polite">
            <b data-total={l.total}>{number(l.total)}</b> {l.total === 1 ? "attack" : "attacks"}{filtered && <> with this filter. <a href="/attacks">Clear the filter</a></>}
          </p>
          {l.items.length ? <Table rows={l.items} query={query} /> :
            <p class="quiet">{filtered ? "No attack passes this filter. Take a part of it away." : "No attack yet. The first appears here by itself."}</p>}
          <Pages page={page} pages={Math.ceil(l.total / pageSize)} query={query} />
        </>
      )}</Shown>
    </>
  );
}

function Filters({ query }: { query: URLSearchParams }) {
  const classes = useAnswer<Classes>("/api/classes", false).value?.classes.map((c) => c.name) ?? [];
  const search = useRef<HTMLInputElement>(null);
  const set = (changes: Record<string, string>, replace = false) => go(address("/attacks", having(query, { ...changes, page: "" })), replace);
  useLayoutEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (e.key === "/" && !typing(e)) {
        e.preventDefault();
        search.current?.focus();
      }
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  const select = (name: string, label: string, values: string[]) => (
    <label key={name}>{label}
      <select name={name} value={chosen(query, name)} onChange={(e) => set({ [name]: e.currentTarget.value })}>
        <option value="">any</option>
        {chosen(query, name) === several && <option value={several} selected>{query.getAll(name).join(" or ")}</option>}
        {values.map((v) => <option key={v} value={v} selected={chosen(query, name) === v}>{name === "severity" ? severityName[Number(v)] : v}</option>)}
      </select>
    </label>
  );
  const chips = ["country", "origin", "target", "incident", "authorised", "from", "to"].filter((k) => query.get(k));
  return (
    <form class="filters" role="search" onSubmit={(e) => { e.preventDefault(); set({ q: search.current?.value ?? "" }); }}>
      <label class="grow">Search <kbd>/</kbd>
        <input ref={search} type="search" name="q" defaultValue={query.get("q") ?? ""} key={query.get("q") ?? ""} placeholder="address, rule, words of the story" />
      </label>
      {select("class", "Class", classes)}
      {choices.map(([name, label, values]) => select(name, label, values))}
      <Day name="from" label="From (UTC)" query={query} set={set} />
      <Day name="to" label="To (UTC)" query={query} set={set} />
      {chips.length > 0 && <p class="chips">{chips.map((k) => (
        <button type="button" key={k} onClick={() => set({ [k]: "" })} aria-label={`Remove ${k}`}>{k} {k === "from" || k === "to" ? time(Number(query.get(k))) : query.get(k)} ×</button>
      ))}</p>}
    </form>
  );
}

const several = "several";
const chosen = (query: URLSearchParams, name: string) => (query.getAll(name).length > 1 ? several : (query.get(name) ?? ""));

function Day({ name, label, query, set }: { name: string; label: string; query: URLSearchParams; set: (c: Record<string, string>) => void }) {
  const ms = Number(query.get(name));
  return <label class="time">{label}<input type="datetime-local" name={name} value={ms ? new Date(ms).toISOString().slice(0, 16) : ""}
    onChange={(e) => { const t = Date.parse(e.currentTarget.value + "Z"); set({ [name]: Number.isNaN(t) ? "" : String(t) }); }} /></label>;
}

const typing = (e: KeyboardEvent) => e.target instanceof HTMLInputElement || e.target instanceof HTMLSelectElement || e.ctrlKey || e.metaKey || e.altKey;

const columns: [string, string][] = [["severity", "Severity"], ["last_seen", "Last seen, UTC"], ["class", "Class"], ["origin", "Origin"], ["target", "Target"], ["result", "Result"], ["outcome", "Outcome"], ["packets", "Packets"]];

function Table({ rows, query }: { rows: Row[]; query: URLSearchParams }) {
  const [at, move] = useState(0);
  const body = useRef<HTMLTableSectionElement>(null);
  const now = useRef({ rows, at });
  now.current.rows = rows;
  // A layout effect: whoever sees the rows can already walk them. The row is kept by its attack, which a newer one pushes down,
  // and beside the state, which lags behind keys that come faster than the page is drawn.
  useLayoutEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (typing(e)) return;
      const step = e.key === "j" || e.key === "ArrowDown" ? 1 : e.key === "k" || e.key === "ArrowUp" ? -1 : 0;
      const { rows, at } = now.current;
      const next = Math.max(0, Math.min(rows.length - 1, rows.findIndex((r) => r.id === at) + step));
      const row = rows[next];
      if (!step || !row) return;
      e.preventDefault();
      move(now.current.at = row.id);
      body.current?.querySelectorAll<HTMLAnchorElement>("a.row")[next]?.focus();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  const sort = query.get("sort") || "-last_seen";
  return (
    <div class="wide">
      <table class="attacks">
        <thead><tr>{columns.map(([name, label]) => {
          const falling = sort === "-" + name, rising = sort === name;
          const first = name === "last_seen" || name === "packets" ? "-" + name : name;
          const next = first.startsWith("-") ? (falling ? name : "-" + name) : (rising ? "-" + name : name);
          return <th key={name} scope="col" aria-sort={rising ? "ascending" : falling ? "descending" : "none"} class={name === "packets" ? "n" : ""}>
            <a href={address("/attacks", having(query, { sort: next, page: "" }))}>{label}{rising ? " ↑" : falling ? " ↓" : ""}</a></th>;
        })}</tr></thead>
        <tbody ref={body}>
          {rows.map((r) => (
            <tr key={r.id} class={r.id === at ? "at" : ""}>
              <td><Severity level={r.severity} /></td>
              <td class="nowrap">{time(r.last_ms)}</td>
              <td><a class="row" href={`/attacks/${r.id}`} title={r.story}>{r.class}</a>{r.authorised && <span class="tag">authorised</span>}{r.overflow && <span class="tag">overflow</span>}{r.state === "withdrawn" && <span class="tag">withdrawn</span>}</td>
              <td>{r.origin} <Place code={r.country} /></td>
              <td>{r.target}{r.target_ips > 1 && <small> {number(r.target_ips)} hosts</small>}{r.ports.length === 1 && <small> port {r.ports[0]}</small>}</td>
              <td><Result row={r} /></td>
              <td>{r.state === "opened" ? <span class="tag open">open</span> : <span class={`tag ${r.outcome}`}>{r.outcome}</span>}</td>
              <td class="n">{number(r.packets)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Pages({ page, pages, query }: { page: number; pages: number; query: URLSearchParams }) {
  if (pages < 2) return null;
  const to = (n: number) => address("/attacks", having(query, { page: n === 1 ? "" : String(n) }));
  return (
    <nav class="pages" aria-label="Pages">
      {page > 1 && <a href={to(page - 1)} rel="prev">← newer page</a>}
      <span>page {page} of {number(pages)}</span>
      {page < pages && <a href={to(page + 1)} rel="next">next page →</a>}
    </nav>
  );
}
