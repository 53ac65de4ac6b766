import { useRef, useState } from "preact/hooks";
import { ask, type Block, type Blocks as Answer, type Price, Refusal } from "../api";
import { useAnswer } from "../live";
import { Shown } from "../parts";
import { bytes, number, time } from "../text";

const modes: Record<Answer["mode"], string> = {
  on: "Decisions act.",
  rehearsal: "This shield rehearses: it decides and blocks nobody. Below is what acting would have stopped, and cost.",
  off: "Decisions are off: nobody is blocked.",
  none: "A run of this kind blocks nobody.",
};

/** Who is blocked, why and until when, and what a rehearsal would have cost. */
export function Blocks() {
  const asked = useAnswer<Answer>("/api/blocks");
  const [said, say] = useState("");
  const heading = useRef<HTMLHeadingElement>(null);
  const undone = (text: string) => {
    say(text);
    heading.current?.focus(); // the button that had it is gone
  };
  return (
    <>
      <h1 ref={heading} tabIndex={-1}>Blocks</h1>
      <p role="status" aria-live="polite" data-said>{said}</p>
      <Shown asked={asked}>{(b) => (
        <>
          <p data-mode={b.mode}>{modes[b.mode]}{b.mode === "on" && <> The kernel blocks by: {b.way}.</>}</p>
          {b.price && <Cost p={b.price} />}
          <section>
            <h2>In force</h2>
            {b.items.length ? <List items={b.items} total={b.total} undone={undone} /> : <p class="quiet" data-blocks="0">Nobody is blocked. A block appears here by itself.</p>}
          </section>
        </>
      )}</Shown>
    </>
  );
}

function Cost({ p }: { p: Price }) {
  return (
    <section>
      <h2>The rehearsal's price</h2>
      {p.blocks === 0 ? <p class="quiet">Nobody would have been blocked so far.</p> : (
        <table data-price>
          <tbody>
            <tr><th scope="row">Blocks since {time(p.since_ms)} UTC</th><td class="n">{number(p.blocks)}</td><td>of {number(p.hosts)} hosts</td></tr>
            <tr><th scope="row">Packets stopped</th><td class="n">{number(p.stopped)}</td><td>sent by those who would have been blocked</td></tr>
            <tr class={p.cost ? "lost" : ""}><th scope="row">Ordinary sessions lost</th><td class="n">{number(p.cost)}</td><td>completed ones with services that were not attacked</td></tr>
            <tr><th scope="row">Perhaps lost</th><td class="n">{number(p.perhaps)}</td><td>completed ones with attacked services, in which nothing was seen</td></tr>
            <tr><th scope="row">Other hosts</th><td class="n">{number(p.besides)}</td><td>of networks that would have been blocked whole</td></tr>
          </tbody>
        </table>
      )}
    </section>
  );
}

function List({ items, total, undone }: { items: Block[]; total: number; undone: (text: string) => void }) {
  return (
    <>
      {total > items.length && <p>The newest {number(items.length)} of {number(total)}.</p>}
      <div class="wide">
        <table data-blocks={total}>
          <thead><tr><th scope="col">Who</th><th scope="col">Why</th><th scope="col">Attack</th><th scope="col">Since, UTC</th><th scope="col">Until, UTC</th><th scope="col" class="n">Packets stopped</th><th scope="col">Undo</th></tr></thead>
          <tbody>{items.map((b) => <Line b={b} undone={undone} key={b.prefix} />)}</tbody>
        </table>
      </div>
    </>
  );
}

function Line({ b, undone }: { b: Block; undone: (text: string) => void }) {
  const [asking, setAsking] = useState(false);
  const [why, setWhy] = useState("");
  const [wrong, setWrong] = useState("");
  const undo = (e: Event) => {
    e.preventDefault();
    ask("/api/blocks/undo", { prefix: b.prefix, why }).then(
      () => undone(`${b.prefix} is no longer blocked.`),
      (x: Refusal) => setWrong(x.message),
    );
  };
  return (
    <tr>
      <th scope="row"><code>{b.prefix}</code></th>
      <td>{b.by}{b.rate > 0 && <> (at most {number(b.rate)} packets a second)</>}</td>
      <td>{b.attack > 0 ? <a href={`/attacks/${b.attack}`}>Attack {b.attack}</a> : "by a person"}</td>
      <td class="nowrap">{time(b.since_ms)}</td>
      <td class="nowrap">{b.until_ms ? time(b.until_ms) : "for good"}</td>
      <td class="n">{number(b.packets)}{b.bytes > 0 && <> ({bytes(b.bytes)})</>}</td>
      <td>
        {asking ? (
          <form onSubmit={undo}>
            <label>Reason <input value={why} maxLength={500} onInput={(e) => setWhy(e.currentTarget.value)} /></label>
            <button type="submit">End this block</button> <button type="button" class="plain" onClick={() => setAsking(false)}>Keep it</button>
            {wrong && <p role="alert">{wrong}</p>}
          </form>
        ) : <button type="button" onClick={() => setAsking(true)} aria-label={`Undo the block of ${b.prefix}`}>Undo</button>}
      </td>
    </tr>
  );
}
