// The page in a real browser, against made-up attacks: looks, keyboard, filters, hostile bytes.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, missing, open, shoot } from "./browser.mjs";
import { look } from "./look.mjs";
import { start } from "./mock.mjs";
import { hostile } from "./fake.mjs";

const options = { skip: missing };
const password = "correct horse";
let browser, shield, state;

/** A page that is logged in. */
async function inside(more = {}, at = shield, cookies = state) {
  return open(browser, at.url, { storageState: cookies, ...more });
}

async function enter(at) {
  const page = await open(browser, at.url);
  await page.goto(at.setup);
  await page.getByLabel("Password").fill(password);
  await page.getByLabel("The same again").fill(password);
  await page.getByRole("button", { name: "Choose and enter" }).click();
  await page.locator(".figure").first().waitFor();
  const cookies = await page.context().storageState();
  await page.context().close();
  return cookies;
}

/** Goes to a view and waits until what it shows is there. */
async function view(page, path, wanted, at = shield) {
  await page.goto(at.url + path.slice(1));
  await page.locator(wanted).first().waitFor();
  await page.locator("[aria-busy]").first().waitFor({ state: "detached" });
}

const total = (page) => page.locator("[data-total]").getAttribute("data-total").then(Number);

/** Waits until the list's total is another one than before, or fails. */
async function changed(page, from) {
  await page.waitForFunction((n) => { const e = document.querySelector("[data-total]"); return e && Number(e.dataset.total) !== n; }, from);
  return total(page);
}

const views = [["overview", "/", ".stack canvas"], ["attacks", "/attacks", "tbody tr"], ["attack", "/attacks/1", ".verdict.right"], ["open attack", "/attacks/240", ".hex"],
  ["origins", "/origins", ".map circle"], ["blocks", "/blocks", "[data-blocks='2']"], ["rules", "/rules", "[data-rules='40']"], ["ledger", "/ledger", ".stack canvas"], ["reports", "/reports", "[data-months='2']"], ["nowhere", "/nothing", "h1"], ["empty list", "/attacks?q=zzzz", "[data-total='0']"]];

