package eve_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/eve/evetest"
	"github.com/dejpha/dejpha/shield"
)

// TestEveryLineFollowsTheSchema plays the samples, and a spread of the labelled captures where they are beside the
// project, with all records and all their parts on.
func TestEveryLineFollowsTheSchema(t *testing.T) {
	schema := evetest.Open(t)
	names, _ := filepath.Glob("../samples/*.pcap")
	if len(names) == 0 {
		t.Fatal("the samples are missing")
	}
	every := 3
	if testing.Short() {
		every = 25
	}
	for _, dir := range []string{"attack", "normal", "ics"} {
		found, _ := filepath.Glob(filepath.Join("../../shared/corpora", dir, "*.pcap*"))
		for i := 0; i < len(found); i += every {
			names = append(names, found[i])
		}
	}
	setup, err := shield.NewSetup(shield.SetupOptions{Detectors: true, Workers: 1, Sets: []string{
		"records.payload=true", "records.packet=true", "records.community-id=true"}})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, name := range names {
		out := t.TempDir()
		if sum, err := setup.Replay([]string{name}, out, shield.ReplayOptions{}); sum == nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, err := os.ReadFile(filepath.Join(out, "eve.json"))
		if err != nil {
			t.Fatal(err)
		}
		for kind, n := range schema.Check(t, name, text) {
			seen[kind] += n
		}
		os.RemoveAll(out)
	}
	for _, kind := range []string{"alert", "attack", "flow", "heartbeat", "stats", "http", "fileinfo", "ftp"} {
		if seen[kind] == 0 {
			t.Errorf("no %s record: the samples alone should give one", kind)
		}
	}
	t.Logf("%d captures: %v", len(names), seen)
}

// TestTheSchemaRefuses: what the schema does not name is refused, so that a new field is written down there first.
func TestTheSchemaRefuses(t *testing.T) {
	schema := evetest.Open(t)
	good := `{"timestamp":"2026-11-24T11:15:59.123456+0000","flow_id":1,"event_type":"http","src_ip":"192.0.2.1","src_port":1,` +
		`"dest_ip":"192.0.2.2","dest_port":80,"proto":"TCP","ip_v":4,"pkt_src":"wire/pcap","tx_id":0,"http":{"length":0}}`
	if err := schema.Line([]byte(good)); err != nil {
		t.Fatalf("%v: %s", err, good)
	}
	for _, c := range [][3]string{
		{`"length":0`, `"length":0,"colour":"red"`, "colour"},
		{`"tx_id":0`, `"tx_id":0,"colour":1`, "colour"},
		{`"length":0`, `"length":"0"`, "/http/length"},
		{`"src_port":1`, `"src_port":70000`, "/src_port"},
		{`"event_type":"http"`, `"event_type":"https"`, "/event_type"},
		{`+0000`, `Z`, "/timestamp"},
		{`"ip_v":4`, `"ip_v":4,"ip_v":4`, "twice"},
		{`"flow_id":1,`, ``, "flow_id"},
	} {
		bad := strings.Replace(good, c[0], c[1], 1)
		if err := schema.Line([]byte(bad)); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%v, want one about %s: %s", err, c[2], bad)
		}
	}
}
