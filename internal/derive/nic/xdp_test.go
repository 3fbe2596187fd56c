package nic

import (
	"testing"

	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func TestADeviceThatLeadsOutIsAcceleratedAsTheConfigurationSays(t *testing.T) {
	for _, c := range []struct {
		keys     map[string]string
		tagged   bool
		is, slow bool
	}{
		{keys: map[string]string{"kube-proxy-replacement": "true"}},
		{keys: map[string]string{"kube-proxy-replacement": "true", "bpf-lb-acceleration": "disabled"}},
		{keys: map[string]string{"kube-proxy-replacement": "true", "bpf-lb-acceleration": "native"}, is: true},
		{keys: map[string]string{"kube-proxy-replacement": "true", "bpf-lb-acceleration": "best-effort"}, is: true},
		{keys: map[string]string{"kube-proxy-replacement": "true", "node-port-acceleration": "native"}, is: true},
		{keys: map[string]string{"enable-external-ips": "true", "bpf-lb-acceleration": "testing-only"}, is: true, slow: true},
		{keys: map[string]string{"bpf-lb-acceleration": "native"}},
		{keys: map[string]string{"kube-proxy-replacement": "true", "bpf-lb-acceleration": "native"}, tagged: true},
	} {
		b := newBench(t)
		b.runs = append([]state.AnyDerivation{config.New(b.t)}, b.runs...)
		b.write(func(tx *state.Tx) {
			for name, value := range c.keys {
				b.t.Settings.Put(tx, table.Setting{Name: name, Value: value})
			}
			b.t.Devices.Put(tx, table.Device{Index: 2, Name: "eth0", Up: true, Default: true})
		})
		if c.tagged { // later: what is there goes
			b.write(func(tx *state.Tx) {
				b.t.Devices.Put(tx, table.Device{Index: 3, Name: "eth0.5", Kind: "vlan", Up: true, On: 2})
			})
		}
		row, is := b.t.Hooks.One(b.db.Snapshot(), state.Join("eth0", "xdp"))
		if is != c.is || row.Generic != c.slow {
			t.Errorf("%v, VLAN devices %v: %+v, %v", c.keys, c.tagged, row, is)
		}
		if c.tagged {
			b.write(func(tx *state.Tx) { b.t.Devices.Delete(tx, state.Join(uint32(3))) })
			if _, is := b.t.Hooks.One(b.db.Snapshot(), state.Join("eth0", "xdp")); !is {
				t.Error("the device stays without the program when its VLAN devices have gone")
			}
		}
	}
}
