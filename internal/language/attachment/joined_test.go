package attachment

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestJoinsAreTheNICsBesideTheFirst(t *testing.T) {
	const text = `[
		{"name": "weft", "interface": "eth0", "ips": ["10.244.1.7"], "mac": "02:00:00:00:00:01", "default": true, "dns": {}},
		{"name": "shop/storage", "interface": "net1", "ips": ["10.0.200.5", "fd00::5", "no address"], "mac": "02:00:00:00:00:AA", "dns": {}},
		{"name": "bare", "interface": "net2", "mac": "none"},
		{"name": "shop/none", "interface": ""},
		{"name": "shop/long", "interface": "a-name-that-no-device-can-have"},
		{"name": "shop/path", "interface": "../net3"}
	]`
	want := []Join{
		{Namespace: "shop", Name: "storage", Interface: "net1", MAC: "02:00:00:00:00:aa", Addresses: []netip.Addr{netip.MustParseAddr("10.0.200.5"), netip.MustParseAddr("fd00::5")}},
		{Namespace: "prod", Name: "bare", Interface: "net2"},
	}
	if got := Joins(text, "prod"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for _, none := range []string{"", "storage", "{}", `[{"name": 5}]`} {
		if got := Joins(none, "prod"); got != nil {
			t.Errorf("%q: got %v", none, got)
		}
	}
}

func FuzzJoins(f *testing.F) {
	f.Add(`[{"name": "shop/storage", "interface": "net1", "ips": ["10.0.200.5"], "mac": "02:00:00:00:00:01"}]`)
	f.Add(`[{}]`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, j := range Joins(text, "ns") {
			if j.Interface == "" || len(j.Interface) > most {
				t.Errorf("%q is no name of a device", j.Interface)
			}
			for _, a := range j.Addresses {
				if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
					t.Errorf("%v is no address that a table has", a)
				}
			}
		}
	})
}
