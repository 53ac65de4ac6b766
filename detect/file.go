package detect

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"strings"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/rule"
)

// fileHolds judges one word or list of hashes on one file; known false: the file must grow first, or its beginning was
// not kept.
func fileHolds(c *rule.Custom, f *contract.File, kw int, done bool) (holds, known bool) {
	want, _ := c.Arg.(string)
	switch kw {
	case app.SharedFilenameOld:
		return strings.Contains(strings.ToLower(string(f.Name)), strings.ToLower(want)), true
	case app.SharedFileExt:
		return strings.EqualFold(string(f.Name[bytes.LastIndexByte(f.Name, '.')+1:]), want), true
	case app.SharedFileMagicOld:
		if f.Body.Offset > 0 || len(f.Body.Data) < magicBytes && !done && f.State == contract.FileOpen {
			return false, false
		}
		return strings.Contains(magic(f.Body.Data), want), true
	}
	sum, whole := digest(f, kw)
	list, _ := c.Arg.(rule.Digests)
	return list[sum], whole
}

// digest hashes a file that is closed and all there; of longer ones a window is kept, and no hash is known.
func digest(f *contract.File, kw int) (sum string, whole bool) {
	b := f.Body.Data
	if f.State != contract.FileClosed || f.Gaps || f.Body.Offset > 0 || uint64(len(b)) != f.Body.Total {
		return "", false
	}
	switch kw {
	case app.SharedFileMD5:
		s := md5.Sum(b)
		return string(s[:]), true
	case app.SharedFileSHA1:
		s := sha1.Sum(b)
		return string(s[:]), true
	}
	s := sha256.Sum256(b)
	return string(s[:]), true
}

// magicBytes are enough for every kind that magic tells.
const magicBytes = 16

// kinds are what first bytes say of a file, in the words of file(1) that rules use.
var kinds = []struct {
	at          int
	start, name string
}{
	{0, "%PDF-", "PDF document"},
	{0, "\x89PNG\r\n\x1a\n", "PNG image data"},
	{0, "\xff\xd8\xff\xe0", "JPEG image data, JFIF standard"},
	{0, "\xff\xd8\xff", "JPEG image data"},
	{0, "GIF89a", "GIF image data, version 89a"},
	{0, "GIF87a", "GIF image data, version 87a"},
	{0, "\x7fELF", "ELF"},
	{0, "PK\x03\x04", "Zip archive data"},
	{0, "Rar!\x1a\x07", "RAR archive data"},
	{0, "7z\xbc\xaf\x27\x1c", "7-zip archive data"},
	{0, "\x1f\x8b", "gzip compressed data"},
	{0, "BZh", "bzip2 compressed data"},
	{0, "\xfd7zXZ\x00", "XZ compressed data"},
	{0, "MSCF", "Microsoft Cabinet archive data"},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Composite Document File V2 Document"},
	{0, "{\\rtf", "Rich Text Format data"},
	{0, "\xca\xfe\xba\xbe", "compiled Java class data"},
	{0, "FWS", "Macromedia Flash data"},
	{0, "CWS", "Macromedia Flash data (compressed)"},
	{0, "OggS", "Ogg data"},
	{0, "ID3", "Audio file with ID3"},
	{8, "WAVE", "RIFF (little-endian) data, WAVE audio"},
	{0, "RIFF", "RIFF (little-endian) data"},
	{0, "BM", "PC bitmap"},
	{0, "#!", "script text executable"},
	{0, "<?xml", "XML document text"},
	{0, "<html", "HTML document text"},
	{0, "<!DOCTYPE html", "HTML document text"},
}

// magic says of what kind a file is by its first bytes.
func magic(b []byte) string {
	if len(b) < 2 {
		return "very short file (no magic)"
	}
	if bytes.HasPrefix(b, []byte("MZ")) {
		return executable(b)
	}
	for i := range kinds {
		k := &kinds[i]
		if len(b) >= k.at+len(k.start) && strings.EqualFold(string(b[k.at:k.at+len(k.start)]), k.start) {
			return k.name
		}
	}
	return "data"
}

// executable tells DOS from Windows by the header that a program's first one points to.
func executable(b []byte) string {
	if len(b) >= 64 {
		at := int(b[60]) | int(b[61])<<8 | int(b[62])<<16
		if at+4 <= len(b) && string(b[at:at+4]) == "PE\x00\x00" {
			return "PE32 executable for MS Windows"
		}
	}
	return "MS-DOS executable, MZ for MS Windows"
}
