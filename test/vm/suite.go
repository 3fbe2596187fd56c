package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weftnet.io/weftnet/internal/nettest/pace"
	"weftnet.io/weftnet/test/vm/machine"
)

// options are the flags.
type options struct {
	series, cache, run string
	timeout            time.Duration
	settings           string
	update, verbose    bool
	quick              bool
	count              int
}

// slowness is how many times longer than here things take under emulation, beside another machine on the other processor.
const slowness = "12"

// suite is a package whose tests say something about the kernel.
type suite struct {
	name     string
	dir      string
	golden   string   // folder of golden files, if there are any
	settings string   // configuration of all nodes, as of flag -settings
	quick    string   // the tests of -quick; empty: none
	other    bool     // it wants another version of the agent, too
	lacks    []string // series of kernels that have not what it is about
}

// all is what can run. Nearly all the time of a script goes into verifying programs in emulation: a script of whole nodes takes two
// minutes of a processor, all packet scripts together, which share what is loaded, five. With -quick, which is part of `make test`: what
// loads and attaches programs, every packet script, and of the scripts of whole nodes those that between them pass every hook. The rest
// says little about a kernel that these do not.
var all = []suite{
	{name: "datapath", dir: "internal/datapath", golden: "testdata", quick: "Verifier|EveryPacket|FiltersOfOthers|IsDetached|TakesOver|AnotherWay"},
	{name: "link", dir: "internal/sink/link", quick: "ALinkIsMadeWhole|ANetkitPair"},
	{name: "route", dir: "internal/sink/route"},
	{name: "packet", dir: "test/script/packet", quick: "TestScripts"},
	{name: "net", dir: "test/script/net", other: true, quick: "TestScripts/(a_pod_talks_to_the_outside|connections_outlive|pods_of_two_nodes_talk_through)"},
	{
		name: "netkit", dir: "test/script/net", other: true, settings: "datapath-mode=netkit", lacks: []string{"6.1"}, // Linux 6.8 has it
		quick: "TestScripts/(a_pod_gets_the_pair|a_pod_reaches_itself|pods_of_two_nodes_talk_without|two_pods_of_a_node)",
	},
}

func usage() {
	fmt.Fprintln(flag.CommandLine.Output(), "vm [flags] [SUITE…]\nvm [flags] -- COMMAND…\nruns tests or a command in another kernel\n\nsuites:")
	for _, s := range all {
		fmt.Fprintf(flag.CommandLine.Output(), "  %-10s %s\n", s.name, s.dir)
	}
	fmt.Fprintln(flag.CommandLine.Output(), "\nflags:")
	flag.PrintDefaults()
}

// isCommand tells whether the arguments come after "--".
func isCommand() bool {
	i := slices.Index(os.Args, "--")
	return i >= 0 && i == len(os.Args)-flag.NArg()-1 && flag.NArg() > 0
}

// kernels runs suites in several kernels at once, each on one processor, and gives the first exit code that is not 0.
func kernels(ctx context.Context, o options, names []string) (code int, err error) {
	series := strings.Split(o.series, ",")
	codes, errs := make([]int, len(series)), make([]error, len(series))
	var group sync.WaitGroup
	for i, one := range series {
		mine := o
		mine.series = one
		group.Go(func() {
			kernel, err := machine.Cache{Dir: o.cache}.Kernel(ctx, one)
			switch {
			case err != nil:
			case isCommand():
				codes[i], err = machine.Run(ctx, kernel, machine.Command{Args: names, Out: os.Stdout, Timeout: o.timeout})
			default:
				codes[i], err = suites(ctx, kernel, mine, names)
			}
			errs[i] = err
		})
	}
	group.Wait()
	return cmp.Or(codes...), errors.Join(errs...)
}

// suites runs those with these names, or all, and gives 1 if one failed.
func suites(ctx context.Context, k machine.Kernel, o options, names []string) (code int, err error) {
	root, err := projectRoot()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(s suite) bool { return s.name == name }) {
			return 0, fmt.Errorf("there is no suite %q: see vm -help", name)
		}
	}
	for _, s := range all {
		if len(names) > 0 && !slices.Contains(names, s.name) || slices.Contains(s.lacks, o.series) || o.quick && s.quick == "" {
			continue
		}
		began := time.Now()
		var kept bytes.Buffer // of one suite at a time, since kernels run side by side
		shown := lines{prefix: o.series + " " + s.name + ": "}
		var out io.Writer = &kept
		if o.verbose {
			out = &shown
		}
		failed, err := s.run(ctx, k, o, root, out)
		shown.end()
		word := "ok  "
		if err != nil || failed != 0 {
			code, word = 1, "FAIL"
			_, _ = os.Stdout.Write(kept.Bytes())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		fmt.Printf("%s  kernel %s  %s  %.0fs\n", word, k.Release, s.name, time.Since(began).Seconds())
	}
	return code, nil
}

// lines prints each line as it comes, with the kernel and the suite that it is of before it.
type lines struct {
	prefix string
	part   []byte
}

func (l *lines) Write(text []byte) (int, error) {
	l.part = append(l.part, text...)
	for {
		line, rest, whole := bytes.Cut(l.part, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		fmt.Printf("%s%s\n", l.prefix, line)
		l.part = rest
	}
}

// end prints what came without an end of its line: that of a machine that was given up.
func (l *lines) end() {
	if len(l.part) > 0 {
		fmt.Printf("%s%s\n", l.prefix, l.part)
	}
}

// run builds a suite here and runs it there.
func (s suite) run(ctx context.Context, k machine.Kernel, o options, root string, out io.Writer) (int, error) {
	dir := filepath.Join(root, s.dir)
	binary := filepath.Join(o.cache, "test-"+o.series, s.name+".test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, ".")
	build.Dir, build.Stdout, build.Stderr = dir, os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("build tests of %s: %w", s.dir, err)
	}
	// The machine is given up a little after the tests give up themselves, which say more.
	c := machine.Command{
		Args: []string{binary, "-test.timeout=" + o.timeout.String()}, Dir: dir, Env: append(os.Environ(), pace.Slowness+"="+slowness, "WEFT_OWN_MACHINE=1"),
		Out: out, Timeout: o.timeout + time.Minute,
	}
	if s.other && !o.quick {
		file := binary + ".other"
		build := exec.CommandContext(ctx, binary)
		build.Dir, build.Stderr, build.Env = dir, os.Stderr, append(os.Environ(), "WEFT_BUILD_OTHER=1", "WEFT_OTHER_AGENT="+file)
		if err := build.Run(); err != nil {
			return 0, fmt.Errorf("build another version of the agent: %w", err)
		}
		c.Env = append(c.Env, "WEFT_OTHER_AGENT="+file)
	}
	if o.verbose {
		c.Args = append(c.Args, "-test.v")
	}
	if o.count > 1 {
		c.Args = append(c.Args, "-test.count="+strconv.Itoa(o.count))
	}
	if o.run != "" {
		c.Args = append(c.Args, "-test.run="+o.run)
	} else if o.quick {
		c.Args = append(c.Args, "-test.run="+s.quick)
	}
	if settings := cmp.Or(o.settings, s.settings); settings != "" {
		c.Env = append(c.Env, "WEFT_TEST_SETTINGS="+settings)
	}
	if o.update && s.golden != "" {
		c.Args = append(c.Args, "-update")
		c.Shared = []string{filepath.Join(dir, s.golden)}
	}
	return machine.Run(ctx, k, c)
}

// projectRoot is the folder of go.mod.
func projectRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the project: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", fmt.Errorf("run it in the project's folder: there is no go.mod here or above")
	}
	return filepath.Dir(file), nil
}
