package lease_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	derive "weftnet.io/weftnet/internal/derive/lease"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/lease"
	"weftnet.io/weftnet/internal/table/network"
)

func made(container, nic string, owner network.Owner, dhcp string) network.Made {
	return network.Made{
		Want: network.Interface{
			ContainerID: container, First: "eth0", Interface: nic, Namespace: "shop", Pod: "db-0", Definition: "shop/lan", Wire: "ens192", Owner: owner, DHCP: dhcp,
		},
		Index: 7, MAC: "02:00:00:00:00:0a",
	}
}

func orders(r state.Reader) string {
	var list []string
	for o := range lease.Orders.All(r) {
		list = append(list, fmt.Sprintf("%s %s %s stays=%v", o.ContainerID, o.Interface, o.Client, o.Stays))
	}
	return strings.Join(list, "\n")
}

func TestServersKnowANICByItsOwner(t *testing.T) {
	tables, db := table.New()
	runs := derive.Derivations(tables)
	_ = db.Write(func(tx *state.Tx) error {
		network.Finished.Put(tx, made("c1", "net1", network.Owner{}, `{"type": "dhcp"}`))
		network.Finished.Put(tx, made("c1", "net2", network.Owner{}, ""))
		network.Finished.Put(tx, made("c2", "net1", network.Owner{Name: "db-0"}, `{"type": "dhcp"}`))
		network.Finished.Put(tx, made("c2", "net2", network.Owner{Name: "db-0"}, `{"type": "dhcp"}`))
		network.Finished.Put(tx, made("c3", "net1", network.Owner{Machine: true, Name: strings.Repeat("x", 200)}, `{"type": "dhcp"}`))
		return nil
	})
	runs[0].Step(db)
	got := orders(db.Snapshot())
	want := `c1 net1 weft/c1/net1 stays=false
c2 net1 weft/shop/pod/db-0/shop/lan stays=true
c2 net2 weft/shop/pod/db-0/shop/lan/net2 stays=true
c3 net1 weft/`
	if !strings.HasPrefix(got, want) || len(strings.Split(got, "\n")[3]) > 90 {
		t.Errorf("servers know\n%s\nwant\n%s…", got, want)
	}
}

func TestAPodWaitsForItsFirstLeaseAndHearsWhatKeepsItAway(t *testing.T) {
	tables, db := table.New()
	_, needs := derive.Needs(tables)
	first := table.Attachment{ContainerID: "c1", Interface: "eth0"}
	for _, c := range []struct {
		lease lease.Lease
		want  string
	}{
		{lease.Lease{}, "waits"},
		{lease.Lease{ContainerID: "c1", Interface: "net1", Says: "no DHCP server answers on ens192"}, "NIC net1 (shop/lan): no DHCP server answers on ens192"},
		{lease.Lease{ContainerID: "c1", Interface: "net1", Served: true}, "done"},
		{lease.Lease{ContainerID: "c1", Interface: "net1", Served: true, Says: "10.0.0.7/24 is taken off"}, "done"},
	} {
		_ = db.Write(func(tx *state.Tx) error {
			network.Interfaces.Put(tx, made("c1", "net1", network.Owner{}, `{"type": "dhcp"}`).Want)
			if c.lease.ContainerID != "" {
				lease.Leases.Put(tx, c.lease)
			}
			return nil
		})
		list := needs(db.Snapshot(), first)
		if len(list) != 1 {
			t.Fatalf("%d needs of a NIC by DHCP", len(list))
		}
		got := list[0].Lacks
		if got == "" {
			got = map[bool]string{true: "waits", false: "done"}[list[0].Key == ""]
		}
		if got != c.want {
			t.Errorf("%+v: %s, want %s", c.lease, got, c.want)
		}
	}
}

func TestOrdersFollowFromWhatIsThereInWhateverOrderItCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tables, db := table.New()
		live := derive.Derivations(tables)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			m := made(rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "container"), rapid.SampledFrom([]string{"net1", "net2"}).Draw(t, "nic"),
				rapid.SampledFrom([]network.Owner{{}, {Name: "db-0"}}).Draw(t, "owner"), rapid.SampledFrom([]string{"", "{}"}).Draw(t, "dhcp"))
			_ = db.Write(func(tx *state.Tx) error {
				if rapid.Bool().Draw(t, "goes") {
					network.Finished.Delete(tx, network.Finished.Key(m))
				} else {
					network.Finished.Put(tx, m)
				}
				return nil
			})
			live[0].Step(db)
		}
		_, fresh := table.New()
		_ = fresh.Write(func(tx *state.Tx) error {
			for m := range network.Finished.All(db.Snapshot()) {
				network.Finished.Put(tx, m)
			}
			return nil
		})
		derive.Derivations(tables)[0].Step(fresh)
		if got, want := orders(db.Snapshot()), orders(fresh.Snapshot()); got != want {
			t.Fatalf("step by step\n%s\nat once\n%s", got, want)
		}
	})
}
