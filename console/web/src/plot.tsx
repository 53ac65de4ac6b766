// Counts over time as stacked steps, one colour a series; dragging over them chooses a stretch of time.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Timeline } from "./api";
import { number } from "./text";

const colours = 9; // --c0 to --c8 of the style; what is rarer is drawn together

interface Series { name: string; counts: number[]; sum: number }

const total = (counts: number[]) => counts.reduce((a, b) => a + b, 0);

/** The most frequent series by name, the rest as one. */
export function gather(series: Timeline["series"], most = colours): Series[] {
  const all = series.map((s) => ({ ...s, sum: total(s.counts) })).sort((a, b) => b.sum - a.sum);
  if (all.length <= most) return all;
  const rest = all.slice(most - 1);
  const counts = rest[0]!.counts.map((_, i) => rest.reduce((n, s) => n + s.counts[i]!, 0));
  return [...all.slice(0, most - 1), { name: `${rest.length} other classes`, counts, sum: total(counts) }];
}

/** Changes whenever the colours do. */
function useColours(): number {
  const [n, set] = useState(0);
  useEffect(() => {
    const changed = () => requestAnimationFrame(() => set((v) => v + 1));
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", changed);
    addEventListener("theme", changed);
    return () => {
      dark.removeEventListener("change", changed);
      removeEventListener("theme", changed);
    };
  }, []);
  return n;
}

interface Props { data: Timeline; what: string; height?: number; chosen?: (from: number, to: number) => void }

export function Stack({ data, what, height = 200, chosen }: Props) {
  const box = useRef<HTMLDivElement>(null), legend = useRef<HTMLElement>(null), plot = useRef<uPlot | undefined>(undefined), choose = useRef(chosen);
  choose.current = chosen;
  const series = useMemo(() => gather(data.series), [data]);
  const names = series.map((s) => s.name).join("\n");
  const tint = useColours();
  const drawn = () => columns(data, series);
  useEffect(() => {
    const at = box.current;
    if (!at || !legend.current || series.length === 0) return;
    const ink = getComputedStyle(at).color, grid = getComputedStyle(legend.current).borderTopColor;
    const tints = [...legend.current.querySelectorAll("i")].map((i) => getComputedStyle(i).backgroundColor);
    plot.current = new uPlot(options(at.clientWidth, height, ink, grid, tints, (from, to) => choose.current?.(from, to), Boolean(chosen)), drawn(), at);
    const fit = new ResizeObserver(() => plot.current?.setSize({ width: at.clientWidth, height }));
    fit.observe(at);
    return () => {
      fit.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [names, tint, height, Boolean(chosen)]);
  useEffect(() => plot.current?.setData(drawn()), [data]);
  if (series.length === 0) return <p class="quiet">Nothing in this time.</p>;
  return (
    <figure class="stack">
      <div ref={box} class={chosen ? "plot choosable" : "plot"} role="img" aria-label={`${what}: ${series.map((s) => `${s.name} ${s.sum}`).join(", ")}`} />
      <figcaption class="legend" ref={legend}>
        {series.map((s, i) => <span key={s.name}><i class={`c${i}`} />{s.name} <b>{number(s.sum)}</b></span>)}
        <span class="quiet">{what}, UTC.{chosen && " Drag over the plot to choose a time."}</span>
      </figcaption>
    </figure>
  );
}

/** What is drawn: times, then the tallest sum first, so that the lower ones cover it. */
function columns(data: Timeline, series: Series[]): uPlot.AlignedData {
  const steps = series[0]?.counts.length ?? 0;
  const times = Array.from({ length: steps + 1 }, (_, i) => (data.from_ms + i * data.step_ms) / 1000);
  let below = new Array<number>(steps + 1).fill(0);
  const sums = series.map((s) => (below = below.map((v, i) => v + (s.counts[Math.min(i, steps - 1)] ?? 0))));
  return [times, ...sums.toReversed()];
}

function options(width: number, height: number, ink: string, grid: string, tints: string[], choose: (from: number, to: number) => void, drag: boolean): uPlot.Options {
  const lines = { stroke: grid, width: 1 };
  return {
    width, height, padding: [8, 12, 0, 0], tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "UTC"), legend: { show: false },
    cursor: { drag: { x: drag, y: false, setScale: false }, points: { show: false }, y: false },
    scales: { y: { range: (_, __, most) => [0, Math.max(2, Math.ceil((most ?? 0) * 1.08))] } },
    axes: [
      { stroke: ink, grid: { show: false }, ticks: lines, font: "11px system-ui", space: 70, values: [
        [86400, "{DD} {MMM}", "\n{YYYY}", null, null, null, null, null, 1], [3600, "{HH}:{mm}", "\n{DD} {MMM} {YYYY}", null, "\n{DD} {MMM}", null, null, null, 1],
        [60, "{HH}:{mm}", "\n{DD} {MMM} {YYYY}", null, "\n{DD} {MMM}", null, null, null, 1], [1, "{HH}:{mm}:{ss}", "\n{DD} {MMM} {YYYY}", null, "\n{DD} {MMM}", null, null, null, 1]] },
      { stroke: ink, size: 48, grid: lines, ticks: { show: false }, font: "11px system-ui", space: 34, incrs: [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4, 5, 6, 7].map((e) => n * 10 ** e)).sort((a, b) => a - b),
        values: (_, ticks) => ticks.map((v) => (v >= 1e6 ? `${v / 1e6} M` : v >= 1e4 ? `${v / 1e3} k` : String(v))) },
    ],
    series: [{}, ...tints.toReversed().map((t) => ({ stroke: t, fill: t, width: 0, points: { show: false }, paths: uPlot.paths.stepped!({ align: 1 }) }))],
    hooks: {
      setSelect: [(u) => {
        const { left, width: chosen } = u.select;
        if (chosen < 4) return;
        choose(Math.floor(u.posToVal(left, "x") * 1000), Math.ceil(u.posToVal(left + chosen, "x") * 1000));
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
    },
  };
}
