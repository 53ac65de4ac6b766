// The address bar is the page's only memory: every view and filter can be kept as a link.
import { useEffect, useState } from "preact/hooks";

export interface Route { path: string; query: URLSearchParams }

const read = (): Route => ({ path: location.pathname, query: new URLSearchParams(location.search) });

export function useRoute(): Route {
  const [route, set] = useState(read);
  useEffect(() => {
    const changed = () => set(read());
    addEventListener("popstate", changed);
    return () => removeEventListener("popstate", changed);
  }, []);
  return route;
}

/** Goes to an address of the page. replace: without a step in the history. */
export function go(to: string, replace = false) {
  if (to === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  dispatchEvent(new PopStateEvent("popstate"));
  if (!replace) scrollTo(0, 0);
}

/** An address: a path with a query, without empty values. */
export function address(path: string, query: URLSearchParams | Record<string, string | number>): string {
  const q = query instanceof URLSearchParams ? query : new URLSearchParams(Object.entries(query).map(([k, v]) => [k, String(v)]));
  const text = [...q].filter(([, v]) => v !== "").map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`).join("&");
  return text ? `${path}?${text}` : path;
}

/** The query with one field set, or without it. */
export function having(query: URLSearchParams, changes: Record<string, string>): URLSearchParams {
  const q = new URLSearchParams(query);
  for (const [k, v] of Object.entries(changes)) v === "" ? q.delete(k) : q.set(k, v);
  return q;
}

/** Lets plain clicks on links of the page, the map's too, stay in the page. */
export function follow(e: MouseEvent) {
  const link = (e.target as Element).closest?.("a");
  const to = link?.getAttribute("href");
  if (!link || !to || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  if (!to.startsWith("/") || to.startsWith("/api/") || link.hasAttribute("target") || link.hasAttribute("download")) return;
  e.preventDefault();
  go(to);
}
