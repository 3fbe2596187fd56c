package agentevent

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/lb"
	"weftnet.io/weftnet/internal/observe/journal"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// told gives the events of a journal, as people read them, without their times.
func told(t *testing.T, e *Events) string {
	t.Helper()
	var lines []string
	err := e.Journal.Answer(t.Context(), journal.Range{}, journal.Reader[Event]{Send: func(e *Event) error {
		lines = append(lines, e.Message.GetType().String()+" "+flow.AgentDetails(e.Message, time.DateTime))
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestWhatTheTablesTellOfTheAgent(t *testing.T) {
	ip := netip.MustParseAddr
	web := identity.NewLabels(map[string]string{"k8s:app": "web"})
	attachment := table.Attachment{ContainerID: "c1", Interface: "eth0", Namespace: "shop", Pod: "web-1", Incarnation: 12, Addresses: []netip.Addr{ip("10.0.0.5")}}
	workload := table.Workload{
		ContainerID: "c1", Interface: "eth0", Namespace: "shop", Pod: "web-1", Addresses: attachment.Addresses,
		Subject: table.Subject{Labels: web, Identity: 300, Set: "set"},
	}
	frontend := table.Frontend{Address: ip("10.96.0.1"), Port: 80, Protocol: 6, Namespace: "shop", Name: "db", Kind: table.ClusterIP}
	row := table.IPCacheRow{Prefix: netip.MustParsePrefix("10.0.0.5/32"), Identity: 300}
	steps := []struct {
		name   string
		change func(*table.Tables, *state.Tx)
		want   string
	}{
		{"a policy comes", func(tables *table.Tables, tx *state.Tx) {
			tables.Policies.Put(tx, table.PolicyObject{Kind: "NetworkPolicy", Namespace: "shop", Name: "lock", UID: "u", Rules: make([]policy.Rule, 2)})
		}, "POLICY_UPDATED labels: [k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy,k8s:io.cilium.k8s.policy.name=lock,k8s:io.cilium.k8s.policy.namespace=shop,k8s:io.cilium.k8s.policy.uid=u], revision: 2, count: 2"},
		{"it goes", func(tables *table.Tables, tx *state.Tx) {
			tables.Policies.Delete(tx, state.Join("NetworkPolicy", "shop", "lock"))
		}, "POLICY_DELETED labels: [k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy,k8s:io.cilium.k8s.policy.name=lock,k8s:io.cilium.k8s.policy.namespace=shop,k8s:io.cilium.k8s.policy.uid=u], revision: 3, count: 2"},
		{"a pod gets a NIC", func(tables *table.Tables, tx *state.Tx) {
			tables.Attachments.Put(tx, attachment)
			tables.Workloads.Put(tx, workload)
		}, "ENDPOINT_CREATED id: 12, namespace: shop, pod name: web-1"},
		{"its policy set is in the kernel, the NIC not yet", func(tables *table.Tables, tx *state.Tx) {
			tables.SetStatuses.Put(tx, table.SetStatus{Set: "set", Index: 3, Revision: 1})
		}, ""},
		{"the NIC is, too", func(tables *table.Tables, tx *state.Tx) {
			tables.NICStatuses.Put(tx, table.NICStatus{Incarnation: 12, Identity: 300, SetIndex: 3})
		}, "ENDPOINT_REGENERATE_SUCCESS id: 12, labels: [k8s:app=web]"},
		{"the set has another version", func(tables *table.Tables, tx *state.Tx) {
			tables.SetStatuses.Put(tx, table.SetStatus{Set: "set", Index: 3, Revision: 2})
		}, "ENDPOINT_REGENERATE_SUCCESS id: 12, labels: [k8s:app=web]"},
		{"the next one does not fit", func(tables *table.Tables, tx *state.Tx) {
			status.Statuses.Put(tx, status.Status{Table: "policy-sets", Key: "set", Attempts: 1, Err: "map is full"})
		}, "ENDPOINT_REGENERATE_FAILURE id: 12, labels: [k8s:app=web], error: map is full"},
		{"nor at the next attempt, which is no news", func(_ *table.Tables, tx *state.Tx) {
			status.Statuses.Put(tx, status.Status{Table: "policy-sets", Key: "set", Attempts: 2, Err: "map is full"})
		}, ""},
		{"an address is somewhere", func(tables *table.Tables, tx *state.Tx) { tables.IPCache.Put(tx, row) }, "IPCACHE_UPSERTED cidr: 10.0.0.5/32, identity: 300, encrypt key: 0"},
		{"and elsewhere", func(tables *table.Tables, tx *state.Tx) {
			moved := row
			moved.Identity, moved.Tunnel = 301, ip("192.0.2.1")
			tables.IPCache.Put(tx, moved)
		}, "IPCACHE_UPSERTED cidr: 10.0.0.5/32, identity: 301, old identity: 300, host ip: 192.0.2.1, encrypt key: 0"},
		{"and nowhere", func(tables *table.Tables, tx *state.Tx) { tables.IPCache.Delete(tx, state.Join(uint32(0), row.Prefix)) }, "IPCACHE_DELETED cidr: 10.0.0.5/32, identity: 301, host ip: 192.0.2.1, encrypt key: 0"},
		{"a service", func(tables *table.Tables, tx *state.Tx) {
			served := frontend
			served.Backends = []lb.Backend{{Address: ip("10.0.0.9"), Port: 8080}, {Address: ip("fd00::9"), Port: 8080}}
			tables.Frontends.Put(tx, served)
		}, "SERVICE_UPSERTED id: 3388721798, frontend: 10.96.0.1:80, backends: [10.0.0.9:8080,[fd00::9]:8080], type: ClusterIP, namespace: shop, name: db"},
		{"and none", func(tables *table.Tables, tx *state.Tx) { tables.Frontends.Delete(tx, table.FrontendKey(frontend)) }, "SERVICE_DELETED id: 3388721798"},
		{"the pod is deleted", func(tables *table.Tables, tx *state.Tx) {
			tables.Attachments.Delete(tx, table.AttachmentKey("c1", "eth0"))
		}, "ENDPOINT_DELETED id: 12, namespace: shop, pod name: web-1"},
	}
	synctest.Test(t, func(t *testing.T) {
		tables, db := table.New()
		write := func(change func(*table.Tables, *state.Tx)) {
			t.Helper()
			if err := db.Write(func(tx *state.Tx) error { change(tables, tx); return nil }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		e := New(tables, db, func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); e.Run(ctx) }()
		write(func(tables *table.Tables, tx *state.Tx) { // what is there already is no news
			tables.IPCache.Put(tx, table.IPCacheRow{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Identity: 2})
			for _, one := range []interface{ MarkSynced(*state.Tx) }{
				tables.Policies, tables.Attachments, tables.SetStatuses, tables.NICStatuses, status.Statuses, tables.IPCache, tables.Frontends,
			} {
				one.MarkSynced(tx)
			}
		})
		have := told(t, e)
		if have != "AGENT_STARTED start time: 2026-03-01 12:00:00" {
			t.Errorf("at first: %s", have)
		}
		for _, step := range steps {
			write(step.change)
			now := told(t, e)
			if one := strings.TrimPrefix(strings.TrimPrefix(now, have), "\n"); one != step.want {
				t.Errorf("%s:\nhave %s\nwant %s", step.name, one, step.want)
			}
			have = now
		}
		cancel()
		<-done
	})
}

func TestAReaderThatIsTooSlowIsTold(t *testing.T) {
	e := Missed(7, time.Time{})
	if have := flow.AgentDetails(e.Message, ""); have != "type: lost, notification: 7 events were overwritten before this client read them" {
		t.Errorf("have %s", have)
	}
}
