package machine_test

import (
	"testing"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
)

func TestAMachineIsNamedByItsOwnerItsLabelsAndThenItsPodsName(t *testing.T) {
	launched := identity.NewLabels(map[string]string{"k8s:kubevirt.io": "virt-launcher"})
	for _, c := range []struct {
		local  table.Pod
		pod    string
		labels identity.Labels
		want   string
	}{
		{table.Pod{Namespace: "shop", Owner: machine.Owner("shop", "db"), Labels: map[string]string{identity.LabelVMName: "a-host-name"}}, "virt-launcher-db-x7k2p", launched, "db"},
		{table.Pod{Labels: map[string]string{identity.LabelVMName: "db"}}, "any", launched, "db"},
		{table.Pod{}, "virt-launcher-my-db-x7k2p", launched, "my-db"},
		{table.Pod{}, "virt-launcher-my-db-x7k2p", identity.Labels{}, ""}, // any pod may have such a name
		{table.Pod{}, "virt-launcher-", launched, ""},
		{table.Pod{}, "web", launched, ""},
		{table.Pod{Namespace: "shop", Owner: machine.Owner("other", "db")}, "web", identity.Labels{}, ""},
	} {
		if got := machine.In(c.local, c.pod, c.labels); got != c.want {
			t.Errorf("%s: have %q, want %q", c.pod, got, c.want)
		}
	}
}

func TestTheTitleOfAnEndIsItsMachines(t *testing.T) {
	tables, db := table.New()
	err := db.Write(func(tx *state.Tx) error {
		labels := identity.NewLabels(map[string]string{"k8s:kubevirt.io": "virt-launcher"})
		tables.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "virt-launcher-db-1", Owner: machine.Owner("shop", "db")})
		tables.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "virt-launcher-db-0", Owner: machine.Owner("shop", "db"), Finished: true})
		tables.Identities.Put(tx, table.Identity{Number: 400, Labels: labels})
		tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "virt-launcher-db-2", Identity: 400})
		tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "virt-launcher-db-b-3", Identity: 400})
		tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "virt-launcher-db-4", Identity: 401})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := db.Snapshot()
	if got := machine.Title(tables, r, "shop", "virt-launcher-db-1", identity.Labels{}); got != "shop/db" {
		t.Errorf("have %s", got)
	}
	if got := machine.Title(tables, r, "shop", "web", identity.Labels{}); got != "shop/web" {
		t.Errorf("have %s", got)
	}
	pods := machine.Running(tables, r, "shop", "db")
	if len(pods) != 2 || pods[0] != "virt-launcher-db-1" || pods[1] != "virt-launcher-db-2" {
		t.Errorf("it runs in %v", pods)
	}
}
