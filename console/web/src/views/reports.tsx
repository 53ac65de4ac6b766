import type { Month, Months } from "../api";
import { useAnswer } from "../live";
import { Shown } from "../parts";

/** The months of the log, each with its report: a page to read and print, and the same for programs. */
export function Reports() {
  const asked = useAnswer<Months>("/api/reports");
  return (
    <>
      <h1>Reports</h1>
      <p>A report says what was counted in a month: by class, outcome, risk, side, week, origin and target, what was watched meanwhile, and under each figure what binds it. The claims in it can be checked by anyone.
        A month with very many attacks takes some seconds.</p>
      <Shown asked={asked}>{({ months }) => months.length ? (
        <div class="wide">
          <table data-months={months.length}>
            <thead><tr><th scope="col">Month, UTC</th><th scope="col">State</th><th scope="col">Report</th></tr></thead>
            <tbody>{months.map((m) => <Line key={m.month} month={m} />)}</tbody>
          </table>
        </div>
      ) : <p class="quiet" data-months="0">Nothing is sealed yet. The first report can be had when the first checkpoint is signed.</p>}</Shown>
    </>
  );
}

function Line({ month }: { month: Month }) {
  const at = `/api/reports/${month.month}/report`;
  return (
    <tr>
      <th scope="row">{month.name}</th>
      <td>{month.over ? "over" : "so far"}</td>
      <td>
        <a href={`${at}.html`} target="_blank" rel="noopener">Read the report of {month.name}</a>, <a href={`${at}.json`} download={`report-${month.month}.json`}>as JSON</a>
      </td>
    </tr>
  );
}
