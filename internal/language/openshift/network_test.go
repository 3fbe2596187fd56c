package openshift

import (
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/policy/gap"
)

func read(t *testing.T, networks string) []Network {
	t.Helper()
	list, err := Networks([]byte(`{"apiVersion": "operator.openshift.io/v1", "kind": "Network", "metadata": {"name": "cluster"}, "spec": {"additionalNetworks": [` + networks + `]}}`))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestARawNetworkIsItsConfiguration(t *testing.T) {
	list := read(t, `{"name": "plant", "namespace": "works", "type": "Raw", "rawCNIConfig": "{\"type\": \"bridge\"}"}, {"name": "yard", "type": "Raw", "rawCNIConfig": "{}"}`)
	if n := list[0]; n.Namespace != "works" || n.Name != "plant" || n.Config != `{"type": "bridge"}` || n.Field != "spec.additionalNetworks[0].rawCNIConfig" || n.Gaps != nil {
		t.Errorf("%+v", n)
	}
	if list[1].Namespace != "default" {
		t.Errorf("without a namespace it lies in %s", list[1].Namespace)
	}
}

func TestASimpleMacvlanIsComposed(t *testing.T) {
	for given, want := range map[string]string{
		`{"name": "yard", "type": "SimpleMacvlan"}`: `{"cniVersion":"0.3.1","ipam":{"type":"dhcp"},"mode":"bridge","name":"yard","type":"macvlan"}`,
		`{"name": "yard", "type": "SimpleMacvlan", "simpleMacvlanConfig": {"master": "ens1", "mode": "Private", "mtu": 1400, "ipamConfig": {"type": "Static", "staticIPAMConfig": {
			"addresses": [{"address": "172.20.5.9/24", "gateway": "172.20.5.1"}], "routes": [{"destination": "0.0.0.0/0"}], "dns": {"nameservers": ["172.20.5.1"], "domain": "plant"}}}}}`: `{"cniVersion":"0.3.1","ipam":{"addresses":[{"address":"172.20.5.9/24","gateway":"172.20.5.1"}],"dns":{"nameservers":["172.20.5.1"],"domain":"plant"},` +
			`"routes":[{"dst":"0.0.0.0/0"}],"type":"static"},"master":"ens1","mode":"private","mtu":1400,"name":"yard","type":"macvlan"}`,
	} {
		n := read(t, given)[0]
		have := strings.NewReplacer("\n", "", `": `, `":`, "  ", "").Replace(n.Config)
		if have != want || len(n.Gaps) > 0 {
			t.Errorf("%s\nis  %s\nnot %s\n%v", given, have, want, n.Gaps)
		}
	}
}

func TestWhatMakesNoSenseIsSaidAndKeepsNoOtherAway(t *testing.T) {
	list := read(t, `{"name": "a b", "type": "Raw", "rawCNIConfig": "{}"}, {"name": "x", "type": "Bond"}, {"name": "y", "type": "Raw"},
		{"name": "z", "type": "Raw", "rawCNIConfig": "{}"}, {"name": "z", "type": "SimpleMacvlan"}`)
	var said []string
	for _, n := range list {
		said = append(said, gap.Text(n.Gaps))
	}
	for i, want := range []string{
		`spec.additionalNetworks[0].name: "a b" is no name of an object`, `spec.additionalNetworks[1].type: a network of type "Bond" is not made here`,
		`spec.additionalNetworks[2].rawCNIConfig: it is empty`, ``, `spec.additionalNetworks[4].name: default/z is spec.additionalNetworks[3] already`,
	} {
		if !strings.HasPrefix(said[i], want) || (want == "") != (said[i] == "") {
			t.Errorf("%d: %s", i, said[i])
		}
	}
	if _, err := Networks([]byte(`{"spec": {"additionalNetworks": 7}}`)); err == nil {
		t.Error("a number is read as networks")
	}
}

func FuzzNetworks(f *testing.F) {
	f.Add([]byte(`{"spec": {"additionalNetworks": [{"name": "yard", "type": "SimpleMacvlan", "simpleMacvlanConfig": {"master": "ens1", "ipamConfig": {"type": "Static"}}}]}}`))
	f.Fuzz(func(t *testing.T, object []byte) {
		list, _ := Networks(object)
		again, _ := Networks(object)
		for i := range list {
			if list[i].Config != again[i].Config {
				t.Error(list[i], again[i])
			}
		}
	})
}
