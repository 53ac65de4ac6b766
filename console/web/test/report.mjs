// How long a browser takes to open a report (REPORT names the file): from asking for it to a page that is laid out and drawn.
import { pathToFileURL } from "node:url";
import { launch, missing } from "./browser.mjs";

if (missing) {
  console.log(`opened     not measured: ${missing}`);
  process.exit(0);
}
const browser = await launch();
const took = [];
for (let i = 0; i < 5; i++) {
  const page = await (await browser.newContext()).newPage();
  const begin = performance.now();
  await page.goto(pathToFileURL(process.env.REPORT).href, { waitUntil: "load" });
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  took.push(performance.now() - begin);
  await page.close();
}
await browser.close();
took.sort((a, b) => a - b);
console.log(`opened     ${Math.round(took[2])} ms, median of five (aim: under 1,000); slowest ${Math.round(took[4])} ms`);
