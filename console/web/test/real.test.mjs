// The page in a real browser, against the real program as `dejpha run` starts it: from the setup token to a checked proof.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { launch, missing, open, shoot } from "./browser.mjs";
import { look } from "./look.mjs";
import { countries } from "./mmdb.mjs";

const program = fileURLToPath(new URL("../../../bin/dejpha", import.meta.url));
const options = { skip: missing };
const password = "correct horse battery";
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** A port that nobody listens on. */
async function freePort() {
  const s = createServer().listen(0, "127.0.0.1");
  await once(s, "listening");
  const { port } = s.address();
  s.close();
  await once(s, "close");
  return port;
}

/** Starts the program; resolves to the address it prints for the console. */
async function run(folder, port, ...more) {
  const child = spawn(program, ["run", "--set", `state=${folder}`, "--set", `console.country-database=${join(folder, "countries.mmdb")}`, "--listen", `127.0.0.1:${port}`, ...more], { stdio: ["ignore", "pipe", "pipe"] });
  child.said = "";
  for (const out of [child.stdout, child.stderr]) out.on("data", (b) => { child.said += b; });
  const ends = Date.now() + 60_000;
  for (;;) {
    const url = /^Console: (?:open )?(\S+)/m.exec(child.said)?.[1];
    if (url) return { child, url, stop: () => stopped(child) };
    if (child.exitCode !== null || Date.now() > ends) throw new Error(`the program does not start:\n${child.said}`);
    await new Promise((r) => setTimeout(r, 50));
  }
}

async function stopped(child) {
  if (child.exitCode !== null) return child.exitCode;
  child.kill("SIGINT");
  const [code] = await once(child, "exit");
  return code;
}

/** Asks the console without a browser, so that every header can be forged. */
function ask(port, method, path, headers = {}, body = "") {
  return new Promise((resolve, reject) => {
    const r = request({ host: "127.0.0.1", port, method, path, headers }, (res) => {
      let text = "";
      res.setEncoding("latin1").on("data", (b) => { text += b; }).on("end", () => resolve({ code: res.statusCode, headers: res.headers, text }));
    });
    r.on("error", reject);
    r.end(body);
  });
}

const number = (text) => Number(text.replaceAll("\u202f", ""));

