// The verifier's page in a real browser, opened from a file and offline: drop a claim on it, see the sentence, the check
// and the caveats.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { after, before, describe, test } from "node:test";
import { launch, missing, open, shoot } from "./browser.mjs";
import { look } from "./look.mjs";

const at = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const url = pathToFileURL(at("bin/dejpha-verify.html")).href;
const sample = readFileSync(at("claim/testdata/claim.json"));
const options = { skip: missing || (existsSync(at("bin/dejpha-verify.html")) ? false : "no bin/dejpha-verify.html: make verifier") };

describe("the verifier's page", options, () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(async () => { await browser?.close(); });

  const fresh = async (more = {}) => {
    const page = await open(browser, url, { offline: true, ...more });
    await page.goto(url);
    await page.getByText("Ready.").waitFor();
    return page;
  };
  const give = (page, bytes) => page.getByLabel("Claim file").setInputFiles({ name: "claim.json", mimeType: "application/json", buffer: Buffer.from(bytes) });

  test("a claim is proven, with its sentence and its caveats, and nothing is asked of anybody", async () => {
    for (const dark of [false, true]) {
      const page = await fresh({ dark });
      await give(page, sample);
      await page.getByText("✓ Proven: claim").waitFor();
      const text = await page.locator("#result").innerText();
      assert.ok(text.includes(JSON.parse(sample).sentence), text);
      assert.match(text, /self-certified, key [0-9a-f]{16}/);
      assert.match(text, /What it does not show[\s\S]*who stood behind an address/);
      assert.match(text, /sensor 1 \(only said\)/);
      assert.deepEqual(page.strange, []);
      assert.deepEqual(page.asked.filter((u) => u !== url), []);
      assert.deepEqual(await page.evaluate(look), { weak: [], unnamed: [], wide: 0, headings: 1 });
      await shoot(page, `verifier-${dark ? "dark" : "light"}`);
      await page.context().close();
    }
  });

  test("a changed figure is found, a key that is not the log's, too; what a claim says is text", async () => {
    const page = await fresh();
    await give(page, String(sample).replace('"gross":5', '"gross":6'));
    await page.getByText("✗ Wrong: claim, 1 problem").waitFor();
    assert.match(await page.locator("#result").innerText(), /its count does not follow from what is proven/);
    await give(page, String(sample).replace('"sensor 1"', '"<img src=x onerror=document.title=1>"'));
    await page.getByText("✓ Proven: claim").waitFor();
    assert.equal(await page.locator("#result img").count(), 0);
    assert.match(await page.locator("#result").innerText(), /<img src=x/);
    await page.getByText("Keys and checkpoints from elsewhere").click();
    await page.getByLabel("The log's key; of a merged claim").fill("example.org/other+00000000+AAAA");
    await page.getByRole("button", { name: "Check again" }).click();
    await page.getByText("✗ Cannot be checked").waitFor();
    await page.getByLabel("The log's key; of a merged claim").fill(JSON.parse(sample).log.key);
    await page.getByLabel("An earlier checkpoint").fill(JSON.parse(sample).checkpoint);
    await page.getByRole("button", { name: "Check again" }).click();
    await page.getByText("✓ Proven: claim").waitFor();
    assert.match(await page.locator("#result").innerText(), /, as given[\s\S]*its 131 leaves are the first of this one/);
    await give(page, "no claim at all");
    await page.getByText("✗ Cannot be checked").waitFor();
    assert.deepEqual(page.strange, []);
    await page.context().close();
  });

  test("a file that is dropped is checked; the keyboard reaches everything", async () => {
    const page = await fresh();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), "file");
    const data = await page.evaluateHandle((text) => {
      const d = new DataTransfer();
      d.items.add(new File([text], "claim.json"));
      return d;
    }, String(sample));
    await page.dispatchEvent("#drop", "drop", { dataTransfer: data });
    await page.getByText("✓ Proven: claim").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "result");
    await page.context().close();
  });
});
