import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ask, type Status } from "./api";
import { useAnswer } from "./live";
import { follow, useRoute } from "./route";
import "./style.css";
import "uplot/dist/uPlot.min.css";
import { Attack } from "./views/attack";
import { Attacks } from "./views/attacks";
import { Blocks } from "./views/blocks";
import { Enter } from "./views/enter";
import { Ledger } from "./views/ledger";
import { Origins } from "./views/origins";
import { Overview } from "./views/overview";
import { Reports } from "./views/reports";
import { Rules } from "./views/rules";

function App() {
  const [state, set] = useState<string>();
  useEffect(() => {
    const look = () => ask<{ state: string }>("/api/session").then((s) => set(s.state), () => set("away"));
    look();
    addEventListener("logged-out", look);
    return () => removeEventListener("logged-out", look);
  }, []);
  if (state === undefined) return null;
  if (state === "away") return <main class="enter"><h1>dejpha</h1><p role="alert">The shield does not answer. Start it, then reload this page.</p></main>;
  if (state !== "in") return <Enter setup={state === "setup"} entered={() => set("in")} />;
  return <House leave={() => ask("/api/logout", {}).then(() => set("login"))} />;
}

const rooms: [string, string][] = [["/", "Overview"], ["/attacks", "Attacks"], ["/origins", "Origins"], ["/blocks", "Blocks"], ["/rules", "Rules"], ["/ledger", "Ledger"], ["/reports", "Reports"]];

function House({ leave }: { leave: () => void }) {
  const route = useRoute();
  const status = useAnswer<Status>("/api/status");
  const here = rooms.findLast(([path]) => route.path === path || (path !== "/" && route.path.startsWith(path + "/")));
  const id = /^\/attacks\/(\d+)$/.exec(route.path)?.[1];
  useEffect(() => {
    document.title = `${id ? `Attack ${id}` : (here?.[1] ?? "Nothing here")} – dejpha`;
  }, [route.path]);
  return (
    <div onClick={follow}>
      <a class="skip" href="#content">To the content</a>
      <header class="top">
        <a class="mark" href="/"><img src="/icon.svg" alt="" width="24" height="24" /> dejpha</a>
        <nav aria-label="Rooms">
          {rooms.map(([path, name]) => <a href={path} aria-current={here?.[0] === path ? "page" : undefined}>{name}</a>)}
        </nav>
        <span class="spread" />
        <Theme />
        <button class="plain" onClick={leave}>Log out</button>
      </header>
      <Banner status={status.value} error={status.error?.message} />
      <main id="content" tabIndex={-1}>
        {id ? <Attack id={id} key={id} query={route.query} /> :
          route.path === "/" ? <Overview query={route.query} /> :
          route.path === "/attacks" ? <Attacks query={route.query} /> :
          route.path === "/origins" ? <Origins query={route.query} status={status.value} /> :
          route.path === "/blocks" ? <Blocks /> :
          route.path === "/rules" ? <Rules /> :
          route.path === "/ledger" ? <Ledger /> :
          route.path === "/reports" ? <Reports /> :
          <section><h1>Nothing here</h1><p>This address names no room. <a href="/">To the overview</a></p></section>}
      </main>
      <footer>
        A log shows what was recorded. It does not show that an attack was not staged, who sat behind an address, or what was never captured.
        {status.value && <> Log <code>{status.value.origin}</code>, key <code>{status.value.key}</code>, version <code>{status.value.version}</code>.</>}
      </footer>
    </div>
  );
}

const kinds: Record<string, string> = {
  demo: "Demonstration: these attacks are recordings of the project's own, played now. Nobody attacked this machine.",
  recording: "Recording: these figures come from a capture file. The shield read it and could stop nothing, so every outcome is observed.",
};

function Banner({ status, error }: { status?: Status; error?: string }) {
  return (
    <div aria-live="polite">
      {error && <p class="banner bad" role="alert">{error}</p>}
      {status?.fault && <p class="banner bad" role="alert">The console's index is not up to date: {status.fault}</p>}
      {status?.behind && <p class="banner bad" role="status" data-behind>The lists are being built from the evidence: figures and lists still lack attacks.</p>}
      {status && kinds[status.kind] && <p class={`banner ${status.kind}`} data-kind={status.kind}>{kinds[status.kind]}{status.stopped && " All of it has been played."}</p>}
      {status && status.kind === "live" && <p class="banner live" data-kind="live">{status.stopped ? "The shield has stopped watching " : "Watching "}{status.source}.</p>}
    </div>
  );
}

const themes: Record<string, string> = { auto: "dark", dark: "light", light: "auto" };

function Theme() {
  const [theme, set] = useState(() => localStorage.getItem("theme") ?? "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("theme", theme);
    dispatchEvent(new Event("theme"));
  }, [theme]);
  return <button type="button" class="plain" onClick={() => set(themes[theme] ?? "auto")} aria-label={`Colours: ${theme}. Change.`}>Colours: {theme}</button>;
}

render(<App />, document.getElementById("app")!);
