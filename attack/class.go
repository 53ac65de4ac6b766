package attack

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// TableVersion names the closed list of classes, its thresholds and its gaps.
const TableVersion = "accounts/1"

// Class is one line of the table. The index in Table is the class's number in evidence.
type Class struct {
	Name       string
	Industrial bool
	Techniques []string // ATT&CK, then ATT&CK for ICS
	Severity   uint8    // 1 act now .. 4 note
	Threshold  Threshold
	Gap        time.Duration // quiet for longer: the attack is over
	Span       time.Duration // longest stretch reported as one piece, on the UTC grid
	Stage      uint8         // place in a story, rising
	Act        string        // what the origin did, for the story
}

// Threshold is what weak observations (severity 3 and 4) must reach together, within Window, to be an attack.
type Threshold struct {
	Observations int
	Targets      int // distinct addresses
	Window       time.Duration
}

const day = 24 * time.Hour

// Table returns the classes in their fixed order. The caller must not change it.
func Table() []Class { return table }

var table = []Class{
	{"scan", false, []string{"T1046", "T1595.001", "T0846"}, 3, Threshold{15, 1, 10 * time.Minute}, 10 * time.Minute, day, 1, "scanned"},
	{"enumeration", false, []string{"T1087", "T1018", "T0888"}, 2, Threshold{10, 1, 5 * time.Minute}, 5 * time.Minute, day, 2, "listed accounts, shares or services of"},
	{"brute-force", false, []string{"T1110", "T0859"}, 2, Threshold{10, 1, 5 * time.Minute}, 15 * time.Minute, day, 3, "guessed passwords on"},
	{"web-attack", false, []string{"T1190"}, 2, Threshold{5, 1, 5 * time.Minute}, 5 * time.Minute, day, 3, "attacked a web application of"},
	{"exploit", false, []string{"T1190", "T1210", "T0866"}, 1, Threshold{5, 1, 5 * time.Minute}, 5 * time.Minute, day, 3, "tried to exploit a weakness of"},
	{"malware", false, []string{"T1105", "T1204"}, 1, Threshold{5, 1, 5 * time.Minute}, 5 * time.Minute, day, 4, "delivered or ran harmful code on"},
	{"c2", false, []string{"T1071", "T0869"}, 1, Threshold{5, 1, time.Hour}, 6 * time.Hour, day, 6, "commanded"},
	{"tunnel", false, []string{"T1572", "T1071.004"}, 2, Threshold{10, 1, time.Hour}, 6 * time.Hour, day, 6, "tunnelled traffic out of"},
	{"dga", false, []string{"T1568.002"}, 2, Threshold{10, 1, 10 * time.Minute}, 5 * time.Minute, day, 5, "made"},
	{"spoofing", false, []string{"T1557", "T0830"}, 2, Threshold{5, 1, 5 * time.Minute}, 5 * time.Minute, day, 3, "forged messages to"},
	{"lateral-movement", false, []string{"T1021", "T0867"}, 1, Threshold{5, 1, 5 * time.Minute}, 5 * time.Minute, day, 5, "moved to"},
	{"credential-access", false, []string{"T1003", "T1558"}, 1, Threshold{5, 1, 5 * time.Minute}, 5 * time.Minute, day, 4, "tried to take credentials from"},
	{"exfiltration", false, []string{"T1048", "T1041"}, 1, Threshold{5, 1, time.Hour}, 5 * time.Minute, day, 7, "took data from"},
	{"flood", false, []string{"T1498", "T1499", "T0814"}, 2, Threshold{100, 1, time.Minute}, 2 * time.Minute, day, 8, "flooded"},
	{"program-download", true, []string{"T0843"}, 1, Threshold{1, 1, time.Minute}, 5 * time.Minute, day, 7, "loaded a program into"},
	{"program-upload", true, []string{"T0845"}, 2, Threshold{1, 1, time.Minute}, 5 * time.Minute, day, 4, "read the program of"},
	{"plc-stop", true, []string{"T0858", "T0881"}, 1, Threshold{1, 1, time.Minute}, 5 * time.Minute, day, 8, "stopped"},
	{"plc-start", true, []string{"T0858"}, 1, Threshold{1, 1, time.Minute}, 5 * time.Minute, day, 8, "started"},
	{"mode-change", true, []string{"T0858"}, 1, Threshold{1, 1, time.Minute}, 5 * time.Minute, day, 7, "changed the mode of"},
	{"firmware-update", true, []string{"T0857", "T0839"}, 1, Threshold{1, 1, time.Minute}, 5 * time.Minute, day, 7, "changed the firmware of"},
	{"unauthorized-write", true, []string{"T0836", "T0855"}, 1, Threshold{3, 1, time.Minute}, 5 * time.Minute, day, 8, "wrote values to"},
	{"restart", true, []string{"T0816"}, 1, Threshold{1, 1, time.Minute}, 5 * time.Minute, day, 8, "restarted"},
	{"address-change", true, []string{"T0836"}, 2, Threshold{1, 1, time.Minute}, 5 * time.Minute, day, 7, "changed the address of"},
	{"replay", true, []string{"T0856", "T0855"}, 1, Threshold{1, 1, time.Minute}, 5 * time.Minute, day, 8, "replayed messages to"},
	{"malformed", true, []string{"T0814"}, 2, Threshold{5, 1, time.Minute}, 5 * time.Minute, day, 8, "sent broken messages to"},
}