describe("made-up attacks", () => {
  before(async () => {
    if (missing) return;
    shield = await start();
    browser = await launch();
    state = await enter(shield);
  });
  after(async () => {
    await browser?.close();
    await shield?.close();
  });

  for (const dark of [false, true]) for (const width of [1280, 375]) {
    test(`every view, ${dark ? "dark" : "light"}, ${width} wide`, options, async () => {
      const page = await inside({ dark, width });
      for (const [name, path, wanted] of views) {
        await view(page, path, wanted);
        for (const d of await page.locator("details > summary").all()) if (await d.isVisible()) await d.click();
        const seen = await page.evaluate(look);
        assert.deepEqual([seen.weak, seen.unnamed, seen.wide, seen.headings], [[], [], 0, 1], name);
        await shoot(page, `mock-${name}-${dark ? "dark" : "light"}-${width}`);
      }
      assert.deepEqual(page.strange, []);
      await page.context().close();
    });
  }

  test("the first page: token, password, and what is refused", options, async () => {
    const own = await start();
    const page = await open(browser, own.url);
    await page.goto(own.setup);
    await page.getByLabel("Password").fill(password);
    assert.equal(new URL(page.url()).hash, "", "the token stays in the address");
    assert.deepEqual((await page.evaluate(look)).weak, []);
    await page.getByLabel("The same again").fill("another one");
    await page.keyboard.press("Enter");
    await page.getByText("The two passwords differ.").waitFor();
    await page.getByLabel("The same again").fill(password);
    await page.keyboard.press("Enter");
    await page.locator(".figure").first().waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Password").fill("not the password");
    await page.keyboard.press("Enter");
    await page.getByText("wrong password").waitFor();
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
    await page.locator(".figure").first().waitFor();
    await page.context().close();
    await own.close();
  });

  test("a block is undone with a reason, and only when it is meant", options, async () => {
    const own = await start({ kind: "live" });
    const cookies = await enter(own);
    const page = await inside({}, own, cookies);
    await view(page, "/blocks", "[data-blocks='2']", own);
    assert.match(await page.locator("[data-mode]").innerText(), /Decisions act.*XDP native on eth0/);
    assert.equal(await page.locator("[data-price]").count(), 0, "a price although it acts");
    assert.equal(await page.getByRole("link", { name: "Attack 5" }).getAttribute("href"), "/attacks/5");
    await page.getByRole("button", { name: "Undo the block of 198.51.100.7" }).click();
    await page.getByRole("button", { name: "Keep it" }).click();
    assert.equal(own.shield.undone, undefined, "undone although it was kept");
    await page.getByRole("button", { name: "Undo the block of 198.51.100.7" }).click();
    await page.getByLabel("Reason").fill("a customer");
    assert.deepEqual((await page.evaluate(look)).unnamed, []);
    await page.getByRole("button", { name: "End this block" }).click();
    await page.getByText("198.51.100.7 is no longer blocked.").waitFor();
    assert.deepEqual(own.shield.undone, { prefix: "198.51.100.7", why: "a customer" });
    own.change();
    await page.locator("[data-blocks='1']").waitFor();
    assert.deepEqual(page.strange, []);
    await page.context().close();
    await own.close();
  });

  test("rules are reloaded with the keyboard, and an error names file and line", options, async () => {
    const own = await start({ kind: "live" });
    const cookies = await enter(own);
    const page = await inside({}, own, cookies);
    await view(page, "/rules", "[data-rules='40']", own);
    assert.match(await page.locator("[data-refused='1'] tbody tr").innerText(), /rules\/web\.rules:12:34\s+9001\s+unknown keyword/);
    const button = page.getByRole("button", { name: "Reload the rules" });
    own.shield.broken = `rules/web.rules:13:5: unknown keyword in ${hostile}`;
    await button.focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter"); // nothing more happens while it works
    await page.locator("[data-wrong]").waitFor();
    assert.match(await page.locator("[data-wrong]").innerText(), /rules in force stay: rules\/web\.rules:13:5: unknown keyword/);
    assert.equal(own.shield.reloads, 1, "a second press reloaded a second time");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Reload the rules", "the focus was lost");
    const seen = await page.evaluate(look);
    assert.deepEqual([seen.weak, seen.unnamed, seen.wide], [[], [], 0]);
    own.shield.broken = "";
    await page.keyboard.press("Space");
    await page.getByText("rules reloaded in 0.21 s").waitFor();
    assert.equal(await page.locator("[data-wrong]").count(), 0, "the old error is still there");
    own.change();
    await page.locator("[data-rules='41']").waitFor();
    await page.locator("[data-refused='0']").waitFor();
    assert.equal(await page.locator("img[src=x]").count(), 0);
    assert.deepEqual(page.strange, []);
    await page.context().close();
    await own.close();
  });

  test("interfaces and their ledger", options, async () => {
    const own = await start({ kind: "live" });
    const cookies = await enter(own);
    for (const width of [1280, 375]) {
      const page = await inside({ width }, own, cookies);
      await view(page, "/ledger", "[data-interfaces='2']", own);
      const [first, second] = await page.locator("[data-interfaces] tbody tr").allInnerTexts();
      for (const part of ["eth0 up", "watched", hostile, "1\u202f200\u202f345", "300\u202f000: encrypted by TLS", "300: a rule says bypass"]) assert.ok(first.includes(part), `${part} is missing in ${first}`);
      for (const part of ["eth1 down", "as a bridge; traffic is stopped while the shield is silent", "everything", "7: the source is blocked"]) assert.ok(second.includes(part), `${part} is missing in ${second}`);
      const numbers = await page.locator("[data-interfaces] tbody tr").evaluateAll((rows) => rows.map((r) => [...r.querySelectorAll("td.n")].map((e) => Number(e.textContent.replaceAll("\u202f", "")))));
      for (const [received, ...parts] of numbers) assert.equal(parts.reduce((a, b) => a + b), received);
      const seen = await page.evaluate(look);
      assert.deepEqual([seen.weak, seen.unnamed, seen.wide], [[], [], 0]);
      assert.deepEqual(page.strange, []);
      await page.context().close();
    }
    await own.close();
  });

  test("the rehearsal's price", options, async () => {
    const page = await inside();
    await view(page, "/blocks", "[data-price]");
    const text = await page.locator("[data-price]").innerText();
    for (const n of ["14", "12", "45\u202f331", "3", "21", "2"]) assert.ok(text.includes(n), `${n} is missing`);
    await page.context().close();
  });

  test("three figures, never added up, each with its definition and its list", options, async () => {
    const page = await inside();
    await view(page, "/", ".figure");
    const figures = await page.locator("[data-figure]").allTextContents();
    assert.equal(figures.length, 3);
    const sum = figures.reduce((n, f) => n + Number(f.replaceAll("\u202f", "")), 0);
    assert.ok(!(await page.locator("main").innerText()).split(/[^\d]+/).includes(String(sum)), `the sum ${sum} is shown`);
    for (const name of ["foiled", "contained", "observed"]) {
      await view(page, "/", ".figure");
      const figure = page.locator(`.figure.${name}`);
      assert.equal(await figure.locator("details p").first().isVisible(), false);
      await figure.locator("summary").click();
      assert.ok(await figure.getByText(`What ${name} means, in one sentence.`).isVisible());
      const n = Number((await figure.locator("strong").innerText()).replaceAll("\u202f", ""));
      await figure.locator("a").click();
      await page.locator("[data-total]").waitFor();
      assert.equal(await total(page), n, `the list behind ${name}`);
    }
    await page.context().close();
  });

  test("what needs a person stands on the first screen, wide and narrow", options, async () => {
    for (const size of [{ width: 1280, height: 720 }, { width: 375, height: 667 }]) {
      const page = await inside(size);
      await view(page, "/", ".needs .brief li");
      const { top, bottom } = await page.locator(".needs .brief li").first().evaluate((e) => { const r = e.querySelector("a").getBoundingClientRect(); return { top: r.top, bottom: r.bottom }; });
      assert.ok(top > 0 && bottom < size.height, `${size.width} wide: it lies at ${top} to ${bottom}`);
      await page.context().close();
    }
    const page = await inside();
    await view(page, "/", ".needs .brief li");
    const all = page.getByRole("link", { name: /that need a person/ });
    const n = Number(/\d+/.exec(await all.innerText())[0]);
    await all.click();
    await page.locator("[data-total]").waitFor();
    assert.equal(await total(page), n);
    assert.equal(await page.locator("select[name=severity] option:checked").innerText(), "1 or 2");
    await page.context().close();
  });

  test("filters live in the address, and survive reload and going back", options, async () => {
    const page = await inside();
    await view(page, "/attacks", "tbody tr");
    const all = await total(page);
    await page.locator("select[name=class]").selectOption("scan");
    const scans = await changed(page, all);
    await page.locator("select[name=outcome]").selectOption("foiled");
    const both = await changed(page, scans);
    assert.ok(all > scans && scans > both && both > 0, `${all} ${scans} ${both}`);
    assert.equal(new URL(page.url()).search, "?class=scan&outcome=foiled");
    await page.reload();
    await page.locator("tbody tr").first().waitFor();
    assert.equal(await total(page), both);
    assert.equal(await page.locator("select[name=class]").inputValue(), "scan");
    await page.goBack();
    assert.equal(await changed(page, both), scans);
    assert.equal(await page.locator("select[name=outcome]").inputValue(), "");
    await page.goBack();
    assert.equal(await changed(page, scans), all);
    await page.goForward();
    assert.equal(await changed(page, all), scans);
    await page.locator("input[name=q]").fill("10.20.1.0");
    await page.keyboard.press("Enter");
    const found = await changed(page, scans);
    assert.ok(page.url().includes("q=10.20.1.0"));
    await page.getByRole("link", { name: "Clear the filter" }).click();
    assert.equal(await changed(page, found), all);
    await page.getByRole("link", { name: "next page" }).click();
    await page.getByText("page 2 of").waitFor();
    assert.equal(new URL(page.url()).search, "?page=2");
    await page.locator("select[name=side]").selectOption("inside");
    await changed(page, all);
    assert.equal(new URL(page.url()).search, "?side=inside", "a new filter begins at its first page");
    await page.getByRole("link", { name: "Packets" }).click();
    await page.locator("th[aria-sort=descending]", { hasText: "Packets" }).waitFor();
    await page.waitForFunction(() => {
      const packets = [...document.querySelectorAll("tbody td.n")].map((e) => Number(e.textContent.replaceAll("\u202f", "")));
      return packets.length > 5 && packets.every((n, i) => i === 0 || n <= packets[i - 1]);
    });
    await page.context().close();
  });

  test("bytes of traffic stay text", options, async () => {
    const page = await inside();
    await view(page, "/attacks/1", ".verdict.right");
    await page.locator(".hex mark").first().waitFor();
    const shown = await page.locator("main").innerText();
    assert.ok(shown.includes(hostile), "the story shows the bytes as they are");
    assert.ok((await page.locator(".rule pre").innerText()).includes("<img src=x"));
    assert.ok((await page.locator(".hex").innerText()).includes("<img"), "the packet shows them too");
    assert.match((await page.locator(".hex mark").allTextContents()).join(""), /'taken27 22 3e'">/);
    await view(page, `/attacks?q=${encodeURIComponent(hostile)}&origin=${encodeURIComponent(hostile)}`, "[data-total]");
    assert.ok((await page.locator(".chips").innerText()).includes(hostile));
    assert.equal(await page.locator("img[src=x]").count(), 0);
    assert.match(await page.title(), /dejpha$/);
    assert.deepEqual(page.strange, []);
    await page.context().close();
  });

  test("with the keyboard alone", options, async () => {
    const page = await inside();
    await view(page, "/attacks", "tbody tr");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "To the content");
    await page.keyboard.press("Enter");
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.name), "q");
    await page.keyboard.type("j/k");
    assert.equal(await page.locator("input[name=q]").inputValue(), "j/k", "keys are letters while typing");
    await view(page, "/attacks", "tbody tr");
    for (const [key, at] of [["j", 1], ["j", 2], ["k", 1], ["j", 2]]) {
      await page.keyboard.press(key);
      await page.locator(`tbody tr:nth-child(${at}).at`).waitFor();
    }
    const fast = (keys) => page.evaluate((keys) => { for (const key of keys) document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); }, keys);
    await fast("jjjkk"); // faster than the page is drawn
    await page.locator("tbody tr:nth-child(3).at").waitFor();
    await fast("k");
    await page.locator("tbody tr:nth-child(2).at").waitFor();
    const row = page.locator("tbody tr").nth(1);
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, "none", "the focus cannot be seen");
    const to = await row.locator("a.row").getAttribute("href");
    await page.keyboard.press("Enter");
    await page.locator("article.attack").waitFor();
    assert.equal(new URL(page.url()).pathname, to);
    await view(page, "/origins", ".map circle");
    for (let i = 0; i < 40 && !(await page.evaluate(() => document.activeElement.hasAttribute("data-country"))); i++) await page.keyboard.press("Tab");
    const code = await page.evaluate(() => document.activeElement.getAttribute("data-country"));
    await page.keyboard.press("Enter");
    await page.locator("[data-total]").waitFor();
    assert.equal(new URL(page.url()).search, `?country=${code}`);
    await view(page, "/attacks/2", ".scroll button");
    await page.locator(".scroll button").nth(3).focus();
    await page.keyboard.press("Enter");
    await page.getByText("Packet 4", { exact: true }).waitFor();
    assert.equal(new URL(page.url()).searchParams.get("packet"), "4");
    await page.context().close();
  });

  test("every dot of the map opens its records", options, async () => {
    const page = await inside();
    await view(page, "/origins", ".map circle");
    const dots = await page.locator(".map a").evaluateAll((all) => all.map((a) => [a.getAttribute("data-country"), Number(/: (\d+)/.exec(a.getAttribute("aria-label"))[1])]));
    assert.ok(dots.length >= 8, `${dots.length} dots`);
    for (const [code, n] of dots) {
      await page.locator(".map circle").first().waitFor();
      await page.locator(`.map a[data-country=${code}]`).dispatchEvent("click");
      await page.locator("[data-total]").waitFor();
      assert.equal(await total(page), n, code);
      assert.equal(new URL(page.url()).search, `?country=${code}`);
      await page.goBack();
    }
    await page.context().close();
  });

  test("a proof that was tampered with is called wrong", options, async () => {
    const page = await inside();
    let harmed;
    await page.route("**/proof", async (route) => {
      const answer = await route.fetch();
      const proof = await answer.json();
      harmed(proof);
      await route.fulfill({ response: answer, json: proof });
    });
    for (const [what, harm] of Object.entries({
      leaf: (p) => { p.leaf = p.leaf.slice(0, 90) + (p.leaf[90] === "0" ? "1" : "0") + p.leaf.slice(91); },
      path: (p) => { p.path[0] = p.path[1]; },
      root: (p) => { p.root = p.path[0]; },
      checkpoint: (p) => { p.checkpoint = p.checkpoint.replace(/\n\d+\n/, (n) => `\n${Number(n) + 1}\n`); },
      "another's": (p) => { p.index += 1; },
      "a field of the private part": (p) => { p.openings[0].value = btoa(atob(p.openings[0].value).replace("true", "false")); },
      "an absent field": (p) => { p.openings[5].value = ""; },
      salts: (p) => { p.openings[1].salt = p.openings[2].salt; },
      rubbish: (p) => { p.leaf = "zz"; },
    })) {
      harmed = harm;
      await view(page, "/attacks/2", "[data-verdict]");
      assert.equal(await page.locator("[data-verdict]").getAttribute("data-verdict"), "wrong", what);
    }
    await page.context().close();
  });

  test("a record that was tampered with does not pass for the sealed one", options, async () => {
    const page = await inside();
    let harmed;
    await page.route("**/api/attacks/3", async (route) => {
      const answer = await route.fetch();
      const a = await answer.json();
      harmed(a);
      await route.fulfill({ response: answer, json: a });
    });
    for (const [what, harm] of Object.entries({
      packets: (a) => { a.packets = 1; },
      outcome: (a) => { a.outcome = a.outcome === "foiled" ? "observed" : "foiled"; },
      origin: (a) => { a.origin_detail.proven = !a.origin_detail.proven; },
      "origin's name": (a) => { a.origin = "192.0.2.99"; },
      sources: (a) => { a.origin_detail.sources.pop(); },
      target: (a) => { a.target_detail.ips[0] = "10.99.0.1"; },
      alerts: (a) => { a.alerts_detail.push({ gid: 1, sid: 1, rev: 1, msg: "x", count: 1 }); },
      "other fields": (a) => { a.techniques = ["T0000"]; },
    })) {
      harmed = harm;
      await view(page, "/attacks/3", "[data-verdict]");
      assert.equal(await page.locator("[data-verdict]").getAttribute("data-verdict"), "wrong", what);
      await page.getByText(new RegExp(`they differ in .*${what}`)).waitFor();
    }
    await page.context().close();
  });

  test("an erased private part is said to be unchecked, not right", options, async () => {
    const page = await inside();
    await page.route("**/proof", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), openings: null } });
    });
    await view(page, "/attacks/2", "[data-verdict=unchecked]");
    await page.getByText(/it was erased/).waitFor();
    await page.context().close();
  });

  test("the kind of log is said plainly, and a shield that saw nothing too", options, async () => {
    for (const [kind, words] of Object.entries({ demo: /^Demonstration: .*Nobody attacked this machine/, recording: /^Recording: .*could stop nothing/, live: /^Watching wlan0/ })) {
      const own = await start({ kind, empty: kind === "live" });
      const cookies = await enter(own);
      const page = await inside({}, own, cookies);
      for (const [name, path, wanted] of [["overview", "/", ".figure"], ["attacks", "/attacks", "[data-total]"], ["origins", "/origins", ".map .land"], ["ledger", "/ledger", "[data-balanced]"]]) {
        await view(page, path, wanted, own);
        assert.match(await page.locator("[data-kind]").innerText(), words, name);
        if (kind === "live") {
          assert.deepEqual(await page.evaluate(look).then((s) => [s.weak, s.unnamed, s.wide]), [[], [], 0], `empty ${name}`);
          if (name !== "ledger") assert.match(await page.locator("main").innerText(), /appears here by itself/, `empty ${name}`);
        }
      }
      assert.deepEqual(page.strange, []);
      await page.context().close();
      await own.close();
    }
  });

  test("figures follow the shield without a reload, and say when it is gone", options, async () => {
    const own = await start();
    const cookies = await enter(own);
    const page = await inside({}, own, cookies);
    await view(page, "/", ".figure", own);
    await page.waitForTimeout(300);
    const before = await page.locator("[data-figure=observed]").innerText();
    const late = { ...own.shield.attacks.find((a) => a.state === "closed" && a.outcome === "observed" && a.risk === "real" && !a.authorised) };
    own.shield.attacks.push({ ...late, id: 999 });
    own.change();
    await page.waitForFunction((n) => document.querySelector("[data-figure=observed]").textContent !== n, before);
    assert.equal(Number(await page.locator("[data-figure=observed]").innerText()), Number(before) + 1);
    await own.close();
    await page.locator("[role=alert]", { hasText: "The shield does not answer" }).first().waitFor();
    assert.ok(await page.locator(".figure").first().isVisible(), "the last figures stay");
    await page.context().close();
  });

  test("a chosen stretch of time is in the address", options, async () => {
    const page = await inside();
    await view(page, "/", ".stack .u-over");
    const box = await page.locator(".u-over").boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 4 });
    await page.mouse.up();
    await page.locator(".chosen").waitFor();
    const q = new URL(page.url()).searchParams;
    assert.ok(Number(q.get("to")) > Number(q.get("from")));
    await page.reload();
    await page.locator(".chosen").waitFor();
    await page.context().close();
  });

  test("on paper", options, async () => {
    const page = await inside({ dark: true });
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    await view(page, "/attacks/1", ".verdict.right");
    for (const hidden of [".top nav", ".scroll"]) assert.equal(await page.locator(hidden).first().isVisible(), false, hidden);
    for (const shown of [".story", ".facts", ".hex", ".rule", ".verdict", ".caveats", "[data-kind]"]) assert.ok(await page.locator(shown).first().isVisible(), shown);
    const [ground, ink] = await page.evaluate(() => { const s = getComputedStyle(document.documentElement); return [s.backgroundColor, s.color]; });
    assert.equal(ground, "rgb(255, 255, 255)");
    assert.notEqual(ink, ground);
    assert.deepEqual(await page.evaluate(look).then((s) => s.weak), [], "ink on paper");
    const pdf = await page.pdf({ format: "A4" });
    assert.ok(pdf.length > 10_000 && pdf.subarray(0, 5).toString() === "%PDF-");
    await page.context().close();
  });
});
