import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { geoArea, geoCentroid } from "d3-geo";
import type { Feature, Polygon } from "geojson";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import { defineConfig } from "vite";

const atlas = "node_modules/world-atlas";

/** Where a country's dot stands: the middle of its largest piece of land, by two-letter code. */
function places(): Record<string, [number, number]> {
  const world = JSON.parse(readFileSync(`${atlas}/countries-50m.json`, "utf8")) as Topology<{ countries: GeometryCollection<{ name: string }> }>;
  const all: Record<string, [number, number]> = {};
  for (const f of feature(world, world.objects.countries).features) {
    const number = String(f.id ?? "").padStart(3, "0");
    const code = f.properties.name === "Kosovo" ? "XK" : (new Intl.Locale(`und-${/^\d{3}$/.test(number) ? number : "001"}`).region ?? "");
    if (!/^[A-Z]{2}$/.test(code) || f.geometry.type !== "Polygon" && f.geometry.type !== "MultiPolygon") continue;
    const pieces = f.geometry.type === "Polygon" ? [f.geometry.coordinates] : f.geometry.coordinates;
    const land = pieces.map((coordinates): Feature<Polygon> => ({ type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates } }));
    const [longitude, latitude] = geoCentroid(land.reduce((a, b) => (geoArea(b) > geoArea(a) ? b : a)));
    all[code] ??= [Number(longitude.toFixed(1)), Number(latitude.toFixed(1))];
  }
  return all;
}

// dist is embedded into the program: .gitkeep keeps the folder there in a fresh clone; the map is loaded on demand.
const embedded = {
  name: "embedded",
  closeBundle() {
    mkdirSync("dist/data", { recursive: true });
    copyFileSync(`${atlas}/countries-110m.json`, "dist/data/world.json");
    writeFileSync("dist/data/places.json", JSON.stringify(places()));
    writeFileSync("dist/.gitkeep", "");
  },
};

export default defineConfig({
  plugins: [embedded],
  build: { target: "es2023", cssTarget: ["chrome123", "firefox120", "safari17.5"], assetsInlineLimit: 0, modulePreload: { polyfill: false }, sourcemap: false },
});
