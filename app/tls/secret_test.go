package tls

import (
	"testing"

	"github.com/dejpha/dejpha/app/contract"
)

// A conversation is encrypted once both ends have sent a record of data, and not before.
func TestEncryptedOnceBothEndsAre(t *testing.T) {
	p := Protocol().New(contract.Limits{})
	data := []byte{recordData, 3, 3, 0, 4, 1, 2, 3, 4}
	for i, dir := range []contract.Direction{contract.ToServer, contract.ToServer, contract.ToClient} {
		if p.(contract.Secret).Encrypted() {
			t.Errorf("before record %d", i)
		}
		p.Feed(contract.Input{Dir: dir, Data: data})
	}
	if !p.(contract.Secret).Encrypted() {
		t.Error("never")
	}
	p.Reset()
	if p.(contract.Secret).Encrypted() {
		t.Error("after Reset")
	}
}
