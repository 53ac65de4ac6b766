package app

import (
	"testing"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// Announced flows are found while they last, also when others of the same port were taken, or gave way to newer ones.
func TestExpectedFlowsAreFoundByTheirPort(t *testing.T) {
	var x expectations
	between := func(host byte, port uint16) *flow.Flow {
		return &flow.Flow{Client: decode.Addr{15: host}, Server: decode.Addr{15: 200}, ClientPort: 40000, ServerPort: port}
	}
	for host := range byte(3) {
		x.add(between(host, 21), 7, &contract.Expect{Port: 5000}, 0)
	}
	for host := range byte(3) {
		if x.take(between(host, 5001), 1) != nil || x.take(between(9, 5000), 1) != nil {
			t.Error("a flow of another port or host was expected")
		}
		if x.take(between(host, 5000), 1) == nil {
			t.Errorf("the flow of host %d was not found", host)
		}
	}
	if x.hasPort(5000) {
		t.Error("nothing is expected, and the port is still known")
	}
	for i := range uint16(maxExpectations + 1) {
		x.add(between(1, 21), 7, &contract.Expect{Port: 6000 + i}, 0)
	}
	if len(x.list) != maxExpectations || x.take(between(1, 6000), 1) != nil || x.take(between(1, 6001), 1) == nil || x.take(between(1, 6000+maxExpectations), 1) == nil {
		t.Error("not the oldest one gave way")
	}
}
