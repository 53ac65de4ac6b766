"use strict";
// Shows what the check found. What a claim says comes onto the page as text alone.
(() => {
  const at = (id) => document.getElementById(id);
  const result = at("result"), status = at("status"), file = at("file"), drop = at("drop");
  let claim = null, program = null;

  const put = (parent, name, text, kind) => {
    const e = parent.appendChild(document.createElement(name));
    if (text !== undefined) e.textContent = text;
    if (kind) e.className = kind;
    return e;
  };

  function list(parent, title, items) {
    if (!items || items.length === 0) return;
    put(parent, "h2", title);
    const ul = put(parent, "ul");
    for (const text of items) put(ul, "li", text);
  }

  function show(parent, r, heading) {
    const proven = r.problem_count === 0;
    if (heading) put(parent, "h2", heading);
    else put(parent, "p", proven ? "✓ Proven: " + r.what : "✗ Wrong: " + r.what + ", " + r.problem_count + (r.problem_count === 1 ? " problem" : " problems"), "verdict " + (proven ? "good" : "bad"));
    if (r.key && !heading) put(parent, "p", r.key, "hint");
    if (r.sentence) {
      put(parent, "blockquote", r.sentence);
      if (!proven && !heading) put(parent, "p", "The sentence is what its leaves show; the claim is wrong all the same.", "hint");
    }
    list(parent, "What is wrong", r.problems);
    if (r.facts && r.facts.length > 0) {
      put(parent, "h2", "What was found");
      const dl = put(parent, "dl");
      for (const f of r.facts) {
        put(dl, "dt", f.name);
        put(put(dl, "dd", f.value + " "), "span", "(" + f.how + ")", "how");
      }
    }
    list(parent, "Signatures", [...(r.signers || []), ...(r.quorum ? ["Quorum " + r.quorum] : [])]);
    (r.parts || []).forEach((p, i) => show(put(parent, "div", undefined, "part"), p, "Part " + (i + 1)));
    list(parent, "What it does not show", r.caveats);
  }

  // run starts the program with these files, and nothing else to read; resolves to its exit code and what it wrote.
  async function run(args, files) {
    const open = [], wrote = { 1: [], 2: [] };
    const none = (path) => Object.assign(new Error("no such file: " + path), { code: "ENOENT" });
    const stat = (size) => ({ dev: 0, ino: 0, mode: 0o100444, nlink: 1, uid: 0, gid: 0, rdev: 0, size, blksize: 4096, blocks: 1, atimeMs: 0, mtimeMs: 0, ctimeMs: 0, isDirectory: () => false });
    Object.assign(globalThis.fs, {
      open: (path, flags, mode, then) => (Object.hasOwn(files, path) ? then(null, 99 + open.push({ bytes: files[path], at: 0 })) : then(none(path))),
      stat: (path, then) => (Object.hasOwn(files, path) ? then(null, stat(files[path].length)) : then(none(path))),
      fstat: (fd, then) => then(null, stat(fd >= 100 ? open[fd - 100].bytes.length : 0)),
      close: (fd, then) => then(null),
      read(fd, into, offset, length, position, then) {
        const f = open[fd - 100], some = f.bytes.subarray(f.at, f.at + length);
        into.set(some, offset);
        f.at += some.length;
        then(null, some.length);
      },
      write(fd, bytes, offset, length, position, then) {
        wrote[fd].push(bytes.slice(offset, offset + length));
        then(null, length);
      },
    });
    const go = new Go();
    let code = -1;
    go.argv = ["dejpha-verify", ...args];
    go.exit = (c) => { code = c; };
    await go.run(await WebAssembly.instantiate(program, go.importObject));
    const text = (fd) => new Blob(wrote[fd]).text();
    return { code, out: await text(1), said: await text(2) };
  }

  async function check() {
    if (!claim || !program) return;
    const bytes = (id) => new TextEncoder().encode(at(id).value.replaceAll("\r", "").trim() + "\n");
    const lines = (id) => at(id).value.split("\n").map((x) => x.trim()).filter(Boolean);
    const files = { "/claim": claim }, args = ["--json"];
    for (const k of lines("keys")) args.push("--key=" + k);
    for (const k of lines("witnesses")) args.push("--witness=" + k);
    if (at("quorum").value !== "") args.push("--quorum=" + at("quorum").value);
    for (const id of ["earlier", "consistency"]) {
      if (at(id).value.trim() === "") continue;
      files["/" + id] = bytes(id);
      args.push(`--${id}=/${id}`);
    }
    const { code, out, said } = await run([...args, "/claim"], files);
    result.replaceChildren();
    result.hidden = false;
    if (code === 0 || code === 4) show(result, JSON.parse(out));
    else put(result, "p", "✗ Cannot be checked: " + (said || "the program ended with " + code), "verdict bad");
    status.textContent = "Checked.";
    result.focus();
  }

  async function take(f) {
    if (!f) return;
    status.textContent = "Reading " + f.name + ".";
    try {
      claim = new Uint8Array(await f.arrayBuffer());
      await check();
    } catch (e) {
      status.textContent = "The file cannot be checked: " + e.message;
    }
  }

  file.addEventListener("change", () => take(file.files[0]));
  at("form").addEventListener("submit", (e) => { e.preventDefault(); check().catch((x) => { status.textContent = "It cannot be checked: " + x.message; }); });
  addEventListener("dragover", (e) => { e.preventDefault(); drop.classList.add("over"); });
  addEventListener("dragleave", () => drop.classList.remove("over"));
  addEventListener("drop", (e) => {
    e.preventDefault();
    drop.classList.remove("over");
    if (!file.disabled) take(e.dataTransfer.files[0]);
  });

  (async () => {
    try {
      const packed = Uint8Array.from(atob(at("wasm").textContent), (c) => c.charCodeAt(0));
      const bytes = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
      program = await WebAssembly.compile(bytes);
      file.disabled = false;
      status.textContent = "Ready.";
    } catch (e) {
      status.textContent = "This browser cannot run the check: " + e.message;
    }
  })();
})();
