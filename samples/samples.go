// Package samples holds the project's own small captures, embedded.
//
// They were recorded with real tools against real services in network namespaces by scripts/record-samples.sh.
// In: nothing. Out: captures by name, and a source that plays them. Called by run when there is no interface to watch.
package samples

import "embed"

// Files are the captures, *.pcap.
//
//go:embed *.pcap
var Files embed.FS
