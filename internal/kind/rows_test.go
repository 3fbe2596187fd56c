package kind

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/language/multi"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func TestAResyncOfEqualObjectsChangesNothing(t *testing.T) {
	tables, db := table.New()
	rows := NewRows(tables, "n1", nil)
	pods := []any{&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Labels: map[string]string{"app": "web"}}}}
	write := func(fn func(tx *state.Tx)) {
		if err := db.Write(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx *state.Tx) { rows.Of(Named("Pod")).Replace(tx, pods) })
	changed := tables.Pods.WatchAll(db.Snapshot())
	write(func(tx *state.Tx) { rows.Of(Named("Pod")).Replace(tx, pods) })
	select {
	case <-changed:
		t.Error("the table changed")
	default:
	}
}

func TestFiveKindsOfPolicyShareATableAndPruneOnlyTheirOwn(t *testing.T) {
	tables, db := table.New()
	rows := NewRows(tables, "n1", nil)
	meta := metav1.ObjectMeta{Name: "deny"}
	write := func(fn func(tx *state.Tx)) {
		if err := db.Write(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	have := func() string {
		var names []string
		for p := range tables.Policies.All(db.Snapshot()) {
			names = append(names, p.Kind+" "+p.Namespace+"/"+p.Name)
		}
		return strings.Join(names, ", ")
	}
	write(func(tx *state.Tx) {
		rows.Of(Named(language.KindCilium)).Replace(tx, []any{&v2.CiliumNetworkPolicy{ObjectMeta: meta}})
	})
	write(func(tx *state.Tx) {
		rows.Of(Named(language.KindClusterwide)).Replace(tx, []any{&v2.CiliumClusterwideNetworkPolicy{ObjectMeta: meta}})
	})
	write(func(tx *state.Tx) {
		rows.Of(Named(language.KindClusterNetwork)).Replace(tx, []any{&v1alpha2.ClusterNetworkPolicy{ObjectMeta: meta}})
	})
	write(func(tx *state.Tx) {
		rows.Of(Named(language.KindMultiNetwork)).Replace(tx, []any{&multi.Object{ObjectMeta: meta}})
	})
	if tables.Policies.IsSynced(db.Snapshot()) {
		t.Error("synced before the last kind was listed")
	}
	write(func(tx *state.Tx) {
		rows.Of(Named(language.KindKubernetes)).Replace(tx, []any{&networkingv1.NetworkPolicy{ObjectMeta: meta}})
	})
	if !tables.Policies.IsSynced(db.Snapshot()) {
		t.Error("not synced although all kinds were listed")
	}
	const all = "CiliumClusterwideNetworkPolicy /deny, CiliumNetworkPolicy default/deny, ClusterNetworkPolicy /deny, MultiNetworkPolicy default/deny, NetworkPolicy default/deny"
	if diff := cmp.Diff(all, have()); diff != "" {
		t.Errorf("policies (-want +have):\n%s", diff)
	}
	write(func(tx *state.Tx) {
		rows.Of(Named(language.KindKubernetes)).Replace(tx, nil)
		rows.Of(Named(language.KindCilium)).Remove(tx, &v2.CiliumNetworkPolicy{ObjectMeta: meta})
	})
	if diff := cmp.Diff("CiliumClusterwideNetworkPolicy /deny, ClusterNetworkPolicy /deny, MultiNetworkPolicy default/deny", have()); diff != "" {
		t.Errorf("policies (-want +have):\n%s", diff)
	}
}

func TestRowsOfKinds(t *testing.T) {
	ip := func(list ...string) string {
		var b []string
		for _, a := range list {
			b = append(b, netip.MustParseAddr(a).String())
		}
		return strings.Join(b, ",")
	}
	vip, proxy := corev1.LoadBalancerIPModeVIP, corev1.LoadBalancerIPModeProxy
	for name, c := range map[string]struct {
		object runtime.Object
		table  func(*table.Tables) state.AnyTable
		want   string
	}{
		"a headless service has no addresses": {
			&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "None", ClusterIPs: []string{"None"}}},
			func(t *table.Tables) state.AnyTable { return t.Services }, "|||||0",
		},
		"a service of type ExternalName has no addresses": {
			&corev1.Service{Spec: corev1.ServiceSpec{Type: "ExternalName", ExternalIPs: []string{"192.0.2.1"}}},
			func(t *table.Tables) state.AnyTable { return t.Services }, "|||||0",
		},
		"a service of both families with addresses of a load balancer": {
			&corev1.Service{
				Spec: corev1.ServiceSpec{
					ClusterIP: "10.96.0.1", ClusterIPs: []string{"10.96.0.1", "fd00::1"}, ExternalIPs: []string{"192.0.2.1", "x"},
					SessionAffinity: "ClientIP", Ports: []corev1.ServicePort{{Name: "s", Protocol: "SCTP", Port: 9}},
				},
				Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{
					{IP: "192.0.2.2", IPMode: &vip}, {IP: "192.0.2.3", IPMode: &proxy}, {Hostname: "lb.example"},
				}}},
			},
			func(t *table.Tables) state.AnyTable { return t.Services },
			"||" + ip("10.96.0.1", "fd00::1") + "|" + ip("192.0.2.1", "192.0.2.2") + "|s:9/132|10800",
		},
		"an endpoint without addresses is none": {
			&v2.CiliumEndpoint{Status: v2.EndpointStatus{Networking: &v2.EndpointNetworking{NodeIP: "192.168.0.1"}}},
			func(t *table.Tables) state.AnyTable { return t.Endpoints }, "",
		},
		"an endpoint's secondary networks are not the pod network": {
			&v2.CiliumEndpoint{Status: v2.EndpointStatus{
				Identity: &v2.EndpointIdentity{ID: 4711},
				Networking: &v2.EndpointNetworking{NodeIP: "192.168.0.1", Addressing: []v2.AddressPair{
					{IPV4: "10.244.1.5", IPV6: "fd00::5"}, {IPV4: "10.9.9.9", Network: "shop/storage"},
				}},
			}},
			func(t *table.Tables) state.AnyTable { return t.Endpoints }, "||4711|10.244.1.5,fd00::5|192.168.0.1",
		},
		"an identity whose name is no number is none": {
			&v2.CiliumIdentity{ObjectMeta: metav1.ObjectMeta{Name: "web"}},
			func(t *table.Tables) state.AnyTable { return t.Identities }, "",
		},
		"a reserved identity is not for objects to define": {
			&v2.CiliumIdentity{ObjectMeta: metav1.ObjectMeta{Name: "1"}, SecurityLabels: map[string]string{"k8s:app": "web"}},
			func(t *table.Tables) state.AnyTable { return t.Identities }, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tables, db := table.New()
			if err := db.Write(func(tx *state.Tx) error { return NewRows(tables, "n1", nil).Put(tx, c.object) }); err != nil {
				t.Fatal(err)
			}
			var have []string
			for _, row := range c.table(tables).Rows(db.Snapshot()) {
				have = append(have, strings.Join(row.Row(), "|"))
			}
			if diff := cmp.Diff(c.want, strings.Join(have, "\n")); diff != "" {
				t.Errorf("row (-want +have):\n%s", diff)
			}
		})
	}
}

