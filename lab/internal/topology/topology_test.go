package topology

import "testing"

func TestADualStackClusterPutsIPv4First(t *testing.T) {
	c := Cluster{Nodes: 3, Family: Dual}
	for _, tc := range []struct{ what, got, want string }{
		{"node 1", Join(c.Node(1).IPs()), "10.80.0.11,fd00:80::11"},
		{"outside", Join(c.Outside().IPs()), "10.80.0.200,fd00:80::200"},
		{"API server", c.APIServer().String(), "10.80.0.1:6443"},
		{"API service", c.APIService().String(), "10.96.0.1"},
		{"DNS", Join(c.DNS()), "10.96.0.10,fd00:96::a"},
		{"pods", Join(c.PodCIDRs()), "10.244.0.0/16,fd00:244::/56"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.what, tc.got, tc.want)
		}
	}
}

func TestASingleFamilyClusterHasNoAddressOfTheOther(t *testing.T) {
	if got := (Cluster{Nodes: 1, Family: V6}).APIServer().String(); got != "[fd00:80::1]:6443" {
		t.Errorf("API server of a v6 cluster: %s", got)
	}
	if got := len((Cluster{Nodes: 1, Family: V4}).Node(1).Addrs); got != 1 {
		t.Errorf("addresses of a v4 node: %d", got)
	}
}

func TestLinkNamesFitTheKernel(t *testing.T) {
	c := Cluster{Nodes: MaxNodes, Family: Dual}
	for _, h := range append(c.All(), c.Outside()) {
		names := []string{h.Veth}
		for _, u := range h.Uplinks {
			names = append(names, u.Device, u.Bridge, u.Veth)
		}
		for _, name := range names {
			if len(name) > 15 {
				t.Errorf("%s: %d bytes, a link name holds 15", name, len(name))
			}
		}
	}
}

func TestClustersOutsideThePlanAreRefused(t *testing.T) {
	for _, c := range []Cluster{{0, Dual}, {MaxNodes + 1, Dual}, {3, FamilyNone}} {
		if c.Validate() == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}
