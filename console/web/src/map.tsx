// The world as one drawing. Shapes and the countries' points are files of the page itself; nothing is asked elsewhere.
import { geoNaturalEarth1, geoPath } from "d3-geo";
import { useEffect, useState } from "preact/hooks";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import { country, number } from "./text";

interface Atlas { land: string; points: Map<string, [number, number]> }

const width = 960, height = 470;
const projection = geoNaturalEarth1().fitExtent([[4, 4], [width - 4, height - 4]], { type: "Sphere" });
let loaded: Promise<Atlas> | undefined;

async function file<T>(path: string): Promise<T> {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json() as Promise<T>;
}

function atlas(): Promise<Atlas> {
  return (loaded ??= (async () => {
    const [world, places] = await Promise.all([file<Topology<{ countries: GeometryCollection }>>("/data/world.json"), file<Record<string, [number, number]>>("/data/places.json")]);
    const land = geoPath(projection).digits(1)(feature(world, world.objects.countries)) ?? "";
    return { land, points: new Map(Object.entries(places).map(([code, at]) => [code, projection(at) ?? [0, 0]])) };
  })());
}

export interface Dot { code: string; attacks: number }

/** A dot for each country, its area by attacks; to: the address a dot leads to. */
export function Map_({ dots, to }: { dots: Dot[]; to: (code: string) => string }) {
  const [world, set] = useState<Atlas>();
  const [error, say] = useState("");
  useEffect(() => {
    atlas().then(set, (e: Error) => { loaded = undefined; say(e.message); });
  }, []);
  if (error) return <p class="banner bad" role="alert">The map cannot be drawn ({error}). The list has the same origins.</p>;
  const most = Math.max(1, ...dots.map((d) => d.attacks));
  const radius = (n: number) => 4 + 16 * Math.sqrt(n / most);
  return (
    <svg class="map" viewBox={`0 0 ${width} ${height}`} role="group" aria-label="World map of origins">
      {world && <path class="land" d={world.land} />}
      {world && dots.toSorted((a, b) => b.attacks - a.attacks).map((d) => {
        const at = world.points.get(d.code);
        const name = `${country(d.code)}: ${number(d.attacks)} ${d.attacks === 1 ? "attack" : "attacks"}`;
        return at && (
          <a key={d.code} href={to(d.code)} aria-label={name} data-country={d.code}>
            <title>{name}</title>
            <circle cx={at[0]} cy={at[1]} r={radius(d.attacks)} />
          </a>
        );
      })}
    </svg>
  );
}
