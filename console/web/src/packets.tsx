import type { Detail, Packet, Packets } from "./api";
import { Hexdump } from "./hexdump";
import { useAnswer } from "./live";
import { Shown } from "./parts";
import { unbase64 } from "./proof";
import { address, go, having } from "./route";
import { clock, number } from "./text";

const pageSize = 50;
const carries = (p: Packet) => p.payload_offset >= 0 && p.wire > p.payload_offset;

/** The kept packets of an attack and the bytes of the chosen one; which one is in the address. */
export function PacketsOf({ a, query }: { a: Detail; query: URLSearchParams }) {
  const chosen = Number(query.get("packet")) || 0;
  const page = Math.max(1, Number(query.get("packets")) || Math.floor(Math.max(0, chosen - 1) / pageSize) + 1);
  const list = useAnswer<Packets>(address(`/api/attacks/${a.id}/packets`, { offset: (page - 1) * pageSize, limit: pageSize }), a.state === "opened");
  const to = (n: number, packet = 0) => address(`/attacks/${a.id}`, having(query, { packets: n > 1 ? String(n) : "", packet: packet ? String(packet) : "" }));
  if (!a.packets_kept && a.state !== "opened") return <p class="quiet">No packets are kept with this attack.</p>;
  return (
    <Shown asked={list}>{(l) => {
      const at = l.items.find((p) => p.n === chosen) ?? l.items.find((p) => p.marks.length > 0) ?? l.items.find(carries) ?? l.items[0];
      const pages = Math.ceil(l.total / pageSize);
      if (!at) return <p class="quiet">No packets are kept yet. They appear here by themselves.</p>;
      return (
        <>
          <p>{number(l.total)} {l.total === 1 ? "packet is" : "packets are"} kept: what was recognised and what led to it. <a href={`/api/attacks/${a.id}/packets.pcap`} download>Download them as a capture</a>
            {a.packets_hash && <small> SHA-256 {a.packets_hash.slice(0, 16)}…</small>}</p>
          <div class="packets">
            <div>
              <div class="scroll" tabIndex={0} role="group" aria-label="List of packets">
                <ol>{l.items.map((p) => <Line key={p.n} p={p} at={p === at} choose={() => go(to(page, p.n), true)} />)}</ol>
              </div>
              {pages > 1 && <nav class="pages" aria-label="Pages of packets">
                {page > 1 && <a href={to(page - 1)}>← earlier</a>}<span>page {page} of {pages}</span>{page < pages && <a href={to(page + 1)}>later →</a>}</nav>}
            </div>
            <Bytes p={at} />
          </div>
        </>
      );
    }}</Shown>
  );
}

function Line({ p, at, choose }: { p: Packet; at: boolean; choose: () => void }) {
  return (
    <li>
      <button type="button" aria-pressed={at} onClick={choose}>
        <b>{p.n}</b> <time>{clock(p.time_ns).slice(11)}</time> {p.marks.length > 0 && <em>match</em>} <span>{p.summary}</span>
      </button>
    </li>
  );
}

function Bytes({ p }: { p: Packet }) {
  const data = unbase64(p.data);
  return (
    <figure class="bytes">
      <figcaption aria-live="polite"><b>Packet {p.n}</b> <small>{clock(p.time_ns)} UTC, {number(p.wire)} bytes on the wire{data.length < p.wire && `, ${number(data.length)} kept`}</small></figcaption>
      <Hexdump data={data} payload={p.payload_offset} marks={p.marks} />
      <p class="quiet">{p.marks.length > 0 ? <>What a rule looked for is <mark>marked</mark>. </> : "No rule's bytes are in this packet. "}Headers are paler than what they carry.</p>
    </figure>
  );
}
