package agent

import (
	"net/netip"
	"testing"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/settings"
)

func TestStatusSaysWhatTheOutsideCanCall(t *testing.T) {
	addresses := []netip.Addr{netip.MustParseAddr("192.168.0.1"), netip.MustParseAddr("fd00::1")}
	all := settings.Outside{NodePorts: true, ExternalIPs: true, HostPorts: true, First: 30000, Last: 32767, Mode: "hybrid"}
	narrow := all
	narrow.At.Ranges = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		name            string
		config          settings.Services
		devices, faults []string
		health          agentv1.Health
		message         string
	}{
		{"kube-proxy", settings.Services{}, []string{"eth0"}, nil, agentv1.HealthOK, "left to kube-proxy: enable-node-port, enable-external-ips and enable-host-port say no"},
		{
			"all",
			settings.Services{Outside: all, Choice: settings.Choice{Maglev: true}},
			[]string{"eth1", "eth0"},
			nil, agentv1.HealthOK,
			"node ports 30000-32767 at 192.168.0.1, fd00::1; external addresses; hostPorts; to other nodes by hybrid; backends by Maglev; at devices eth0, eth1",
		},
		{
			"hostPorts and cluster addresses",
			settings.Services{Outside: settings.Outside{HostPorts: true, ClusterIPs: true, Mode: "snat", ByService: true}},
			[]string{"eth0"},
			nil, agentv1.HealthOK,
			"cluster addresses; hostPorts; to other nodes by snat, unless the service says otherwise; backends by chance; at devices eth0",
		},
		{
			"no address",
			settings.Services{Outside: narrow},
			[]string{"eth0"},
			nil, agentv1.HealthDegraded,
			"nodeport-addresses names none of this node's addresses: no node port is offered here; node ports 30000-32767 at none; external addresses; hostPorts; to other nodes by hybrid; backends by chance; at devices eth0",
		},
		{
			"DSR in Geneve",
			settings.Services{Outside: settings.Outside{ExternalIPs: true, Mode: "dsr", Geneve: true}},
			[]string{"eth0"},
			nil, agentv1.HealthOK,
			"external addresses; to other nodes by dsr, DSR in Geneve; backends by chance; at devices eth0",
		},
		{
			"no program",
			settings.Services{Outside: settings.Outside{ExternalIPs: true, Mode: "dsr"}},
			[]string{"eth0"},
			[]string{"device eth0: no such device"},
			agentv1.HealthDegraded,
			"device eth0: no such device; external addresses; to other nodes by dsr; backends by chance; at devices eth0",
		},
	} {
		got := fromOutside(c.config, addresses, c.devices, c.faults)
		if got.Health != c.health || got.Message != c.message {
			t.Errorf("%s: %s: %s", c.name, got.Health, got.Message)
		}
	}
}
