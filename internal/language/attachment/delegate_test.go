package attachment

import (
	"testing"

	"weftnet.io/weftnet/internal/policy/gap"
)

func TestWhatPluginsAreTold(t *testing.T) {
	const (
		static  = `{"cniVersion": "0.3.1", "name": "lan", "type": "macvlan", "master": "ens192", "ipam": {"type": "static", "addresses": [{"address": "10.1.0.0/24", "gateway": "10.1.0.1"}], "dns": {"nameservers": ["10.1.0.1"]}}}`
		host    = `{"type": "bridge", "capabilities": {"mac": true}, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}`
		bare    = `{"type": "macvlan", "master": "ens192"}`
		several = `{"cniVersion": "1.0.0", "plugins": [{"type": "cnv-bridge", "bridge": "br1"}, {"type": "tuning", "args": {"cni": {"a": 1}, "x": {}}}]}`
	)
	for _, c := range []struct{ what, config, asks, want, capabilities string }{
		{
			"an address of the pod's own in the place of the subnet's, with its length and its gateway", static, `[{"name": "n", "ips": ["10.1.0.9"], "mac": "02:00:00:00:00:01"}]`,
			`{"cniVersion":"0.3.1","name":"lan","plugins":[{"capabilities":{"mac":true},"ipam":{"addresses":[{"address":"10.1.0.9/24","gateway":"10.1.0.1"}],"dns":{"nameservers":["10.1.0.1"]},"type":"static"},"master":"ens192","type":"macvlan"}]}`,
			`{"ips":["10.1.0.9"],"mac":"02:00:00:00:00:01"}`,
		},
		{
			"another subnet has no gateway", static, `[{"name": "n", "ips": ["10.2.0.9/16"]}]`,
			`{"cniVersion":"0.3.1","name":"lan","plugins":[{"ipam":{"addresses":[{"address":"10.2.0.9/16"}],"dns":{"nameservers":["10.1.0.1"]},"type":"static"},"master":"ens192","type":"macvlan"}]}`,
			`{"ips":["10.2.0.9/16"]}`,
		},
		{
			"the subnet's own address", static, `[{"name": "n"}]`,
			`ipam.addresses: 10.1.0.0/24 is the subnet's own address, which no NIC can have; the pod says its own, as "ips": ["10.1.0.2/24"] in its annotation`, "",
		},
		{
			"ips without a word of them in the definition", host, `[{"name": "n", "ips": ["10.1.0.9/24"]}]`,
			`{"cniVersion":"1.0.0","disableCheck":true,"name":"d","plugins":[{"capabilities":{"ips":true,"mac":true},"ipam":{"type":"host-local","subnet":"10.1.0.0/24"},"type":"bridge"}]}`,
			`{"ips":["10.1.0.9/24"]}`,
		},
		{
			"no ipam, and an address", bare, `[{"name": "n", "ips": ["10.1.0.9/24"]}]`,
			`{"cniVersion":"1.0.0","disableCheck":true,"name":"d","plugins":[{"ipam":{"addresses":[{"address":"10.1.0.9/24"}],"type":"static"},"master":"ens192","type":"macvlan"}]}`, `{"ips":["10.1.0.9/24"]}`,
		},
		{"no ipam, no address", bare, `n`, `{"cniVersion":"1.0.0","disableCheck":true,"name":"d","plugins":[{"master":"ens192","type":"macvlan"}]}`, ``},
		{
			"arguments for each plugin, and another name for one", several, `[{"name": "n", "cni-args": {"b": [2]}}]`,
			`{"cniVersion":"1.0.0","name":"d","plugins":[{"args":{"cni":{"b":[2]}},"bridge":"br1","type":"bridge"},{"args":{"cni":{"a":1,"b":[2]},"x":{}},"type":"tuning"}]}`, ``,
		},
		{
			"commands that are not for its plugins", `{"cniVersion": "1.1.0", "disableGC": true, "disableCheck": "true", "plugins": [{"type": "bridge"}]}`, `n`,
			`{"cniVersion":"1.1.0","disableCheck":"true","disableGC":true,"name":"d","plugins":[{"type":"bridge"}]}`, ``,
		},
		{"what runs elsewhere only", `{"type": "ovn-k8s-cni-overlay"}`, `n`, `type: ovn-k8s-cni-overlay is not served here: networks of OVN-Kubernetes exist only where it runs; type cilium-cni gives a NIC in the pod network`, ``},
		{"an overlay, with addresses that are none of it", `{"type": "cilium-cni", "network": "blue", "ipam": {"type": "host-local"}}`, `n`, `ipam.type: "host-local" gives no addresses of an overlay network: weft does, also without ipam; and with static workloads say their own`, ``},
		{
			"addresses by DHCP, which are not the plugin's business", `{"type": "macvlan", "master": "ens192", "ipam": {"type": "dhcp", "request": [{"option": "121"}]}}`, `n`,
			`{"cniVersion":"1.0.0","disableCheck":true,"name":"d","plugins":[{"master":"ens192","type":"macvlan"}]}`, ``,
		},
		{"DHCP where no NIC is without addresses", `{"type": "ipvlan", "master": "ens192", "ipam": {"type": "dhcp"}}`, `n`, `ipam.type: NICs of type ipvlan get no address by DHCP: their plugin makes none without addresses; those of type macvlan do, also on a VLAN device such as ens192.100`, ``},
		{"an option of DHCP that is none", `{"type": "macvlan", "master": "ens192", "ipam": {"type": "dhcp", "provide": [{"option": "54", "value": "x"}]}}`, `n`, `ipam.provide[0].option: option 54 is the client's own business`, ``},
		{
			"a MAC address that the agent looks at", `{"type": "cnv-bridge", "bridge": "br0", "macspoofchk": true}`, `n`,
			`{"cniVersion":"1.0.0","disableCheck":true,"name":"d","plugins":[{"bridge":"br0","type":"bridge","weftnet.io/mac-guard":true}]}`, ``,
		},
		{
			"one that is not looked at", `{"type": "bridge", "macspoofchk": false}`, `n`,
			`{"cniVersion":"1.0.0","disableCheck":true,"name":"d","plugins":[{"type":"bridge"}]}`, ``,
		},
		{"nothing", ``, `n`, `spec.config: it is empty, and no file on the node has a configuration of its name`, ``},
	} {
		d, gaps := Define("ns", "d", c.config)
		requests, more := Requests(c.asks, "ns")
		if len(gaps)+len(more) > 0 {
			t.Fatalf("%s: %v %v", c.what, gaps, more)
		}
		out, gaps := d.Delegate(requests[0])
		got := string(out.Config)
		if len(gaps) > 0 {
			got = gap.Text(gaps)
		}
		if got != c.want || len(gaps) == 0 && string(out.Capabilities) != c.capabilities {
			t.Errorf("%s: got\n%s\n%s\nwant\n%s\n%s", c.what, got, out.Capabilities, c.want, c.capabilities)
		}
	}
}
