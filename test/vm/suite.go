package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	count              int
}

// slowness is how many times longer than here things take under emulation, beside another machine on the other processor.
const slowness = "12"

// suite is a package whose tests say something about the kernel.
type suite struct {
	name   string
	dir    string
	golden string // folder of golden files, if there are any
}

var all = []suite{
	{name: "datapath", dir: "internal/datapath", golden: "testdata"},
	{name: "link", dir: "internal/sink/link"},
	{name: "route", dir: "internal/sink/route"},
	{name: "packet", dir: "test/script/packet"},
	{name: "net", dir: "test/script/net"},
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
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		began := time.Now()
		failed, err := s.run(ctx, k, o, root)
		word := "ok  "
		if err != nil || failed != 0 {
			code, word = 1, "FAIL"
		}
		fmt.Printf("%s  kernel %s  %s  %.0fs\n", word, k.Release, s.dir, time.Since(began).Seconds())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return code, nil
}

// run builds a suite here and runs it there.
func (s suite) run(ctx context.Context, k machine.Kernel, o options, root string) (int, error) {
	dir := filepath.Join(root, s.dir)
	binary := filepath.Join(o.cache, "test-"+o.series, s.name+".test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, ".")
	build.Dir, build.Stdout, build.Stderr = dir, os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("build tests of %s: %w", s.dir, err)
	}
	// The machine is given up a little after the tests give up themselves, which say more.
	c := machine.Command{
		Args: []string{binary, "-test.timeout=" + o.timeout.String()}, Dir: dir, Env: append(os.Environ(), pace.Slowness+"="+slowness),
		Out: os.Stdout, Timeout: o.timeout + time.Minute,
	}
	if o.verbose {
		c.Args = append(c.Args, "-test.v")
	}
	if o.count > 1 {
		c.Args = append(c.Args, "-test.count="+strconv.Itoa(o.count))
	}
	if o.run != "" {
		c.Args = append(c.Args, "-test.run="+o.run)
	}
	if o.settings != "" {
		c.Env = append(c.Env, "WEFT_TEST_SETTINGS="+o.settings)
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
