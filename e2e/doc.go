// Package e2e attacks the shield with real tools while real clients use real servers behind it, and demands what
// was promised: the attacks recognised, foiled or contained, and the clients served in full.
//
// In: stories/*.txtar, one story a file, and what the machine has of tools and servers (Debian packages). Out: test
// results; what a machine lacks is skipped by its name. Called by make e2e, as root. Everything happens in
// namespaces of the tests' own (mounts, processes, networks), which the kernel removes with the test process,
// however it ends. It has no code outside tests.
package e2e
