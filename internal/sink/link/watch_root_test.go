package link_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func TestWhatAnotherProgramDoesToALinkIsHeardOfAndPutRight(t *testing.T) {
	l, n := newLinks(t), newNetns(t)
	want := row("watched", n, 7, "10.244.1.9", "fd00::9")
	if err := l.Set(t.Context(), []table.Link{want}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Unset(context.Background(), []table.Link{want}) })
	heard, over := make(chan state.Key, 100), make(chan error, 1)
	go func() { over <- l.Watch(t.Context(), func(k state.Key, _ *table.Link) { heard <- k }) }()
	for _, args := range []string{
		"link set DEV mtu 1400", "link set DEV down", "link set DEV address 02:00:00:00:00:09", "addr add 203.0.113.9/32 dev DEV",
		"neigh del 10.244.1.9 dev DEV", "-6 neigh del fd00::9 dev DEV",
	} {
		for told := false; !told; { // it may not listen yet, so it is done until it does
			out, err := exec.Command("ip", strings.Fields(strings.ReplaceAll(args, "DEV", want.HostName))...).CombinedOutput()
			if err != nil && !strings.Contains(string(out), "No such file") { // the kernel has not let go of the former neighbour yet
				t.Fatalf("ip %s: %v: %s", args, err, out)
			}
			select {
			case k := <-heard:
				told = k == state.Join(want.HostName)
			case err := <-over:
				t.Fatal(err)
			case <-time.After(10 * time.Millisecond):
			}
			if err := l.Set(t.Context(), []table.Link{want}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Check(t.Context(), want); err != nil {
			t.Errorf("after ip %s: %v", args, err)
		}
	}
	out, err := exec.Command("sh", "-c", "ip -o addr show dev "+want.HostName+"; ip neigh show nud permanent dev "+want.HostName).CombinedOutput()
	if text := string(out); err != nil || strings.Contains(text, "inet") || strings.Count(text, "PERMANENT") != 2 {
		t.Errorf("addresses and neighbours: %v\n%s", err, text)
	}
}
