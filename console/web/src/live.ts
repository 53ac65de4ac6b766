// What is shown follows what the shield counts: a server-sent notice, or a look every five seconds without one.
import { useEffect, useState } from "preact/hooks";
import { ask, Refusal } from "./api";

const listeners = new Set<() => void>();
let source: EventSource | undefined;
let timer: ReturnType<typeof setInterval> | undefined;

function tell() {
  for (const f of listeners) f();
}

function begin() {
  source = new EventSource("/api/events");
  source.addEventListener("change", tell);
  timer = setInterval(() => {
    if (source?.readyState !== EventSource.OPEN) tell();
  }, 5000);
}

function end() {
  source?.close();
  clearInterval(timer);
}

/** Runs f at every change while the component is there. */
export function useChange(f: () => void) {
  useEffect(() => {
    listeners.add(f);
    if (listeners.size === 1) begin();
    return () => {
      listeners.delete(f);
      if (listeners.size === 0) end();
    };
  }, [f]);
}

export interface Asked<T> { value?: T; error?: Refusal }

/** Keeps the answer to a path up to date; an older answer stays until the newer one is there. */
export function useAnswer<T>(path: string, live = true): Asked<T> {
  const [state, set] = useState<Asked<T> & { path?: string }>({});
  const [ask1] = useState(() => ({ wanted: "", busy: "", again: false, load: () => {} }));
  ask1.wanted = path;
  ask1.load = () => {
    const asked = ask1.wanted;
    if (ask1.busy === asked) { // a slow answer is waited for, not asked for again and again
      ask1.again = true;
      return;
    }
    ask1.busy = asked;
    ask1.again = false;
    ask<T>(asked).then(
      (value) => asked === ask1.wanted && set({ value, path: asked }),
      (error: Refusal) => {
        if (error.status === 401) dispatchEvent(new Event("logged-out"));
        if (asked === ask1.wanted) set((old) => ({ error, value: old.path === asked ? old.value : undefined, path: asked }));
      },
    ).finally(() => {
      if (ask1.busy !== asked) return;
      ask1.busy = "";
      if (ask1.again) ask1.load();
    });
  };
  useEffect(() => ask1.load(), [path]);
  const [again] = useState(() => () => ask1.load());
  useChange(live ? again : still);
  return state;
}

const still = () => {};
