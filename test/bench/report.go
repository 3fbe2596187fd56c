package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine says in one line where and when this was measured.
func machine() string {
	var name unix.Utsname
	_ = unix.Uname(&name) // cannot fail on Linux
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	load, _ := os.ReadFile("/proc/loadavg") // a line without it does
	average, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%d × %s, Linux %s, %s; %s; load average before: %s", runtime.NumCPU(), model,
		unix.ByteSliceToString(name.Release[:]), runtime.Version(), time.Now().UTC().Format("2006-01-02 15:04 UTC"), average)
}

func last(list []float64) float64 { return list[len(list)-1] }

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// ratio is the median of the rounds' ratios.
func ratio(a, b []float64) float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = a[i] / b[i]
	}
	return median(list)
}

// table is the report in Markdown.
func table(o options, machine string, peers []*peer, costs []cost) string {
	var b strings.Builder
	find := func(name string) *peer {
		return peers[slices.IndexFunc(peers, func(p *peer) bool { return p.name == name })]
	}
	veth, weft, again := find(nameVeth), find(nameWeftnet), find(nameAgain)
	fmt.Fprintf(&b, "Command: `go run ./test/bench -rounds %d -time %v -write docs/benchmarks.md`\n\nMachine: %s\n\n", o.rounds, o.seconds, machine)
	fmt.Fprintf(&b, "| same node | TCP throughput, Gbit/s | least to most | of the veth pair | TCP transactions/s | least to most | of the veth pair |\n")
	fmt.Fprintf(&b, "|---|--:|--:|--:|--:|--:|--:|\n")
	for _, p := range peers {
		fmt.Fprintf(&b, "| %s | %.2f | %.2f–%.2f | %.3f | %.0f | %.0f–%.0f | %.3f |\n", p.name,
			median(p.throughput), slices.Min(p.throughput), slices.Max(p.throughput), ratio(p.throughput, veth.throughput),
			median(p.transactions), slices.Min(p.transactions), slices.Max(p.transactions), ratio(p.transactions, veth.transactions))
	}
	fmt.Fprintf(&b, "\nA/A, the second Weftnet to the first: throughput %.3f, transactions %.3f. A difference smaller than that says nothing.\n",
		ratio(again.throughput, weft.throughput), ratio(again.transactions, weft.transactions))
	fmt.Fprintf(&b, "\n| way | program | ns per packet | packets |\n|---|---|--:|--:|\n")
	for _, c := range costs {
		fmt.Fprintf(&b, "| %s | `%s` | %d | %d |\n", c.way, c.program, c.each.Nanoseconds(), c.packets)
	}
	return b.String()
}

// The table stands between these lines of a file.
const (
	tableBegins = "<!-- written by test/bench -->\n"
	tableEnds   = "<!-- end of what test/bench writes -->\n"
)

func report(o options, machine string, peers []*peer, costs []cost) error {
	text := table(o, machine, peers, costs)
	if o.write == "" {
		_, err := os.Stdout.WriteString(text)
		return err
	}
	old, err := os.ReadFile(o.write)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), tableBegins)
	_, after, ok2 := strings.Cut(rest, tableEnds)
	if !ok || !ok2 {
		return fmt.Errorf("write table: %s has not the lines %q and %q, between which it stands", o.write, tableBegins, tableEnds)
	}
	return os.WriteFile(o.write, []byte(before+tableBegins+"\n"+text+"\n"+tableEnds+after), 0o644)
}
