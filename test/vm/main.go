// Vm runs this project's tests, or any command, in other kernels than this machine's.
//
//	vm -kernel 6.1                    the suites, each in a machine of its own
//	vm -kernel 6.1,6.12 -quick        part of each, in two kernels at once
//	vm -kernel 6.12 packet net        some suites
//	vm -kernel 6.12 -- uname -r       a command; its exit code is this program's
//	vm -kernel 6.1 -update datapath   writes golden files anew
//
// The machines are emulated by QEMU, without hardware virtualisation, on this host's files (packages machine and guest).
// Kernels are Debian's, fetched into -cache when they are not there; see the list of suites in suite.go for what runs
// where and how long it takes. It needs root: the tests do, and a guest's root reads files as the host's root.
//
// Exit codes: that of the command; 1 if a suite failed; 2 if something could not be done.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"weftnet.io/weftnet/test/vm/guest"
)

func main() {
	if os.Getpid() == 1 {
		guest.Main()
	}
	o := options{}
	flag.StringVar(&o.series, "kernel", "6.12", "series of kernels: the first two numbers of versions, with commas between")
	flag.BoolVar(&o.quick, "quick", false, "of each suite only what says most about a kernel")
	flag.StringVar(&o.cache, "cache", "/var/tmp/weft-vm", "folder for kernels and test binaries")
	flag.DurationVar(&o.timeout, "timeout", time.Hour, "of one machine, which counts as hung after it")
	flag.BoolVar(&o.update, "update", false, "tests write their golden files anew")
	flag.BoolVar(&o.verbose, "v", false, "show each line of the tests as it comes, also of what passes")
	flag.StringVar(&o.settings, "settings", "", "configuration of all nodes of the suite net: KEY=VALUE,KEY=VALUE")
	flag.StringVar(&o.run, "run", "", "only tests that match, as for go test")
	flag.IntVar(&o.count, "count", 1, "how often each test runs")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := kernels(ctx, o, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		code = 2
	}
	os.Exit(code)
}
