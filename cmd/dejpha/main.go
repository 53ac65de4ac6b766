// Command dejpha is an internet defence shield: it recognises attacks in real traffic, counts them by a
// fixed definition and seals every count so that a stranger can check it.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// Exit codes (DESIGN section 9).
const (
	exitDone      = 0
	exitFailed    = 1 // it could not do its work or keep what it acknowledged
	exitUsage     = 2 // command line, configuration or rules are wrong
	exitDamaged   = 3 // input damaged before its end; what could be read was processed
	exitWrong     = 4 // verification found something wrong
	exitPrivilege = 5 // a privilege or kernel feature is missing
)

// cli is the command line; each subcommand is one file beside this one.
type cli struct {
	Replay   replayCmd   `cmd:"" help:"Play recorded captures through the shield." `
	Run      runCmd      `cmd:"" help:"Watch interfaces, or play the built-in samples through the running shield."`
	Reload   reloadCmd   `cmd:"" help:"Have the running shield read its rules again."`
	Top      topCmd      `cmd:"" help:"Show the running shield at work: rates, ledger, attacks, memory."`
	Verify   verifyCmd   `cmd:"" help:"Check a sealed log from its files alone."`
	Claim    claimCmd    `cmd:"" help:"Make claims about what was counted, check them, and judge what others stated."`
	Audit    auditCmd    `cmd:"" help:"Hold a claim against its log: draw attacks and stretches, or recount everything."`
	Report   reportCmd   `cmd:"" help:"Write a page about what was counted in a month, with its proof."`
	Block    blockCmd    `cmd:"" help:"Block an address or network, by the running shield."`
	Unblock  unblockCmd  `cmd:"" help:"End a block."`
	Allow    allowCmd    `cmd:"" help:"Never block an address or network."`
	Why      whyCmd      `cmd:"" help:"Tell what was decided about an address, by which rule, and the evidence."`
	Rehearse rehearseCmd `cmd:"" help:"Tell what prevention would have stopped, and what it would have cost."`
	Confirm  confirmCmd  `cmd:"" help:"Say that the line works behind a shield that stands in its way for the first time."`
	Unbridge unbridgeCmd `cmd:"" help:"Take a bridge away that run has laid."`
	Evidence evidenceCmd `cmd:"" help:"Serve a log, and have it cosigned by file."`
	Witness  witnessCmd  `cmd:"" help:"Cosign the checkpoints of other logs, so that none can show two histories."`
	Classes  classesCmd  `cmd:"" help:"Print the table of attack classes."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// coded is an error with its exit code.
type coded struct {
	code int
	err  error
}

func (c coded) Error() string { return c.err.Error() }
func (c coded) Unwrap() error { return c.err }

func usage(format string, args ...any) error { return coded{exitUsage, fmt.Errorf(format, args...)} }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its world handed in.
func run(args []string, stdout, stderr io.Writer) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("dejpha"),
		kong.Description("Recognises attacks in traffic, counts them by a fixed definition, and seals every count.\n\nExample: dejpha replay -l out -r capture.pcap"),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(stderr, "dejpha:", err)
		return exitFailed
	}
	ctx, err := parser.Parse(spellOut(args))
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "dejpha: %v; see dejpha --help\n", err)
		return exitUsage
	}
	return report(ctx.Run(&world{stdout, stderr}), stderr)
}

// world is where a subcommand writes.
type world struct{ stdout, stderr io.Writer }

// report prints an error and returns its exit code.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return exitDone
	}
	code := exitFailed
	var c coded
	if errors.As(err, &c) {
		code = c.code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(stderr, "dejpha:", text)
	}
	return code
}

// spellOut turns the field's short habits into what the parser knows: a command line without a
// subcommand is a replay (or a run with -i), and -vv is -v twice.
func spellOut(args []string) []string {
	if len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-h" && args[0] != "--help" {
		sub := "replay"
		for _, a := range args {
			if a == "-V" {
				return []string{"version"}
			}
			if a == "-i" {
				sub = "run"
			}
		}
		args = append([]string{sub}, args...)
	}
	return args
}