// ClassIndex is a class's number by its name, or -1.
func ClassIndex(name string) int {
	for i := range table {
		if table[i].Name == name {
			return i
		}
	}
	return -1
}

// classtypes maps the classtypes of foreign rules; what is not listed is "none".
var classtypes = map[string]string{
	"attempted-recon": "scan", "network-scan": "scan", "misc-attack": "scan",
	"successful-recon-limited": "enumeration", "successful-recon-largescale": "enumeration",
	"rpc-portmap-decode": "enumeration", "web-application-activity": "enumeration",
	"attempted-dos": "flood", "denial-of-service": "flood", "successful-dos": "flood",
	"attempted-user": "exploit", "unsuccessful-user": "exploit", "successful-user": "exploit",
	"attempted-admin": "exploit", "successful-admin": "exploit", "shellcode-detect": "exploit", "exploit-kit": "exploit",
	"web-application-attack": "web-attack",
	"suspicious-login":       "brute-force", "default-login-attempt": "brute-force",
	"trojan-activity": "malware", "targeted-activity": "malware", "coin-mining": "malware",
	"command-and-control": "c2", "domain-c2": "c2",
	"credential-theft": "credential-access", "social-engineering": "credential-access",
}

// techniques maps ATT&CK ids; a sub-technique without a line of its own takes its parent's.
var techniques = map[string]string{
	"T1046": "scan", "T1595": "scan", "T0846": "scan",
	"T1087": "enumeration", "T1018": "enumeration", "T1135": "enumeration", "T1069": "enumeration", "T1482": "enumeration", "T0888": "enumeration", "T1590": "enumeration", "T1592": "enumeration",
	"T1110": "brute-force", "T1078": "brute-force", "T0859": "brute-force", "T0812": "brute-force",
	"T1190": "web-attack", "T1505": "web-attack", "T1505.003": "web-attack",
	"T1203": "exploit", "T1210": "exploit", "T1068": "exploit", "T1189": "exploit", "T0866": "exploit", "T0819": "exploit",
	"T1105": "malware", "T1204": "malware", "T1059": "malware", "T1496": "malware", "T1486": "malware", "T1587": "malware", "T1588": "malware",
	"T1071": "c2", "T1573": "c2", "T1219": "c2", "T1095": "c2", "T1571": "c2", "T1102": "c2", "T1090": "c2", "T1104": "c2", "T1132": "c2", "T0869": "c2",
	"T1572": "tunnel", "T1071.004": "tunnel",
	"T1568": "dga", "T1568.002": "dga",
	"T1557": "spoofing", "T0830": "spoofing",
	"T1021": "lateral-movement", "T1570": "lateral-movement", "T1569": "lateral-movement", "T1047": "lateral-movement", "T1563": "lateral-movement", "T0867": "lateral-movement", "T0886": "lateral-movement", "T1053": "lateral-movement", "T1543": "lateral-movement",
	"T1003": "credential-access", "T1558": "credential-access", "T1187": "credential-access", "T1552": "credential-access", "T1555": "credential-access", "T1207": "credential-access", "T1556": "credential-access",
	"T1041": "exfiltration", "T1048": "exfiltration", "T1567": "exfiltration", "T1020": "exfiltration",
	"T1498": "flood", "T1499": "flood",
	"T0843": "program-download", "T0845": "program-upload", "T0881": "plc-stop", "T0858": "mode-change",
	"T0857": "firmware-update", "T0839": "firmware-update", "T0836": "unauthorized-write", "T0855": "unauthorized-write",
	"T0816": "restart", "T0856": "replay", "T0814": "malformed",
}

