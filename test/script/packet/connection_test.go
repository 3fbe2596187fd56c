package packet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/bpf/ktime"
)

// connections tells of every row of conntrack how it is remembered: as one that is opening, open or closing, with what
// counts for it. Rows look alike if all of them are, and are counted then.
func connections(b *bench, ts *testscript.TestScript, _ []string) {
	count := map[string]int{}
	list := b.dp.Map("connections").Iterate()
	var (
		k abi.CtKey
		v abi.Ct
	)
	for list.Next(&k, &v) {
		count[lifeOf(k, v)]++
	}
	ts.Check(list.Err())
	lines := make([]string, 0, len(count))
	for text, n := range count {
		lines = append(lines, fmt.Sprintf("%d %s\n", n, text))
	}
	slices.Sort(lines)
	_, err := ts.Stdout().Write([]byte(strings.Join(lines, "")))
	ts.Check(err)
}

// lifeOf is the longest of the times that a row may have left, in words.
func lifeOf(k abi.CtKey, v abi.Ct) string {
	left := time.Duration(v.Expires) - time.Duration(ktime.Now())
	text := "over"
	switch {
	case left > abi.CtDatagramSeconds*time.Second:
		text = "open"
	case k.Protocol != protocols["tcp"] && left > abi.CtDatagramNewSeconds*time.Second:
		text = "answered"
	case left > abi.CtTcpClosingSeconds*time.Second:
		text = "opening"
	case left > 0:
		text = "closing"
	}
	for _, f := range []abi.CtFlag{abi.CtCalled, abi.CtAdopted} {
		if v.Flags&f != 0 {
			text += " " + f.String()
		}
	}
	return text
}

// handshakes opens a connection of TCP for each number of a range, which stands where the line says PORT: three packets
// each. It tells how many of them got through the last.
func handshakes(b *bench, ts *testscript.TestScript, args []string) {
	there, here := strings.Split(args[0], ","), strings.Split(args[1], ",")
	from, to, _ := strings.Cut(args[2], "-")
	caller, called, _ := strings.Cut(args[3], ">")
	caller, called = strings.TrimSpace(caller), strings.TrimSpace(called)
	open, all := 0, 0
	for n := number(from); n <= number(to); n++ {
		at := strings.ReplaceAll(caller, "PORT", strconv.Itoa(int(n)))
		how := ""
		for _, step := range []struct {
			way  []string
			text string
		}{
			{there, fmt.Sprintf("tcp %s > %s S seq 100", at, called)},
			{here, fmt.Sprintf("tcp %s > %s SA seq 900 ack 101", called, at)},
			{there, fmt.Sprintf("tcp %s > %s A seq 101 ack 901", at, called)},
		} {
			text, err := b.send(step.way[0], b.devices[step.way[1]].Ifindex, 0, 0, step.text)
			ts.Check(err)
			how, _, _ = strings.Cut(text, " ")
		}
		all++
		if !strings.HasPrefix(how, "drop") {
			open++
		}
	}
	_, err := fmt.Fprintf(ts.Stdout(), "%d of %d open\n", open, all)
	ts.Check(err)
}
