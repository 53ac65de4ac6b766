// Tells of each test in a line, and closes with one line that counts them.
export default async function* closing(events) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of events) {
    if (type === "test:stderr" || type === "test:stdout") yield data.message;
    if (type !== "test:pass" && type !== "test:fail" || data.details.type === "suite") continue;
    if (data.file && data.name === data.file) continue; // the file as a whole
    const how = type === "test:fail" ? "failed" : data.skip !== undefined ? "skipped" : "passed";
    if (how !== "failed" || data.details.error?.failureType !== "subtestsFailed") count[how]++;
    const why = how === "skipped" ? ` (${data.skip || "skipped"})` : "";
    yield `${{ passed: "ok     ", failed: "FAILED ", skipped: "skipped" }[how]} ${data.name}${why} ${(data.details.duration_ms / 1000).toFixed(1)} s\n`;
    if (how === "failed") yield `        ${String(data.details.error?.cause?.stack ?? data.details.error).replaceAll("\n", "\n        ")}\n`;
  }
  yield `${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`;
}
