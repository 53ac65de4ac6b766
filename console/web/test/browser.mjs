// A headless Chromium for the tests, and pages that remember what they asked for and what went wrong in them.
import { accessSync, constants, mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const known = process.env.CHROMIUM ? [process.env.CHROMIUM] : ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where a Chromium stands, or undefined. */
export const program = known.find((p) => {
  try {
    return p && (accessSync(p, constants.X_OK), true);
  } catch {
    return false;
  }
});

/** Why browser tests cannot run here; false when they can. */
export const missing = program ? false : "no Chromium: apt-get install chromium, or set CHROMIUM to one";

/** A browser with a profile of its own that is gone afterwards, and that asks nobody for anything by itself. */
export const launch = () => chromium.launch({
  executablePath: program, headless: true, timeout: 60_000,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/** Opens a page. What it asks for elsewhere than at origin, and every error in it, is kept in page.strange. */
export async function open(browser, origin, { width = 1280, height = 900, dark = false, ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: "reduce", ...more });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  page.strange = [];
  page.asked = [];
  context.on("request", (r) => {
    page.asked.push(r.url());
    if (new URL(r.url()).origin !== new URL(origin).origin && !r.url().startsWith("data:")) page.strange.push(`asked for ${r.url()}`);
  });
  page.on("pageerror", (e) => page.strange.push(`error: ${e.message}`));
  page.on("console", (m) => m.type() === "error" && !/status of 4\d\d/.test(m.text()) && page.strange.push(`console: ${m.text()}`));
  return page;
}

/** Keeps a picture when DEJPHA_SHOTS names a folder, for people who want to look. */
export async function shoot(page, name) {
  const to = process.env.DEJPHA_SHOTS;
  if (!to) return;
  mkdirSync(to, { recursive: true });
  await page.screenshot({ path: join(to, `${name}.png`), fullPage: true });
}
