import type { ComponentChildren } from "preact";
import type { Asked } from "./live";
import type { Row } from "./api";
import { country, number, severityName, time } from "./text";

/** Shows an answer, what went wrong, or that it is on its way. */
export function Shown<T>({ asked, children }: { asked: Asked<T>; children: (value: T) => ComponentChildren }) {
  return (
    <>
      {asked.error && asked.error.status !== 401 && <p class="banner bad" role="alert">{asked.error.message}</p>}
      {asked.value !== undefined ? children(asked.value) : !asked.error && <p class="quiet" aria-busy="true">…</p>}
    </>
  );
}

export function Severity({ level }: { level: number }) {
  return <span class={`severity s${level}`} title={severityName[level]}>{level}</span>;
}

export function Result({ row }: { row: Row }) {
  return <span class={`tag ${row.result}`}>{row.result === "unknown" ? "result unknown" : row.result}</span>;
}

export function Place({ code }: { code: string }) {
  return code ? <abbr class="place" title={`registered in ${country(code)}`}>{code}</abbr> : null;
}

/** Attacks in few lines each, for lists beside other things. */
export function Brief({ rows }: { rows: Row[] }) {
  return (
    <ul class="brief">
      {rows.map((r) => (
        <li key={r.id}>
          <Severity level={r.severity} />
          <div>
            <a href={`/attacks/${r.id}`}>{r.class} from {r.origin} on {r.target}</a> <Result row={r} />
            <p>{r.story}</p>
            <p class="quiet">{time(r.last_ms)} UTC, {number(r.observations)} observations{r.state === "opened" && ", still open"}</p>
          </div>
        </li>
      ))}
    </ul>
  );
}