// TechniqueClass maps an ATT&CK id to a class, or "".
func TechniqueClass(id string) string {
	if c, ok := techniques[id]; ok {
		return c
	}
	parent, _, _ := strings.Cut(id, ".")
	return techniques[parent]
}

// RuleClass is the class of a rule: its own metadata attack_class, else its first ATT&CK id that maps,
// else its classtype; "none" makes a record and never an attack.
func RuleClass(attackClass string, techniqueIDs []string, classtype string) string {
	if ClassIndex(attackClass) >= 0 || attackClass == "none" {
		return attackClass
	}
	if silent(classtype) {
		return "none"
	}
	for _, id := range techniqueIDs {
		if c := TechniqueClass(id); c != "" {
			return c
		}
	}
	if c, ok := classtypes[classtype]; ok {
		return c
	}
	return "none"
}

// silentTypes are the classtypes that never make an attack, whatever technique a rule also names.
var silentTypes = []string{"policy-violation", "misc-activity", "not-suspicious", "protocol-command-decode", "bad-unknown", "unknown", "icmp-event", "tcp-connection"}

func silent(classtype string) bool { return slices.Contains(silentTypes, classtype) }

// PrintTable writes all that decides what one attack is, for a person: the classes, what classtypes make none, and the
// mapping of foreign rules. Evidence binds it by its hash.
func PrintTable(w io.Writer) {
	fmt.Fprintf(w, "%s\n%-19s sev  %-22s %-8s %-8s %s\n", TableVersion, "class", "weak ones become it at", "gap", "span", "techniques")
	for _, c := range table {
		at := fmt.Sprintf("%d on %d within %s", c.Threshold.Observations, c.Threshold.Targets, short(c.Threshold.Window))
		fmt.Fprintf(w, "%-19s %-4d %-22s %-8s %-8s %s\n", c.Name, c.Severity, at, short(c.Gap), short(c.Span), strings.Join(c.Techniques, " "))
	}
	fmt.Fprintln(w, "\nforeign rules: metadata attack_class, else ATT&CK id, else classtype:")
	for _, c := range table {
		ids, names := named(techniques, c.Name), named(classtypes, c.Name)
		if list := append(ids, names...); len(list) > 0 {
			fmt.Fprintf(w, "  %-19s %s\n", c.Name, strings.Join(list, " "))
		}
	}
	fmt.Fprintf(w, "  %-19s %s, and any other\n", "none, never one", strings.Join(silentTypes, " "))
}

// named are the names that a map gives to a class, sorted.
func named(m map[string]string, class string) (names []string) {
	for name, c := range m {
		if c == class {
			names = append(names, name)
		}
	}
	return sorted(names)
}

func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
