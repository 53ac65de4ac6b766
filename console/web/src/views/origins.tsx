import type { Origins as Answer, Status } from "../api";
import { useAnswer } from "../live";
import { Map_ } from "../map";
import { Place, Severity, Shown } from "../parts";
import { address, having } from "../route";
import { country, number, time } from "../text";

/** Where attacks came from: a map on which every dot opens its records, and the list of origins. */
export function Origins({ query, status }: { query: URLSearchParams; status?: Status }) {
  const asked = useAnswer<Answer>(address("/api/origins", having(query, { limit: "200" })));
  const from = (changes: Record<string, string>) => address("/attacks", having(query, changes));
  return (
    <>
      <h1>Origins</h1>
      <Shown asked={asked}>{(o) => (
        <>
          <div class="world">
            <section>
              <Map_ dots={o.countries} to={(code) => from({ country: code })} />
              {o.countries.length === 0 && o.unplaced > 0 && <p>No origin here has a country, so the map has no dots: private and reserved addresses belong to none, and an unproven origin may be forged. <a href={from({ country: "none" })}>See them in the list.</a></p>}
              <p class="quiet">{status && (status.country_db ? `Countries: ${status.country_db}. ` : "No country database is loaded: origins have no place. ")}
                A country is where an address is registered, not who stands behind it. The shapes are Natural Earth's, simplified.</p>
            </section>
            <section>
              <h2>Countries</h2>
              <ul class="countries">
                {o.countries.toSorted((a, b) => b.attacks - a.attacks).map((c) => <li key={c.code}><a href={from({ country: c.code })}>{country(c.code)}</a> <b>{number(c.attacks)}</b></li>)}
                <li><a href={from({ country: "none" })} data-country="none">unplaced</a> <b>{number(o.unplaced)}</b> <small>private addresses, unproven origins, or not in the database</small></li>
              </ul>
            </section>
          </div>
          <section>
            <h2>Origins</h2>
            {o.items.length ? <List o={o} from={from} /> : <p class="quiet">No origin yet. The first appears here by itself.</p>}
          </section>
        </>
      )}</Shown>
    </>
  );
}

function List({ o, from }: { o: Answer; from: (changes: Record<string, string>) => string }) {
  return (
    <div class="wide">
      <table>
        <thead><tr><th scope="col">Origin</th><th scope="col" class="n">Attacks</th><th scope="col">Gravest</th><th scope="col">Last seen, UTC</th></tr></thead>
        <tbody>{o.items.map((x) => (
          <tr key={`${x.kind} ${x.origin} ${x.country}`}>
            <td><a class="mono" href={from({ origin: x.origin })}>{x.origin}</a> <Place code={x.country} /></td>
            <td class="n">{number(x.attacks)}</td><td><Severity level={x.severity} /></td><td class="nowrap">{time(x.last_ms)}</td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}
