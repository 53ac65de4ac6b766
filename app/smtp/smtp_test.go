package smtp

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
)

const mailText = "From: A <a@x>\r\nTo: b@x,\r\n c@x\r\nSubject: hi\r\nContent-Type: multipart/mixed; boundary=\"BB\"\r\n\r\npre \"http://a.example/x\", <HTTP://b.example/y?z> http://\r\n--BB\r\n" +
	"Content-Disposition: attachment; filename=\"f.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n--BB\r\n" +
	"Content-Type: text/plain; name=q.txt\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n--BB--\r\n.\r\n"

func conversations() [][]apptest.Segment {
	return [][]apptest.Segment{
		{apptest.S("220 x ESMTP\r\n"), apptest.C("EHLO me\r\n"), apptest.S("250-x\r\n250 AUTH\r\n"), apptest.C("AUTH LOGIN\r\n"), apptest.S("535 no\r\n"),
			apptest.C("MAIL FROM:<a@x>\r\n"), apptest.S("250 ok\r\n"), apptest.C("RCPT TO:<b@x>\r\n"), apptest.S("250 ok\r\n"), apptest.C("DATA\r\n"),
			apptest.S("354 go\r\n"), apptest.C(mailText), apptest.S("250 ok\r\n")},
		{apptest.S("220 x ESMTP\r\n"), apptest.C("EHLO me\r\n"), apptest.S("250 AUTH\r\n"), apptest.C("AUTH LOGIN\r\n"), apptest.S("334 VXNlcm5hbWU6\r\n"),
			apptest.C("Z3Vy\r\n"), apptest.S("334 UGFz\r\n"), apptest.C("cHVu\r\n"), apptest.S("235 ok\r\n"), apptest.C("MAIL FROM:<a@x>\r\n"), apptest.S("250 ok\r\n"),
			apptest.C("DATA\r\n"), apptest.S("354 go\r\n"), apptest.C(mailText), apptest.S("250 ok\r\n")},
		{apptest.S("220 x\r\n"), apptest.C("EHLO me\r\n"), apptest.S("250 ok\r\n"), apptest.C("STARTTLS\r\n"), apptest.S("454 no\r\n"), apptest.C("BDAT 5 LAST\r\na: b\n")},
	}
}

func TestContract(t *testing.T) { apptest.Run(t, Protocol(), conversations()) }

func TestWhatIsSaid(t *testing.T) {
	for i, wants := range [][]string{
		{`"smtp":{"helo":"me","mail_from":"<a@x>","rcpt_to":["<b@x>"]},"email":{"status":"PARSE_DONE","from":"A <a@x>","subject":"hi","to":["b@x","c@x"],"url":["b.example/y?z","a.example/x"]`,
			`"attachment":["f.bin","q.txt"]`, `total 5 window "hello"`, `window "a=bc"`, "Kind:1 Dir:1 Code:535"},
		{`"attachment":["f.bin","q.txt"]`, "Kind:2 Dir:1 Code:235"},
		{"event tls_rejected", `"helo":"me"`},
	} {
		said := strings.Join(apptest.Play(t, Protocol(), conversations()[i]), "")
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("conversation %d: nothing says %s in\n%s", i, want, said)
			}
		}
	}
}

func FuzzSMTP(f *testing.F) {
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: conversations()})
}
