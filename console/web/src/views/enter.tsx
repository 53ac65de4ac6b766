import { useState } from "preact/hooks";
import { ask } from "../api";

/** The first page: choose the password with the one-time token, or log in with it. */
export function Enter({ setup, entered }: { setup: boolean; entered: () => void }) {
  const [token] = useState(() => {
    const t = new URLSearchParams(location.hash.slice(1)).get("setup") ?? "";
    if (t) history.replaceState(null, "", location.pathname + location.search);
    return t;
  });
  const [typed, type] = useState("");
  const [error, say] = useState("");
  const [busy, wait] = useState(false);
  const submit = (e: Event) => {
    e.preventDefault();
    const form = new FormData(e.target as HTMLFormElement);
    const password = String(form.get("password"));
    if (setup && password !== form.get("again")) return say("The two passwords differ.");
    wait(true);
    ask(setup ? "/api/setup" : "/api/login", setup ? { token: token || typed.trim(), password } : { password })
      .then(entered, (e: Error) => say(e.message))
      .finally(() => wait(false));
  };
  return (
    <main class="enter">
      <h1><img src="/icon.svg" alt="" width="32" height="32" /> dejpha</h1>
      <form onSubmit={submit}>
        {setup ? <p>Choose the password of this console. It is kept on this machine only.</p> : <p>Log in to see what the shield counts.</p>}
        {setup && !token && <label>Setup token, printed when the shield started
          <input name="token" value={typed} onInput={(e) => type(e.currentTarget.value)} autocomplete="off" required /></label>}
        <label>Password{setup && ", at least 10 characters"}
          <input type="password" name="password" minLength={setup ? 10 : undefined} autocomplete={setup ? "new-password" : "current-password"} required autofocus /></label>
        {setup && <label>The same again<input type="password" name="again" autocomplete="new-password" required /></label>}
        <p role="alert" class="error">{error}</p>
        <button type="submit" disabled={busy}>{setup ? "Choose and enter" : "Log in"}</button>
      </form>
    </main>
  );
}
