package pool

import (
	"net/netip"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/pool"
)

func TestANodeNeedsWhatItsPodsAskForAndWhatIsHeld(t *testing.T) {
	tables, db := table.New()
	d := Derivations(tables)[0]
	step := func(what, want string, change func(tx *state.Tx)) {
		t.Helper()
		_ = db.Write(func(tx *state.Tx) error { change(tx); return nil })
		d.Step(db)
		var list []string
		for n := range pool.Needs.All(db.Snapshot()) {
			list = append(list, strings.Join(n.Row(), " "))
		}
		if got := strings.Join(list, "; "); got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	web := table.Pod{Namespace: "shop", Name: "web", Pools: [2]string{"blue", "blue"}}
	step("one pod", "blue 1 1", func(tx *state.Tx) {
		tables.Namespaces.Put(tx, table.Namespace{Name: "shop"})
		tables.Pods.Put(tx, web)
		tables.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "plain"})
		tables.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "host", HostNetwork: true, Pools: [2]string{"red", "red"}})
	})
	step("its namespace says it for others", "blue 1 1; green 1 0", func(tx *state.Tx) {
		tables.Namespaces.Put(tx, table.Namespace{Name: "shop", Pools: [2]string{"green", ""}})
	})
	step("pool default is none", "blue 1 1", func(tx *state.Tx) {
		tables.Namespaces.Put(tx, table.Namespace{Name: "shop", Pools: [2]string{"default", "default"}})
	})
	a := table.Attachment{ContainerID: "c1", Interface: "eth0", Namespace: "shop", Pod: "web", Addresses: []netip.Addr{netip.MustParseAddr("10.20.0.2"), netip.MustParseAddr("fd00:20::2")}}
	step("it has its addresses", "blue 1 1", func(tx *state.Tx) {
		tables.Nodes.Put(tx, table.Node{Name: "a", Local: true, Pools: map[string][]netip.Prefix{"blue": {netip.MustParsePrefix("10.20.0.0/27"), netip.MustParsePrefix("fd00:20::/120")}}})
		tables.Attachments.Put(tx, a)
	})
	step("the pod is gone, and its container is there", "blue 1 1", func(tx *state.Tx) { tables.Pods.Delete(tx, tables.Pods.Key(web)) })
	step("so is that", "", func(tx *state.Tx) { tables.Attachments.Delete(tx, tables.Attachments.Key(a)) })
}
