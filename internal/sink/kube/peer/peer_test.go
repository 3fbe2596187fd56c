package peer_test

import (
	"net/netip"
	"testing"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	sink "weftnet.io/weftnet/internal/sink/kube/peer"
	"weftnet.io/weftnet/internal/source/kube/apitest"
	"weftnet.io/weftnet/internal/table/peer"
)

func TestANICThatGetsAnotherAddressGetsAnotherObject(t *testing.T) {
	server := apitest.New(t)
	server.Serve(v1alpha1.PodInterfaceResource)
	s, err := sink.New(server.Config(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	row := peer.NIC{
		Namespace: "shop", Name: "web-1", Pod: "web", PodUID: "u1", Node: "n1", Interface: "net1", Definition: "shop/storage", Wire: "ens192",
		Addresses: []netip.Addr{netip.MustParseAddr("192.168.100.5")}, MAC: "02:00:00:00:00:01",
	}
	uids := map[string]bool{}
	for _, address := range []string{"192.168.100.5", "192.168.100.5", "192.168.100.9"} {
		row.Addresses = []netip.Addr{netip.MustParseAddr(address)}
		if err := s.Set(t.Context(), []peer.NIC{row}); err != nil {
			t.Fatal(err)
		}
		have, err := s.Dump(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for key, there := range have {
			if n++; key != peer.Published.Key(row) || there.Addresses[0].String() != address || there.PodUID != "u1" || there.Node != "n1" {
				t.Errorf("the API server has %v of %s", there.Row(), key)
			}
		}
		if n != 1 {
			t.Errorf("%d objects, want 1", n)
		}
		var o v1alpha1.PodInterface
		server.Get("/apis/weftnet.io/v1alpha1/namespaces/shop/podinterfaces/web-1", &o)
		uids[string(o.UID)] = true
	}
	if len(uids) != 2 {
		t.Errorf("%d objects in all, want 2: one for each address", len(uids))
	}
	if err := s.Unset(t.Context(), []peer.NIC{row}); err != nil {
		t.Fatal(err)
	}
	if have, err := s.Dump(t.Context()); err != nil {
		t.Error(err)
	} else {
		for key := range have {
			t.Errorf("%s is left", key)
		}
	}
}
