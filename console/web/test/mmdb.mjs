// Writes a country database in MaxMind's open format (https://maxmind.github.io/MaxMind-DB/), so that tests can place
// addresses that no real database places. Only what a reader needs: IPv4, 24-bit records, {country: {iso_code}}.

const text = (s) => Buffer.concat([Buffer.from([(2 << 5) | s.length]), Buffer.from(s)]);
const map = (entries) => Buffer.concat([Buffer.from([(7 << 5) | entries.length]), ...entries.flatMap(([k, v]) => [text(k), v])]);
const whole = (type, n) => {
  let h = n.toString(16);
  if (h.length % 2) h = "0" + h;
  const b = n === 0 ? Buffer.alloc(0) : Buffer.from(h, "hex");
  return type <= 7 ? Buffer.concat([Buffer.from([(type << 5) | b.length]), b]) : Buffer.concat([Buffer.from([b.length, type - 7]), b]);
};

/** The file that places networks, as [["203.0.113.64/26", "NL"], …]; none may hold another. */
export function countries(networks) {
  const nodes = [[0, 0]]; // 0: nothing, [node]: another node, {at}: data
  const data = [];
  let size = 0;
  for (const [network, code] of networks) {
    const [address, bits] = network.split("/");
    const number = address.split(".").reduce((n, part) => n * 256 + Number(part), 0);
    let node = 0;
    for (let i = 0; i < Number(bits) - 1; i++) {
      const side = Math.floor(number / 2 ** (31 - i)) % 2;
      if (!nodes[node][side]) nodes[node][side] = [nodes.push([0, 0]) - 1];
      node = nodes[node][side][0];
    }
    nodes[node][Math.floor(number / 2 ** (32 - Number(bits))) % 2] = { at: size };
    data.push(map([["country", map([["iso_code", text(code)]])]]));
    size += data.at(-1).length;
  }
  const tree = Buffer.concat(nodes.flatMap((pair) => pair.map((to) => {
    const record = Buffer.alloc(3);
    record.writeUIntBE(to === 0 ? nodes.length : Array.isArray(to) ? to[0] : nodes.length + 16 + to.at, 0, 3);
    return record;
  })));
  const about = map([
    ["binary_format_major_version", whole(5, 2)], ["binary_format_minor_version", whole(5, 0)], ["build_epoch", whole(9, 1_790_000_000)], ["database_type", text("Test-Country")],
    ["description", map([])], ["ip_version", whole(5, 4)], ["languages", Buffer.from([0, 4])], ["node_count", whole(6, nodes.length)], ["record_size", whole(5, 24)],
  ]);
  return Buffer.concat([tree, Buffer.alloc(16), ...data, Buffer.from("\xab\xcd\xefMaxMind.com", "latin1"), about]);
}
