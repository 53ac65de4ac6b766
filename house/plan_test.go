package house

// room is one line of the plan: what a room may import of ours, and what it is for.
// ARCHITECTURE.md shows the same table; TestArchitectureShowsThePlan compares them.
type roomPlan struct {
	room    string
	imports []string
	purpose string
}

// plan is the import plan of the house (DESIGN: the main way flows left to right; nothing on the
// left imports anything on its right). "app/*" is every folder below app without a line of its own.
var plan = []roomPlan{
	{"capture", nil, "where packets come from: the frame and the source every kind of capture offers"},
	{"capture/cbpf", nil, "programs of classic BPF: filters that a person writes, and what spreads frames over workers"},
	{"capture/*", []string{"capture", "capture/cbpf"}, "one source a folder: recorded files, AF_PACKET, AF_XDP, NFQUEUE, a bridge; seeds and network namespaces for tests"},
	{"decode", nil, "bytes to layers in one reused Packet"},
	{"defrag", []string{"decode"}, "fragments to whole datagrams"},
	{"flow", []string{"decode"}, "keys, table, states, timeouts"},
	{"stream", []string{"decode", "flow"}, "TCP bytes in order by the target's policy; gaps told"},
	{"app/contract", nil, "the plain structs between driver, protocols and rules"},
	{"app/ntlmssp", nil, "NTLMSSP messages, carried by several protocols"},
	{"app/der", nil, "BER and DER elements, of which several protocols are made"},
	{"app/pool", []string{"app/contract"}, "a conversation's live transactions, in order and reused"},
	{"app/*", []string{"app/contract", "app/ntlmssp", "app/der", "app/pool", "jsonline"}, "one protocol a folder: parser, transactions, buffers, record"},
	{"app/dcerpc", []string{"app/contract", "app/ntlmssp", "jsonline"}, "DCERPC over TCP and UDP, and as the cargo of SMB pipes"},
	{"app/smb", []string{"app/contract", "app/ntlmssp", "app/der", "app/dcerpc", "jsonline"}, "SMB 1 to 3; carries DCERPC in its pipes"},
	{"app/apptest", []string{"app", "app/contract", "capture", "capture/*", "decode"}, "the contract every protocol is held to; tests only"},
	{"app", []string{"decode", "flow", "stream", "app/contract", "app/*", "app/smb", "app/dcerpc", "app/ntlmssp"}, "table of protocols, identification, driver, limits"},
	{"rule", nil, "the rule language: text to checked tree"},
	{"detect/literal", nil, "searching many literals at once"},
	{"detect/regex", nil, "regular expressions over bytes, with a step budget"},
	{"detect/chain", []string{"rule", "detect/regex"}, "the conditions inside one buffer: contents, expressions, bytes, transforms"},
	{"hoststate", nil, "what is remembered across flows: thresholds, bits"},
	{"detect", []string{"decode", "flow", "stream", "app", "app/contract", "rule", "hoststate", "detect/literal", "detect/chain"}, "rules to groups, prefilter, evaluation"},
	{"behaviour", []string{"decode", "flow", "stream", "app", "app/contract", "hoststate"}, "own detectors, one file each"},
	{"attack", nil, "accounts, classes, incidents, decisions"},
	{"cosign", nil, "what logs and their witnesses say to each other: signed heads, cosignatures, requests"},
	{"evidence/durable", nil, "the only code that syncs files"},
	{"block", []string{"evidence/durable"}, "what is blocked, limited and guarded, and keeping the kernel to it"},
	{"block/*", []string{"block"}, "one way of the kernel to block a folder: XDP, nftables"},
	{"block/reject", []string{"decode"}, "frames that tell both ends of a stopped packet: TCP resets, ICMP's prohibited"},
	{"block/barred", []string{"block", "decode"}, "who is blocked, for the workers of a shield in the way: read without a lock"},
	{"block/way", []string{"block", "block/*"}, "chooses the way: native XDP, generic XDP, nftables, none"},
	{"evidence/counted", nil, "AES-128 of numbers, for salts and masks"},
	{"evidence/compact", []string{"attack", "evidence/counted"}, "an attack's record in few bytes, and as the values a private part commits to"},
	{"evidence/leaves", nil, "the public part of what a log holds, byte for byte"},
	{"evidence/twin", nil, "SHA-256 of many short messages, two at a time"},
	{"evidence/segment", []string{"evidence/durable"}, "frames in numbered files that only grow, and reading them again"},
	{"evidence", []string{"attack", "evidence/durable", "evidence/compact", "evidence/twin", "evidence/segment", "evidence/leaves"}, "leaves, totals, tree, checkpoints, verification"},
	{"claim", []string{"attack", "evidence"}, "claim files: a count of a log over a window with its proof; made and checked"},
	{"audit", []string{"attack", "claim", "evidence", "evidence/durable", "witness/*"}, "holds a claim against its log: drawn attacks and stretches, or everything; no trust in who keeps it"},
	{"evidence/amend", []string{"attack", "evidence", "evidence/durable", "evidence/leaves"}, "adds to a log that nobody writes to: opens it, withdraws attacks by corrections"},
	{"forget", []string{"attack", "evidence", "evidence/amend", "evidence/durable"}, "erases a person from what a run has left: private parts, packets, records, the index"},
	{"witness", []string{"cosign", "evidence/durable"}, "cosigns the checkpoints of other logs, and refuses forks"},
	{"witness/ask", []string{"cosign", "witness", "evidence", "evidence/durable"}, "has a log's heads cosigned, over HTTP or by file"},
	{"witness/*", []string{"cosign", "witness", "evidence", "evidence/durable"}, "a log's tiles over HTTP"},
	{"stated", nil, "judges figures that somebody stated: what holds together and what cannot"},
	{"report", []string{"attack", "claim", "evidence", "evidence/leaves"}, "a page and JSON about what was counted in a window, each figure with what binds it"},
	{"jsonline", nil, "appends JSON to a reused buffer"},
	{"eve", []string{"decode", "flow", "stream", "app", "app/contract", "detect", "rule", "behaviour", "attack", "jsonline"}, "records for other tools, one event type a file"},
	{"eve/evetest", nil, "holds lines of eve.json to their schema; tests only"},
	{"console", []string{"attack", "claim", "report", "evidence", "evidence/amend", "evidence/durable", "console/*"}, "HTTP API, login, embedded page"},
	{"console/*", []string{"attack", "evidence"}, "parts of the console: index, page"},
	{"explain", []string{"capture", "capture/*", "decode", "rule", "attack", "console"}, "packets and rules in words, for a person"},
	{"config", []string{"cosign"}, "two file formats to one checked struct"},
	{"confine", nil, "what the process gives up once everything is open: privileges, files, system calls"},
	{"control", nil, "the socket by which one speaks to a running shield, and the way to its merge point"},
	{"figures", []string{"control"}, "what a running shield counts at one moment, and the forms in which others read it"},
	{"metrics", []string{"figures"}, "the figures for Prometheus, on a listener of its own"},
	{"notify", nil, "tells the service manager how the program stands"},
	{"top", []string{"figures"}, "the figures drawn for a terminal"},
	{"rules", nil, "the shield's own rules, embedded"},
	{"samples", []string{"capture", "capture/*"}, "small captures of our own, embedded, and the source that plays them"},
	{"shield/bypass", []string{"app", "app/contract", "capture", "config", "decode", "flow", "stream"}, "which conversations the kernel need not show, and the account of them"},
	{"shield/ledger", []string{"capture", "figures"}, "the account of packets: in all, by interface, by reason"},
	{"shield/echo", nil, "which answers over UDP show that their sender got the question"},
	{"shield/reach", []string{"attack", "behaviour", "decode"}, "whose signs went on to their targets, so that only what was wholly stopped is called foiled"},
	{"shield/heap", nil, "keeps the heap near the configured memory, and the collector from running without end"},
	{"shield/clock", nil, "the time of a capture, which no forged stamp moves"},
	{"shield/inforce", nil, "the rules and settings that a log keeps, so that detection can be run again"},
	{"shield/recent", []string{"decode", "behaviour"}, "the frames that just passed, for an attack's evidence"},
	{"shield/kept", []string{"attack", "capture", "capture/*", "shield/recent"}, "the packets that wait with open accounts until these are sealed"},
	{"shield/clerk", []string{"witness/ask", "attack", "capture", "eve", "evidence", "evidence/durable", "shield/records", "shield/summary"}, "writes down what the merge point hands it, behind it: no disk stands before a decision"},
	{"shield/records", []string{"evidence/durable"}, "the record file of a run: whole lines, mended after a crash, closed in time"},
	{"shield/policy", []string{"attack", "config"}, "what is decided about whom, and who is never blocked: from the configuration and the machine"},
	{"shield/nets", []string{"decode", "defrag", "stream"}, "networks as configurations write them, and how the machines in them put things together"},
	{"shield/unsummed", []string{"capture", "capture/*", "decode"}, "recordings whose checksums say nothing"},
	{"shield/summary", []string{"attack", "decode", "shield/clock", "shield/ledger"}, "what a run counts, and what it tells a person at its end"},
	{"shield/ruleset", []string{"app", "app/contract", "config", "control", "decode", "detect", "hoststate", "rule", "rules", "shield/inforce", "shield/summary", "stream"}, "reads and compiles the rules that are named, beside those in force and sharing with them"},
	{"shield/way", []string{"block/reject", "capture", "capture/*", "config", "decode", "rule"}, "where a shield stands in the traffic's way, and what it tells from there"},
	{"shield/trial", []string{"evidence/durable"}, "the dead-man switch of a shield that stands in the way for the first time"},
	{"shield/rehearsal", []string{"attack"}, "what decisions would have stopped, and what that would have cost"},
	{"shield/board", []string{"attack", "block", "block/barred", "figures", "shield/policy"}, "the blocks of a running shield: decisions to the kernel's keeper, the machine's guard, what people ask"},
	{"shield/desk", []string{"attack", "config", "console", "control", "figures", "shield/board", "shield/rehearsal", "shield/ruleset"}, "answers commands and the console about blocks, interfaces, rules and settings"},
	{"shield", []string{"witness/ask", "shield/bypass", "shield/echo", "shield/desk", "shield/ledger", "shield/recent", "shield/kept", "shield/clerk", "shield/board", "shield/clock", "shield/heap", "shield/trial", "shield/way", "shield/inforce", "shield/policy", "shield/records", "shield/nets", "shield/ruleset", "shield/summary", "shield/unsummed", "capture", "capture/*", "decode", "defrag", "flow", "stream", "app", "app/contract", "rule", "detect", "hoststate", "behaviour", "attack", "block", "block/way", "block/barred", "evidence", "evidence/durable", "eve", "jsonline", "console", "explain", "config", "control", "figures", "rules", "samples", "shield/rehearsal", "shield/reach"}, "wires the rooms into an engine: workers, clock, merge point, ledger"},
	{"cases", []string{"shield", "config", "capture", "capture/*", "decode", "rules", "attack"}, "the runner of case files; tests only"},
	{"cmd/*", []string{"audit", "forget", "claim", "shield", "shield/way", "config", "confine", "control", "figures", "metrics", "notify", "top", "rule", "attack", "cosign", "witness", "witness/ask", "witness/*", "evidence/durable", "evidence/amend", "block", "block/*", "block/way", "evidence", "console", "capture", "capture/*", "capture/cbpf", "detect", "app", "rules", "samples", "stated", "report", "console/*"}, "flags, messages, exit codes"},
	{"e2e", []string{"attack"}, "stories of real tools against real servers in own network namespaces; tests only"},
	{"scripts/yearbench", []string{"capture", "shield", "evidence"}, "a year of made-up attacks through the whole way; no part of the program"},
	{"scripts/soaker", []string{"control", "evidence"}, "kills a running shield while attackers go on, and says what held; no part of the program"},
	{"scripts/livebench", []string{"capture", "capture/*"}, "the sender of the live bench; no part of the program"},
	{"house", nil, "tests about the house itself"},
}

// forbidden lists third-party and standard imports that a room must do without, and why.
var forbidden = []struct {
	rooms   []string
	imports []string
	why     string
}{
	{
		[]string{"decode", "defrag", "flow", "stream", "app/*", "app/smb", "detect", "detect/literal", "hoststate", "jsonline"},
		[]string{"encoding/json", "regexp", "log", "log/slog", "reflect"},
		"the packet's way allocates nothing and logs nothing; count it, or pass the value to shield",
	},
	{
		[]string{"decode", "defrag", "flow", "stream", "jsonline", "detect/literal"},
		[]string{"os", "net", "net/http"},
		"rooms on the packet's way see bytes only; open files and sockets in capture, evidence or console",
	},
}
