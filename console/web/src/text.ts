// Numbers, times and names as a person reads them. All times are UTC, and say so.

export const number = (n: number): string => n.toLocaleString("en").replaceAll(",", "\u202f");

export function time(ms: number): string {
  if (!ms) return "–";
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}

export function clock(ns: string): string {
  const ms = Number(BigInt(ns) / 1000000n);
  return `${time(ms)}.${ns.slice(-9, -3)}`;
}

export function span(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function bytes(n: number): string {
  for (const unit of ["bytes", "kB", "MB", "GB"]) {
    if (n < 1000 || unit === "GB") return `${unit === "bytes" ? n : n.toFixed(1)} ${unit}`;
    n /= 1000;
  }
  return "";
}

const regions = new Intl.DisplayNames(["en"], { type: "region" });

export function country(code: string): string {
  if (!code) return "";
  try {
    return regions.of(code) ?? code;
  } catch {
    return code;
  }
}

export const severityName = ["", "1 act now", "2 look today", "3 watch", "4 note"];
