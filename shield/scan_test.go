package shield

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestScanAsAnotherProcess is no test: it is what TestScanOnARealInterface runs in the namespace of the attacker.
func TestScanAsAnotherProcess(t *testing.T) {
	target := os.Getenv("DEJPHA_SCAN")
	if target == "" {
		t.Skip("only runs on behalf of TestScanOnARealInterface")
	}
	for port := 1; port <= 100; port++ {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", target, port), 5*time.Second)
		if err == nil {
			_ = c.Close()
			t.Errorf("port %d is open", port)
		} else if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("port %d: %v", port, err)
		}
	}
}
