// The page of a report in a real browser: it asks for nothing, runs no script, reads well in every setting, and prints.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, missing, open, shoot } from "./browser.mjs";

const file = new URL("../../../report/testdata/page.html", import.meta.url);
const skip = missing;
let browser;
before(async () => {
  if (!skip) browser = await launch();
});
after(() => browser?.close());

/** Contrast of every text with what lies behind it; the lowest first. */
const contrasts = () => {
  const parse = (c) => c.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && e.checkVisibility()).map((e) => {
    const style = getComputedStyle(e);
    const [a, b] = [light(parse(e instanceof SVGElement ? style.fill : style.color)), light(behind(e))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.tagName, e.textContent.trim().slice(0, 30)];
  }).sort((x, y) => x[0] - y[0]);
};

for (const dark of [false, true]) {
  test(`a report ${dark ? "in the dark" : "by daylight"}`, { skip }, async () => {
    const page = await open(browser, file.href, { dark, javaScriptEnabled: true });
    await page.goto(file.href);
    assert.deepEqual(page.strange, []);
    assert.deepEqual(page.asked, [file.href], "it asks for nothing but itself");
    assert.equal(await page.locator("script").count(), 0);
    assert.ok((await page.locator("h1").textContent()).includes("November 2026"));
    assert.ok(await page.getByText("A log cannot prove who stood behind an address").first().isVisible());
    const low = (await page.evaluate(contrasts))[0];
    assert.ok(low[0] >= 4.5, `contrast ${low}`);
    for (const t of await page.locator("table").all()) {
      assert.equal(await t.locator("caption").count(), 1);
      assert.equal(await t.locator("th:not([scope])").count(), 0);
    }
    assert.equal(await page.locator("svg[role=img] > title").count(), 1);
    await page.locator("summary").first().focus();
    await page.keyboard.press("Enter");
    assert.ok(await page.getByRole("table", { name: /Attacks by day/ }).isVisible(), "the plot's table opens by the keyboard");
    await shoot(page, `report-${dark ? "dark" : "light"}`);
  });
}

test("a report on a telephone is no wider than that", { skip }, async () => {
  const page = await open(browser, file.href, { width: 360, height: 700 });
  await page.goto(file.href);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
});

test("a report prints, and the claim in it is the one that is offered", { skip }, async () => {
  const page = await open(browser, file.href);
  await page.goto(file.href);
  const pdf = await page.pdf({ format: "A4" });
  assert.ok(pdf.length > 10_000 && pdf.subarray(0, 4).toString() === "%PDF");
  await page.locator("#proof ~ details > summary").click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Save the claim as claim.json").click()]);
  assert.equal(download.suggestedFilename(), "claim.json");
  const claim = JSON.parse(readFileSync(await download.path(), "utf8"));
  assert.equal(claim.claim, "dejpha/claim/1");
  assert.equal(JSON.stringify(claim), JSON.stringify(JSON.parse(await page.locator("#proof ~ details pre").last().textContent())));
  assert.ok(fileURLToPath(file).endsWith("page.html"));
});
