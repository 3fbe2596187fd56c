package link_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/sink/link/record"
)

func setting(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestTheNodesSettingsComeBackWithThoseThatTheKernelChangedAlong(t *testing.T) {
	newLinks(t) // a namespace of its own
	ip(t, nil, "link add other type veth peer name more")
	before := map[string]string{
		"ipv4/ip_forward": "0", "ipv4/conf/other/forwarding": "1", "ipv4/conf/more/forwarding": "0", "ipv4/conf/all/accept_redirects": "1",
		"ipv6/conf/all/forwarding": "0", "ipv6/conf/other/forwarding": "1", "ipv6/conf/more/accept_ra": "1", "ipv6/conf/default/forwarding": "0",
	}
	for _, name := range []string{
		"ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/all/accept_redirects", "ipv6/conf/default/forwarding",
		"ipv4/conf/other/forwarding", "ipv4/conf/more/forwarding", "ipv6/conf/other/forwarding", "ipv6/conf/more/accept_ra",
	} {
		if err := os.WriteFile("/proc/sys/net/"+name, []byte(before[name]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "state", "before.json")
	for range 2 { // an agent that restarts finds its own settings, and must not take them for those of before
		if err := link.PrepareNode("", file); err != nil {
			t.Fatal(err)
		}
	}
	if got := setting(t, "ipv6/conf/more/accept_ra"); got != "2" {
		t.Errorf("accept_ra of a node that forwards from now on is %s, want 2", got)
	}
	changed, err := record.Restore("", file)
	if err != nil || len(changed) == 0 {
		t.Fatalf("restored %v: %v", changed, err)
	}
	for name, want := range before {
		if got := setting(t, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if changed, err := record.Restore("", file); err != nil || len(changed) != 0 {
		t.Errorf("the second time it restored %v: %v", changed, err)
	}
}

func TestWhatWasWrittenDownBeforeAnEarlierStartOfTheMachineIsWorthNothing(t *testing.T) {
	newLinks(t)
	file := filepath.Join(t.TempDir(), "before.json")
	if err := os.WriteFile(file, []byte(`{"boot": "another", "settings": {"ipv4/ip_forward": "7"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := record.Restore("", file); err != nil || len(changed) != 0 {
		t.Errorf("restored %v: %v", changed, err)
	}
	if err := link.PrepareNode("", file); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); strings.Contains(string(text), "another") {
		t.Errorf("the record is still the old one: %s", text)
	}
}
