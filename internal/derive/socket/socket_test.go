package socket

import (
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func TestSocketsFollowTheConfiguration(t *testing.T) {
	for _, c := range []struct {
		keys map[string]string
		want table.Sockets
		is   bool
		hold bool
	}{
		{keys: nil},
		{keys: map[string]string{"kube-proxy-replacement": "true"}, is: true, hold: true},
		{keys: map[string]string{"kube-proxy-replacement": "true", "node-port-bind-protection": "false"}, is: true},
		{keys: map[string]string{"kube-proxy-replacement": "strict", "bpf-lb-sock": "false"}, is: true, hold: true},
		{keys: map[string]string{"kube-proxy-replacement": "partial", "bpf-lb-sock": "true"}, is: true},
		{keys: map[string]string{"kube-proxy-replacement": "disabled", "bpf-lb-sock": "true"}},
		{keys: map[string]string{"enable-host-reachable-services": "true", "cgroup-root": "/g"}, is: true, want: table.Sockets{Group: "/g"}},
		{
			keys: map[string]string{"bpf-lb-sock": "true", "bpf-lb-sock-hostns-only": "true"}, is: true,
			want: table.Sockets{HostOnly: true},
		},
		{keys: map[string]string{"cgroup-root": "/g"}},
	} {
		tables, db := table.New()
		err := db.Write(func(tx *state.Tx) error {
			for name, value := range c.keys {
				tables.Settings.Put(tx, table.Setting{Name: name, Value: value})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		config.New(tables).Step(db)
		New(tables).Step(db)
		have, is := tables.Sockets.One(db.Snapshot(), table.SocketsKey)
		if have != c.want || is != c.is {
			t.Errorf("%v: %+v, %v", c.keys, have, is)
		}
		told := abi.SocketConfig{}
		if c.is {
			told.On = 1
		}
		if c.want.HostOnly {
			told.HostOnly = 1
		}
		if c.hold {
			told.HoldPorts = 1
		}
		if _, _, value := Constants(tables); value(db.Snapshot()) != told {
			t.Errorf("%v: programs are told %+v", c.keys, value(db.Snapshot()))
		}
	}
}
