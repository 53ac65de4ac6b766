package ftp

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
)

func conversations() [][]apptest.Segment {
	return [][]apptest.Segment{
		{apptest.S("220 FTP ready\r\n"), apptest.C("user bob\r\n"), apptest.S("331 Password\r\n"), apptest.C("PASS x\r\n"), apptest.S("530 No\r\n"),
			apptest.C("PASS y\r\n"), apptest.S("230-Hello\r\n there\r\n230 In\r\n"), apptest.C("PASV\r\n"), apptest.S("227 Go (10,0,0,1,4,1)\r\n"),
			apptest.C("RETR a.txt\r\n"), apptest.S("150 Open\r\n226 Done\r\n")},
		{apptest.C("EPRT |1|10.0.0.1|5000|\r\n" + strings.Repeat("x", 5000) + "\r\n")},
	}
}

func TestContract(t *testing.T) { apptest.Run(t, Protocol(), conversations()) }

func TestDataContract(t *testing.T) {
	apptest.Run(t, DataProtocol(), [][]apptest.Segment{{apptest.S("file's content")}})
}

func TestWhatIsSaid(t *testing.T) {
	for i, wants := range [][]string{
		{`"command":"USER","command_data":"bob","command_truncated":false,"completion_code":["331"],"reply":["Password"]`, "Code:530 Size:0 Name:bob",
			`"dynamic_port":1025,"mode":"passive"`, `"completion_code":["150","226"],"reply":["Open","Done"]`, `"completion_code":["230","230"],"reply":["Hello"," there","In"]`},
		{`"dynamic_port":5000,"mode":"active"`, "event request_command_too_long", `"command_truncated":true`},
	} {
		said := strings.Join(apptest.Play(t, Protocol(), conversations()[i]), "")
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("conversation %d: nothing says %s in\n%s", i, want, said)
			}
		}
	}
}

func FuzzFTP(f *testing.F) {
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: conversations()}, apptest.Spoken{Protocol: DataProtocol(), Seeds: [][]apptest.Segment{{apptest.S("file's content")}}})
}
