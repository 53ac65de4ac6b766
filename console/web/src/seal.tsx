import { useEffect, useState } from "preact/hooks";
import type { Detail, Proof } from "./api";
import { useAnswer } from "./live";
import { Shown } from "./parts";
import { check, type Step } from "./proof";

const signs = { right: "✓", wrong: "✗", unchecked: "–" };
const words = { right: "right", wrong: "wrong", unchecked: "not checked" };

/** An attack's proof, checked in the page, with each step's result and what it does not show. */
export function ProofOf({ a, classes }: { a: Detail; classes: string[] }) {
  if (a.leaf < 0) return <p class="quiet">{a.state === "opened" ? "Not sealed yet: that happens when the attack is over." : "This attack is not in the log."}</p>;
  return <Sealed a={a} classes={classes} />;
}

function Sealed({ a, classes }: { a: Detail; classes: string[] }) {
  const asked = useAnswer<Proof>(`/api/attacks/${a.id}/proof`, false);
  const proof = asked.value;
  const [steps, set] = useState<Step[]>();
  useEffect(() => {
    let left = false;
    if (proof?.sealed) check(proof, a, classes).then((s) => left || set(s));
    return () => { left = true; };
  }, [proof]);
  return (
    <Shown asked={asked}>{(p) => !p.sealed ? <p class="quiet">{p.caveats[0]}</p> : (
      <>
        <p class={`verdict ${steps ? overall(steps) : ""}`} aria-live="polite" data-verdict={steps && overall(steps)}>{steps ? sentence(steps) : "Checking…"}</p>
        <ol class="steps">{steps?.map((s) => (
          <li key={s.name} class={s.verdict}><b aria-hidden="true">{signs[s.verdict]}</b><span><span class="hidden">{words[s.verdict]}: </span>{s.name}<small>{s.said}</small></span></li>
        ))}</ol>
        <ul class="caveats">{p.caveats.map((c) => <li key={c}>{c}</li>)}</ul>
        <p>Log key <code>{p.key_fingerprint}</code>. This page got the key from the same shield: compare it with the one you noted elsewhere, or run <code>dejpha verify --key KEY</code>.</p>
        <details>
          <summary>The proof itself</summary>
          <dl class="facts raw">
            <div><dt>Ordinal</dt><dd>{p.ordinal} in its cell ({Object.values(p.cell).join(", ")})</dd></div>
            <div><dt>Leaf {p.index}</dt><dd><code>{p.leaf}</code></dd></div>
            <div><dt>Path</dt><dd>{p.path.map((h) => <code key={h}>{h}</code>)}</dd></div>
            <div><dt>Root</dt><dd><code>{p.root}</code></dd></div>
            <div><dt>Checkpoint</dt><dd><pre>{p.checkpoint}</pre></dd></div>
            <div><dt>Key</dt><dd><code>{p.verifier}</code></dd></div>
          </dl>
        </details>
      </>
    )}</Shown>
  );
}

const overall = (steps: Step[]) => (steps.some((s) => s.verdict === "wrong") ? "wrong" : steps.some((s) => s.verdict === "unchecked") ? "unchecked" : "right");

function sentence(steps: Step[]): string {
  const verdict = overall(steps);
  if (verdict === "right") return "Proof verified in this page: this attack is in the signed log, as it is shown here.";
  if (verdict === "wrong") return "The proof does not hold. Keep the evidence folder as it is and run dejpha verify.";
  return "What can be checked here is right; a part could not be checked, as said below.";
}
