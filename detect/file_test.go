package detect

import (
	"crypto/md5"
	"testing"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/rule"
)

func TestFileWords(t *testing.T) {
	sum := md5.Sum([]byte("%PDF-1.7 hello world"))
	pdf := contract.File{Name: []byte("/a/Report.PDF"), State: contract.FileClosed, Body: contract.Body{Data: []byte("%PDF-1.7 hello world"), Total: 20}}
	open, cut, gone := pdf, pdf, pdf
	open.State, open.Body.Data = contract.FileOpen, []byte("%PDF-")
	cut.Body.Total = 21
	gone.Body.Offset, gone.Body.Total = 5, 25
	for _, c := range []struct {
		name         string
		kw           int
		arg          any
		file         contract.File
		holds, known bool
	}{
		{"name", app.SharedFilenameOld, "report", pdf, true, true},
		{"name", app.SharedFilenameOld, "x", pdf, false, true},
		{"extension", app.SharedFileExt, "pdf", pdf, true, true},
		{"extension", app.SharedFileExt, "df", pdf, false, true},
		{"magic", app.SharedFileMagicOld, "PDF", pdf, true, true},
		{"magic", app.SharedFileMagicOld, "PNG", pdf, false, true},
		{"magic of a beginning", app.SharedFileMagicOld, "PDF", open, false, false},
		{"magic of an end", app.SharedFileMagicOld, "PDF", gone, false, false},
		{"hash", app.SharedFileMD5, rule.Digests{string(sum[:]): true}, pdf, true, true},
		{"hash", app.SharedFileMD5, rule.Digests{"0123456789abcdef": true}, pdf, false, true},
		{"other hash", app.SharedFileSHA1, rule.Digests{string(sum[:]): true}, pdf, false, true},
		{"hash of a part", app.SharedFileMD5, rule.Digests{string(sum[:]): true}, cut, false, false},
		{"hash of an open file", app.SharedFileSHA256, rule.Digests{}, open, false, false},
	} {
		holds, known := fileHolds(&rule.Custom{Arg: c.arg}, &c.file, c.kw, false)
		if holds != c.holds || known != c.known {
			t.Errorf("%s %v: %v, %v", c.name, c.arg, holds, known)
		}
	}
}

func TestMagic(t *testing.T) {
	program := make([]byte, 200)
	copy(program, "MZ")
	program[60] = 128
	copy(program[128:], "PE\x00\x00")
	for text, want := range map[string]string{"": "very short file (no magic)", "\x89PNG\r\n\x1a\nIHDR": "PNG image data", "<HTML>": "HTML document text",
		"RIFF\x00\x00\x00\x00WAVEfmt ": "RIFF (little-endian) data, WAVE audio", "hello": "data", string(program): "PE32 executable for MS Windows", "MZ hello": "MS-DOS executable, MZ for MS Windows"} {
		if got := magic([]byte(text)); got != want {
			t.Errorf("%.10q: %s", text, got)
		}
	}
}
