package attachment_test

import (
	"fmt"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/policy/gap"
)

// say is a request in one line.
func say(q attachment.Request) string {
	text := fmt.Sprintf("%s: %s/%s", q.Interface, q.Namespace, q.Name)
	for _, a := range q.Addresses {
		text += " " + a.String()
	}
	if q.MAC != nil {
		text += " " + q.MAC.String()
	}
	for _, a := range q.DefaultRoute {
		text += " default by " + a.String()
	}
	if q.IPAMClaim != "" {
		text += " claim " + q.IPAMClaim
	}
	return text
}

func TestAnAnnotationIsAListOfWordsOrOfObjects(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"storage":                     "net1: shop/storage",
		" storage , infra/mgmt@mgmt0": "net1: shop/storage\nmgmt0: infra/mgmt",
		"storage,storage":             "net1: shop/storage\nnet2: shop/storage",
		`[]`:                          "",
		`[{"name": "storage", "ips": ["10.0.200.10/24", "fd00::10"]}]`:                                                   "net1: shop/storage 10.0.200.10/24 fd00::10/128",
		`[{"name": "storage", "namespace": "infra", "interface": "data", "mac": "02:00:00:00:00:0a"}, {"name": "mgmt"}]`: "data: infra/storage 02:00:00:00:00:0a\nnet2: shop/mgmt",
		`[{"name": "mgmt", "interfaceRequest": "mgmt0"}]`:                                                                "mgmt0: shop/mgmt",
		`[{"name": "mgmt", "default-route": ["192.168.100.1", "fd00::1"], "ipam-claim-reference": "db.mgmt"}]`:           "net1: shop/mgmt default by 192.168.100.1 default by fd00::1 claim db.mgmt",
	} {
		requests, gaps := attachment.Requests(text, "shop")
		var got []string
		for _, q := range requests {
			got = append(got, say(q))
		}
		if strings.Join(got, "\n") != want || len(gaps) > 0 {
			t.Errorf("%q is\n%s\n%s\nwant\n%s", text, strings.Join(got, "\n"), gap.Text(gaps), want)
		}
	}
}

func TestAnAnnotationIsRejectedWithAllThatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"storage,":                        "nothing between two commas",
		"Storage":                         `"Storage" is no name of an object`,
		"/storage":                        "it has no namespace",
		"storage@":                        "names no interface behind @",
		"storage@a name":                  "is no name of an interface",
		"storage@eth0":                    "eth0 is there already: it is an interface of the workload's own",
		"a@x,b@x":                         "x is the interface of shop/a already",
		`[{"name": "storage"`:             "it is no list in JSON",
		`{"name": "storage"}`:             "it is no list in JSON: an item must be a list, and is an object",
		`[{"name": 5}]`:                   "[0]: name must be text, and is a number",
		`[{"ips": ["x"]}]`:                `[0].ips[0]: "x" is neither an address nor one with the length of its subnet`,
		`[{"name": "a", "mac": "02:00"}]`: "[0].mac: \"02:00\" has not the form of 6 bytes",
		`[{"name": "a", "mac": "03:00:00:00:00:01"}]`:                                                  "is the address of a group",
		`[{"name": "a", "interface": "x", "interfaceRequest": "y"}]`:                                   "keep interface",
		`[{"name": "a", "portMappings": [{"hostPort": 0, "containerPort": 80}]}]`:                      "are from 1 to 65535",
		`[{"name": "a", "default-route": ["10.0.0.1"]}, {"name": "b", "default-route": ["10.1.0.1"]}]`: "[1].default-route: shop/a has the default route of IPv4 already",
		`[{"name": "a", "default-route": ["10.0.0.1", "10.0.0.2"]}]`:                                   "it has two gateways of IPv4",
	} {
		if _, gaps := attachment.Requests(text, "shop"); !strings.Contains(gap.Text(gaps), want) {
			t.Errorf("%q: %q, want %q", text, gap.Text(gaps), want)
		}
	}
}

