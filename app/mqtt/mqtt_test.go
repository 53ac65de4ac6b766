package mqtt

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
)

const (
	connect5   = "\x10\x19\x00\x04MQTT\x05\xc2\x00\x3c\x03\x21\x00\x14\x00\x02me\x00\x01u\x00\x02pw"
	connack5   = "\x20\x06\x00\x00\x03\x22\x00\x0a"
	connect3   = "\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02me"
	connack3   = "\x20\x02\x00\x05"
	publish    = "\x32\x09\x00\x01t\x00\x07body"
	puback     = "\x40\x02\x00\x07"
	subscribe  = "\x82\x0a\x00\x09\x00\x01a\x00\x00\x01b\x01"
	suback     = "\x90\x04\x00\x09\x00\x01"
	disconnect = "\xe0\x00"
)

func conversations() [][]apptest.Segment {
	return [][]apptest.Segment{
		{apptest.C(connect5), apptest.S(connack5), apptest.C("\x32\x0a\x00\x01t\x00\x07\x00body"), apptest.S("\x40\x04\x00\x07\x10\x00"), apptest.C(disconnect)},
		{apptest.C(connect3), apptest.S(connack3), apptest.C(publish + subscribe), apptest.S(puback + suback), apptest.C(disconnect)},
		{apptest.C(connect3), apptest.S(connack3 + suback + "\x00\x00"), apptest.C("\x10\xff\xff\xff\xff\xff")},
	}
}

func TestContract(t *testing.T) { apptest.Run(t, Protocol(), conversations()) }

func TestWhatIsSaid(t *testing.T) {
	for i, wants := range [][]string{
		{`"protocol_version":5,"flags":{"username":true,"password":true,"will_retain":false,"will":false,"clean_session":true},"client_id":"me","username":"u","password":"pw","properties":{"receive_maximum":20}}`,
			`"connack":{"qos":0,"retain":false,"dup":false,"session_present":false,"return_code":0,"properties":{"topic_alias_maximum":10}}`,
			`"publish":{"qos":1,"retain":false,"dup":false,"message_id":7,"topic":"t","message":"body"},"puback":{"qos":0,"retain":false,"dup":false,"message_id":7,"reason_code":16}`,
			`mqtt.publish.topic[0] "t"`, `mqtt.connect.password[0] "pw"`},
		{`"return_code":5`, `"topics":[{"topic":"a","qos":0},{"topic":"b","qos":1}]},"suback"`, `"qos_granted":[0,1]`, `mqtt.subscribe.topic[1] "b"`, `frame:mqtt.header[0]`},
		{"event missing_subscribe", "event unassigned_msg_type", "event malformed_traffic"},
	} {
		said := strings.Join(apptest.Play(t, Protocol(), conversations()[i]), "\n")
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("conversation %d: nothing says %s in\n%s", i, want, said)
			}
		}
	}
}

// A message beyond what is kept is counted and passed over; what follows is read.
func TestLongMessage(t *testing.T) {
	long := "\x30\x84\x80\x08" + strings.Repeat("x", 4+128<<10)
	said := strings.Join(apptest.Play(t, Protocol(), []apptest.Segment{apptest.C(connect3), apptest.S(connack3), apptest.C(long + disconnect)}), "\n")
	if !strings.Contains(said, `"truncated":true,"skipped_length":131080`) || !strings.Contains(said, `"disconnect":{`) {
		t.Errorf("got %.3000s", said)
	}
}

func TestProbe(t *testing.T) {
	for text, want := range map[string]contract.Verdict{connect5: contract.Yes, connect3[:6]: contract.Maybe, "\x10": contract.Maybe, "\x10\x05\x00\x04MQTT": contract.No, "GET / H": contract.No, "\x10\x0e\x00\x04HTTP\x04\x02": contract.No} {
		if got := probe([]byte(text), contract.ToServer, 1883); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func FuzzMQTT(f *testing.F) {
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: conversations()})
}