func TestThisNodeIsLeavingWhileItIsDeletedOrAnAutoscalerIsAboutTo(t *testing.T) {
	tables, db := table.New()
	rows := NewRows(tables, "n1", nil)
	write := func(fn func(tx *state.Tx)) {
		if err := db.Write(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	meta := func(name string, deleted bool) *metav1.PartialObjectMetadata {
		o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if deleted {
			now := metav1.Now()
			o.DeletionTimestamp = &now
		}
		return o
	}
	whole := func(taints ...string) *corev1.Node {
		o := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
		for _, key := range taints {
			o.Spec.Taints = append(o.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
		}
		return o
	}
	for _, name := range []string{"n1", "n2"} {
		write(func(tx *state.Tx) {
			rows.Of(Named("CiliumNode")).Put(tx, &v2.CiliumNode{ObjectMeta: metav1.ObjectMeta{Name: name}})
		})
	}
	node := rows.Of(Named("Node"))
	for i, step := range []struct {
		do      func(tx *state.Tx)
		leaving bool
	}{
		{func(tx *state.Tx) { node.Put(tx, meta("n1", false)) }, false},
		{func(tx *state.Tx) { rows.OwnNode(tx, whole("node.kubernetes.io/unschedulable")) }, false},
		{func(tx *state.Tx) { rows.OwnNode(tx, whole("other", "ToBeDeletedByClusterAutoscaler")) }, true},
		{func(tx *state.Tx) { node.Put(tx, meta("n1", false)) }, true}, // which says nothing of taints
		{func(tx *state.Tx) { rows.OwnNode(tx, whole()) }, false},
		{func(tx *state.Tx) { node.Put(tx, meta("n1", true)) }, true},
		{func(tx *state.Tx) { node.Replace(tx, []any{meta("n1", false), meta("n2", true)}) }, false},
		{func(tx *state.Tx) { node.Put(tx, whole("ToBeDeletedByClusterAutoscaler")) }, true}, // where there is no API server
		{func(tx *state.Tx) { rows.OwnNode(tx, nil) }, false},
		{func(tx *state.Tx) { node.Put(tx, meta("n1", true)) }, true},
		{func(tx *state.Tx) { node.Remove(tx, meta("n1", false)) }, false},
	} {
		write(step.do)
		for n := range tables.Nodes.All(db.Snapshot()) {
			if want := n.Name == "n1" && step.leaving; n.Leaving != want {
				t.Errorf("step %d: %s leaves: %v", i, n.Name, n.Leaving)
			}
		}
	}
}