func TestADefinitionSaysWhereItsNICsAre(t *testing.T) {
	for config, want := range map[string]string{
		``: "not known",
		`{"type": "macvlan", "master": "ens192"}`:                                             "ens192",
		`{"type": "macvlan", "master": "ens192.100"}`:                                         "ens192, VLAN 100",
		`{"type": "vlan", "master": "ens192", "vlanId": 100}`:                                 "ens192, VLAN 100",
		`{"type": "macvlan", "master": "enp129s0f01.7"}`:                                      "enp129s0f01, VLAN 7",
		`{"type": "macvlan", "master": "bond0.4095"}`:                                         "bond0.4095",
		`{"type": "macvlan"}`:                                                                 "not known",
		`{"type": "bridge"}`:                                                                  "bridge cni0",
		`{"type": "ovs", "bridge": "br-data", "vlan": 200}`:                                   "bridge br-data, VLAN 200",
		`{"type": "cilium-cni"}`:                                                              "the pod network",
		`{"type": "cilium-cni", "network": "blue"}`:                                           "overlay network blue",
		`{"plugins": [{"type": "bridge", "bridge": "br1", "vlan": "7"}, {"type": "tuning"}]}`: "bridge br1, VLAN 7",
	} {
		d, gaps := attachment.Define("shop", "net", config)
		if got := d.Segment().String(); got != want || len(gaps) > 0 {
			t.Errorf("%s: %s, want %s %s", config, got, want, gap.Text(gaps))
		}
	}
}

func TestADefinitionIsRejectedWithTheField(t *testing.T) {
	for config, want := range map[string]string{
		`{"type": "macvlan"`:                         "it cannot be read as a CNI configuration",
		`{"type": "macvlan"} {}`:                     "there is more text behind the end",
		`{"name": "x"}`:                              "type: it names no plugin",
		`{"type": "a", "plugins": [{"type": "b"}]}`:  "it has both a type",
		`{"plugins": []}`:                            "the list is empty",
		`{"plugins": [{"name": "x"}]}`:               "plugins[0].type: it names no plugin",
		`{"type": "macvlan", "cniVersion": "2.0.0"}`: "cniVersion: there is no version 2.0.0 of CNI",
		`{"type": "bridge", "vlan": 5000}`:           "vlan: 5000 is not a number from 0 to 4094",
		`{"type": "macvlan", "ipam": {"type": "static", "addresses": [{"address": "10.0.0.1"}]}}`:                    `ipam.addresses[0].address: "10.0.0.1" is no address with the length of its subnet`,
		`{"type": "macvlan", "ipam": {"type": "static", "addresses": [{"address": "10.0.0.1/24", "gateway": "x"}]}}`: `ipam.addresses[0].gateway: "x" is no address`,
		`{"type": "macvlan", "ipam": {"type": "whereabouts", "configuration_path": "/dev/zero"}}`:                    `ipam.configuration_path: "/dev/zero" is not read`,
	} {
		if _, gaps := attachment.Define("shop", "net", config); !strings.Contains(gap.Text(gaps), want) {
			t.Errorf("%s: %q, want %q", config, gap.Text(gaps), want)
		}
	}
}

func FuzzRequests(f *testing.F) {
	f.Add("storage,infra/mgmt@mgmt0")
	f.Add(`[{"name": "a", "ips": ["10.0.0.1/24"], "mac": "02:00:00:00:00:01", "portMappings": [{"hostPort": 1, "containerPort": 2}], "default-route": ["::1"]}]`)
	f.Fuzz(func(t *testing.T, text string) {
		requests, gaps := attachment.Requests(text, "shop")
		if len(gaps) > 0 {
			return
		}
		seen := map[string]bool{}
		for _, q := range requests {
			if q.Name == "" || q.Namespace == "" || q.Interface == "" || seen[q.Interface] {
				t.Errorf("%q is taken, with %+v", text, q)
			}
			seen[q.Interface] = true
		}
	})
}

func FuzzDefinition(f *testing.F) {
	f.Add(`{"cniVersion": "0.3.1", "type": "macvlan", "master": "ens192.100", "ipam": {"type": "static", "addresses": [{"address": "10.0.0.0/24", "gateway": "10.0.0.1"}]}}`)
	f.Add(`{"plugins": [{"type": "bond", "links": [{"name": "a"}], "mtu": "9000"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		d, gaps := attachment.Define("shop", "net", text)
		if len(gaps) == 0 && strings.TrimSpace(text) != "" && (d.Main() == nil || d.Main().Type == "") {
			t.Errorf("%q is taken, and makes no NIC", text)
		}
		_ = d.Segment().String()
	})
}
