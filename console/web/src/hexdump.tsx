// Bytes of traffic, only ever as text nodes: sixteen to a line, in hexadecimal and as letters.

export type Mark = [start: number, end: number];
interface Run { kind: "head" | "body" | "mark"; bytes: Uint8Array }

const width = 16;

/** Cuts a line of bytes where what they are changes: headers, payload, matched. */
export function runs(data: Uint8Array, from: number, payload: number, marks: Mark[]): Run[] {
  const kindOf = (i: number): Run["kind"] => (marks.some(([a, b]) => i >= a && i < b) ? "mark" : i < payload ? "head" : "body");
  const out: Run[] = [];
  const to = Math.min(data.length, from + width);
  for (let i = from; i < to;) {
    const kind = kindOf(i);
    let end = i + 1;
    while (end < to && kindOf(end) === kind) end++;
    out.push({ kind, bytes: data.subarray(i, end) });
    i = end;
  }
  return out;
}

const hex = (b: Uint8Array) => Array.from(b, (v) => v.toString(16).padStart(2, "0")).join(" ");
const letters = (b: Uint8Array) => Array.from(b, (v) => (v >= 0x20 && v < 0x7f ? String.fromCharCode(v) : "·")).join("");
const part = (r: Run, text: string) => (r.kind === "mark" ? <mark>{text}</mark> : r.kind === "head" ? <i>{text}</i> : text);

export function Hexdump({ data, payload, marks }: { data: Uint8Array; payload: number; marks: Mark[] }) {
  const lines = [];
  for (let at = 0; at < data.length; at += width) {
    const cut = runs(data, at, payload, marks);
    const short = width - Math.min(width, data.length - at);
    lines.push(
      <span class="line" key={at}>
        <b>{at.toString(16).padStart(4, "0")}</b>{"  "}
        {cut.map((r, i) => <>{i > 0 && " "}{part(r, hex(r.bytes))}</>)}
        {" ".repeat(short * 3)}{"  "}
        {cut.map((r) => part(r, letters(r.bytes)))}{"\n"}
      </span>,
    );
  }
  return <pre class="hex" tabIndex={0} aria-label={`${data.length} bytes of the packet`}>{lines}</pre>;
}
