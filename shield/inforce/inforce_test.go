package inforce

import (
	"bytes"
	"reflect"
	"testing"
)

func TestWhatIsPackedComesBack(t *testing.T) {
	in := Set{Sets: []string{"a=b"}, Detectors: true, Texts: []Text{{Kind: "config", Name: "dejpha.yaml", Text: []byte("memory: 64 MiB\n")},
		{Kind: "rules", Name: "web.rules", Text: bytes.Repeat([]byte("alert\n"), 1000)}, {Kind: "rules", Name: "empty.rules", Text: []byte{}}}}
	packed, err := Pack(in, func() {})
	if err != nil {
		t.Fatal(err)
	}
	again, _ := Pack(in, func() {})
	if !bytes.Equal(packed, again) {
		t.Error("the same set gives other bytes the second time")
	}
	out, err := Unpack(packed)
	in.Format = 1
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%v: %+v, want %+v", err, out, in)
	}
	for n := range packed {
		if _, err := Unpack(packed[:n]); err == nil {
			t.Fatalf("%d of %d bytes were taken for the whole", n, len(packed))
		}
	}
}

func FuzzUnpack(f *testing.F) {
	packed, _ := Pack(Set{Texts: []Text{{Kind: "rules", Name: "x", Text: []byte("alert")}}}, func() {})
	f.Add(packed)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := Unpack(b); err == nil {
			for _, x := range s.Texts {
				if len(x.Text) != x.Size {
					t.Errorf("%s has %d bytes, said %d", x.Name, len(x.Text), x.Size)
				}
			}
		}
	})
}