describe("the real program", () => {
  let browser, folder, port, shield, page, url;
  before(async () => {
    if (missing) return;
    folder = mkdtempSync(join(tmpdir(), "dejpha-e2e-"));
    writeFileSync(join(folder, "countries.mmdb"), countries([["203.0.113.64/26", "NL"], ["198.51.100.0/24", "BR"]]));
    port = await freePort();
    browser = await launch();
    shield = await run(folder, port, "--pace", "25ms", "--rounds", "3", "--skip", "20m");
    url = `http://127.0.0.1:${port}/`;
    page = await open(browser, url);
  });
  after(async () => {
    await browser?.close();
    if (shield) await shield.stop();
    if (folder) rmSync(folder, { recursive: true });
  });

  const wanted = { "/": ".figure", "/attacks": "[data-total]", "/origins": ".map .land", "/rules": "[data-rules]", "/ledger": "[data-balanced]", "/reports": "[data-months='1']" };
  const view = async (path) => {
    await page.goto(url + path.slice(1));
    await page.locator(wanted[path.replace(/\?.*/, "")] ?? "article.attack").first().waitFor();
  };
  const total = () => page.locator("[data-total]").getAttribute("data-total").then(Number);

  test("the one-time token sets the password, and the first attack appears by itself", options, async () => {
    assert.match(shield.url, new RegExp(`^${url}#setup=[A-Z2-7]{26}$`));
    const began = Date.now();
    await page.goto(shield.url);
    await page.getByLabel("Password").fill(password);
    await page.getByLabel("The same again").fill(password);
    await page.keyboard.press("Enter");
    await page.locator(".figure").first().waitFor();
    assert.match(await page.locator("[data-kind=demo]").innerText(), /Nobody attacked this machine/);
    await page.locator("table a[href*='class=brute-force']").waitFor({ timeout: 60_000 });
    assert.ok(Date.now() - began < 60_000);
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite], ["dejpha_session", true, "Strict"]);
  });

  test("the token is good for once", options, async () => {
    const token = shield.url.split("=")[1];
    const own = { Host: `127.0.0.1:${port}`, Origin: url.slice(0, -1), "Content-Type": "application/json" };
    assert.equal((await ask(port, "POST", "/api/setup", own, JSON.stringify({ token, password: "another password" }))).code, 403);
    const other = await open(browser, url);
    await other.goto(shield.url);
    await other.getByRole("button", { name: "Log in" }).waitFor();
    await other.context().close();
  });

  test("figures grow without a reload, to the end of the samples", options, async () => {
    await page.getByText("All of it has been played.").waitFor({ timeout: 120_000 });
    await page.waitForFunction(() => Number(document.querySelector("[data-figure=observed]").textContent) >= 5);
    assert.deepEqual(await page.locator("[data-figure]").evaluateAll((all) => all.map((e) => e.dataset.figure)), ["foiled", "contained", "observed"]);
    assert.deepEqual([await page.locator("[data-figure=foiled]").innerText(), await page.locator("[data-figure=contained]").innerText()], ["0", "0"], "a demonstration stops nothing");
    const figure = page.locator(".figure.observed");
    await figure.locator("summary").click();
    await figure.getByText("The shield did not act.").waitFor();
    assert.ok(await page.locator(".needs .brief li").first().isVisible());
    await page.locator(".stack canvas").first().waitFor();
    await shoot(page, "overview");
    const n = number(await figure.locator("strong").innerText());
    await figure.locator("a").first().click();
    await page.locator("[data-total]").waitFor();
    assert.equal(await total(), n);
  });

  test("one attack: story, marked bytes, rule text, a proof that is checked in the page", options, async () => {
    await view("/attacks?class=web-attack");
    await page.locator("tbody a.row").first().click();
    await page.locator("[data-verdict]").waitFor();
    assert.equal(await page.locator("[data-verdict]").getAttribute("data-verdict"), "right", await page.locator(".steps").innerText());
    assert.equal(await page.locator(".steps li.right").count(), 6, "each step was checked");
    assert.match(await page.locator(".story").innerText(), /attacked a web application of .* port 80 /);
    await page.locator(".hex mark").first().waitFor();
    assert.match((await page.locator(".hex mark").allTextContents()).join(" "), /union/i);
    const rules = await page.locator(".rule pre").allTextContents();
    assert.ok(rules.length > 0 && rules.every((r) => /^alert .*sid:\d+;/s.test(r)), "the rules' text");
    assert.match(await page.locator(".facts").first().innerText(), /proven by two-way contact/);
    await page.locator("summary", { hasText: "The proof itself" }).click();
    assert.ok((await page.locator(".raw").innerText()).includes("dejpha/demo/"));
    await shoot(page, "attack");
    const href = await page.getByRole("link", { name: "Download them as a capture" }).getAttribute("href");
    const cookie = (await page.context().cookies()).map((c) => `${c.name}=${c.value}`).join();
    const capture = await ask(port, "GET", href, { Cookie: cookie });
    const hash = createHash("sha256").update(Buffer.from(capture.text, "latin1")).digest("hex");
    assert.ok((await page.locator("#packets small").first().innerText()).includes(hash.slice(0, 16)), "the capture is the one whose hash is sealed");
    assert.equal(Buffer.from(capture.text.slice(0, 4), "latin1").readUInt32LE(), 0xa1b23c4d);
  });

  test("every dot of the map opens its records", options, async () => {
    await view("/origins");
    await page.locator(".map circle").first().waitFor();
    const dots = await page.locator(".map a").evaluateAll((all) => all.map((a) => [a.dataset.country ?? a.getAttribute("data-country"), Number(/: (\d+)/.exec(a.getAttribute("aria-label"))[1])]));
    assert.deepEqual(dots.map(([code]) => code), ["NL"], "the user's own country database is asked");
    await shoot(page, "origins");
    for (const [code, n] of dots) {
      await page.locator(`.map a[data-country=${code}]`).dispatchEvent("click");
      await page.locator("[data-total]").waitFor();
      assert.equal(await total(), n);
      assert.equal(await page.locator("tbody tr").count(), n);
      for (const row of await page.locator("tbody tr td:nth-child(4)").allInnerTexts()) assert.match(row, /^203\.0\.113\.\d+ NL$/);
    }
    await view("/origins");
    const unplaced = number(await page.locator(".countries li", { has: page.locator("[data-country=none]") }).locator("b").innerText());
    await page.locator(".countries [data-country=none]").click();
    await page.locator("[data-total]").waitFor();
    assert.equal(await total(), unplaced);
  });

  test("the ledger balances to the packet", options, async () => {
    await view("/ledger");
    assert.equal(await page.locator("[data-balanced]").getAttribute("data-balanced"), "true");
    const fates = (await page.locator(".fates tbody td:nth-child(2)").allInnerTexts()).map(number);
    const received = number(await page.locator(".fates tfoot td").first().innerText());
    assert.equal(fates.reduce((a, b) => a + b), received);
    assert.ok(shield.child.said.includes(`packets    ${received} received`), "the program says another number than the page");
    await shoot(page, "ledger");
  });

  test("the rules are reloaded from the page", options, async () => {
    await page.goto(`${url}rules`);
    const loaded = await page.locator("[data-rules]").getAttribute("data-rules");
    assert.ok(Number(loaded) > 100, `${loaded} rules`);
    await page.getByRole("button", { name: "Reload the rules" }).click();
    await page.getByText(/(rules reloaded in .* s: \d+ in force, 0 refused)|(the shield has ended its run)/).waitFor({ timeout: 60_000 });
    assert.equal(await page.locator("[data-rules]").getAttribute("data-rules"), loaded);
    const cookie = (await page.context().cookies()).map((c) => `${c.name}=${c.value}`).join();
    const own = { Cookie: cookie, Host: `127.0.0.1:${port}`, "Content-Type": "application/json" };
    assert.equal((await ask(port, "POST", "/api/rules/reload", { ...own, Origin: "http://evil.example" }, "{}")).code, 403);
    assert.equal((await ask(port, "POST", "/api/rules/reload", { ...own, Cookie: "", Origin: url.slice(0, -1) }, "{}")).code, 401);
  });

  test("every view can be read, wide and narrow, light and dark", options, async () => {
    const cookies = await page.context().storageState();
    for (const [width, dark] of [[1280, true], [375, false]]) {
      const p = await open(browser, url, { width, dark, storageState: cookies });
      for (const path of ["/", "/attacks", "/attacks/1", "/origins", "/rules", "/ledger", "/reports"]) {
        await p.goto(url + path.slice(1));
        await p.locator(wanted[path] ?? ".verdict.right").first().waitFor();
        const seen = await p.evaluate(look);
        assert.deepEqual([seen.weak, seen.unnamed, seen.wide, seen.headings], [[], [], 0, 1], `${path} ${width}`);
        await shoot(p, `${path.slice(1).replaceAll("/", "-") || "overview"}-${width}`);
      }
      assert.deepEqual(p.strange, []);
      await p.context().close();
    }
  });

  test("the report of a month is a page of its own, which the policy lets be read and saved from", options, async () => {
    await view("/reports");
    const link = page.getByRole("link", { name: /^Read the report of/ });
    assert.equal(await link.getAttribute("target"), "_blank");
    const report = await page.context().newPage(), strange = [];
    report.on("console", (m) => strange.push(m.text()));
    await report.goto(new URL(await link.getAttribute("href"), url).href);
    assert.match(await report.locator("h1").innerText(), /^Attacks counted: [A-Z][a-z]+ \d{4}$/);
    assert.match(await report.locator(".warn").innerText(), /This log is a demo/);
    assert.notEqual(await report.locator(".figures").evaluate((e) => getComputedStyle(e).display), "block", "its style is not in force");
    await report.locator("#proof ~ details summary").click();
    const [claim] = await Promise.all([report.waitForEvent("download"), report.getByRole("link", { name: "Save the claim as claim.json" }).click()]);
    assert.equal(JSON.parse(readFileSync(await claim.path(), "utf8")).claim, "dejpha/claim/1");
    const [json] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "as JSON" }).click()]);
    assert.match(json.suggestedFilename(), /^report-\d{4}-\d{2}\.json$/);
    assert.equal(JSON.parse(readFileSync(await json.path(), "utf8")).format, "dejpha/report/1");
    assert.deepEqual(strange.filter((m) => !m.startsWith("Blocked script execution")), []); // the browser's driver tries its own
    await report.close();
  });

  test("other names, other sites and strangers are refused", options, async () => {
    const cookie = (await page.context().cookies()).map((c) => `${c.name}=${c.value}`).join();
    const own = { Cookie: cookie, Host: `127.0.0.1:${port}` };
    assert.equal((await ask(port, "GET", "/api/summary", own)).code, 200);
    assert.equal((await ask(port, "GET", "/api/summary", { ...own, Cookie: "" })).code, 401);
    for (const host of ["evil.example", `evil.example:${port}`, `127.0.0.1.evil.example:${port}`, "127.0.0.1", `127.0.0.1:${port + 1}`]) {
      for (const path of ["/", "/api/summary", "/api/session"]) assert.equal((await ask(port, "GET", path, { ...own, Host: host })).code, 403, host);
    }
    for (const origin of ["http://evil.example", "null", `http://127.0.0.1:${port + 1}`, `https://127.0.0.1:${port}`, ""]) {
      const code = (await ask(port, "POST", "/api/logout", { ...own, "Content-Type": "application/json", ...(origin ? { Origin: origin } : {}) }, "{}")).code;
      assert.equal(code, 403, origin);
    }
    assert.equal((await ask(port, "GET", "/api/summary", own)).code, 200, "nobody was logged out");
    for (const path of ["/../../etc/passwd", "/assets/../../web.go", "/.gitkeep", "/%2e%2e/%2e%2e/etc/passwd"]) assert.ok(!/root:|package web/.test((await ask(port, "GET", path, own)).text), path);
  });

  test("the content policy holds in the browser", options, async () => {
    const cookies = await page.context().storageState();
    const p = await open(browser, url, { storageState: cookies });
    const answer = await p.goto(url);
    assert.equal(answer.headers()["content-security-policy"], policy);
    assert.deepEqual(["x-content-type-options", "referrer-policy", "cross-origin-opener-policy", "cross-origin-resource-policy"].map((h) => answer.headers()[h]), ["nosniff", "no-referrer", "same-origin", "same-origin"]);
    const other = createServer((s) => { other.reached = true; s.end(); }).listen(0, "127.0.0.1");
    await once(other, "listening");
    const done = await p.evaluate(async (elsewhere) => {
      const script = document.createElement("script");
      script.textContent = "window.taken = 1";
      document.head.append(script);
      const div = document.createElement("div");
      div.innerHTML = `<img src="http://${elsewhere}/x.png" onerror="window.taken = 2">`;
      document.body.append(div);
      let fetched = "blocked";
      try { await fetch(`http://${elsewhere}/`, { mode: "no-cors" }); fetched = "let through"; } catch {}
      const link = document.createElement("a");
      link.setAttribute("href", "javascript:window.taken=3");
      document.body.append(link);
      link.click();
      await new Promise((r) => setTimeout(r, 200));
      return { taken: window.taken, fetched };
    }, `127.0.0.1:${other.address().port}`);
    assert.deepEqual(done, { taken: undefined, fetched: "blocked" });
    assert.equal(other.reached, undefined, "a request left for another server");
    other.close();
    await p.context().close();
  });

  test("nothing was asked of anyone but the console", options, () => {
    assert.ok(page.asked.length > 50);
    assert.deepEqual([...new Set(page.asked.filter((a) => !a.startsWith("data:")).map((a) => new URL(a).origin))], [url.slice(0, -1)]);
    assert.deepEqual(page.strange, []);
  });

  test("after a restart without its index it shows the same attacks, behind the same password", options, async () => {
    await view("/attacks?sort=id");
    const before = await page.locator("tbody tr").allInnerTexts();
    assert.equal(await shield.stop(), 0, shield.child.said);
    for (const end of ["", "-wal", "-shm"]) rmSync(join(folder, "demo", `console.db${end}`), { force: true });
    shield = await run(folder, port, "--pace", "10s");
    assert.equal(shield.url, url, "no second token");
    await page.goto(url + "attacks?sort=id");
    await page.getByLabel("Password").fill("not the password");
    await page.keyboard.press("Enter");
    await page.getByText("wrong password").waitFor();
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
    await page.waitForFunction((n) => document.querySelectorAll("tbody tr").length >= n, before.length);
    assert.deepEqual((await page.locator("tbody tr").allInnerTexts()).slice(0, before.length), before);
    await view("/attacks/1");
    await page.locator(".verdict.right").waitFor();
  });
});
